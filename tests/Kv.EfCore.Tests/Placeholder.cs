namespace Kv.Tests;
public class Smoke { [Fact] public void T() { using var c = new Microsoft.Data.Sqlite.SqliteConnection("Data Source=:memory:"); c.Open(); using var k = c.CreateCommand(); k.CommandText = "select sqlite_version()"; TestContext.Current.TestOutputHelper!.WriteLine((string)k.ExecuteScalar()!); } }
