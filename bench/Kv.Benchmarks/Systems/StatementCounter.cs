using System.Data.Common;
using System.Diagnostics;
using System.Reflection;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Kv.Benchmarks.Systems;

/// <summary>Counts what a store asks of its database, apart from when something is due next.</summary>
/// <remarks>
/// The engine does not go through EF's commands, so command interceptors see nothing. SQLite itself tells each statement that it begins
/// (<c>sqlite3_trace</c>, set when a connection is opened); Npgsql traces each command, and a batch of several as one.
/// </remarks>
public sealed class StatementCounter : DbConnectionInterceptor, IDisposable
{
    private readonly ActivityListener _npgsql = new()
    {
        ShouldListenTo = static source => source.Name == "Npgsql",
        Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
    };

    // What only the questions for the next due times have: of messages and leases, and of entries that expire.
    private static readonly string[] DueTimes = ["min(deadline)", "order by expiration_ms limit 1"];

    private long _count;

    public StatementCounter()
    {
        _npgsql.ActivityStopped = activity => Begun(data: null, activity.GetTagItem("db.query.text") as string ?? "");
        ActivitySource.AddActivityListener(_npgsql);
    }

    public long Count => Interlocked.Read(ref _count);

    public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData) => Trace(connection);

    public override Task ConnectionOpenedAsync(DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default)
    {
        Trace(connection);
        return Task.CompletedTask;
    }

    public void Dispose() => _npgsql.Dispose();

    // By reflection, since the types of SQLitePCLRaw cannot be named where a feed has an older one than Microsoft.Data.Sqlite was built with.
    private void Trace(DbConnection connection)
    {
        if (connection is SqliteConnection)
        {
            var handle = typeof(SqliteConnection).GetProperty("Handle")!.GetValue(connection)!;
            var trace = handle.GetType().Assembly.GetType("SQLitePCL.raw")!.GetMethods()
                .First(static method => method.Name == "sqlite3_trace" && method.GetParameters()[1].ParameterType.Name == "strdelegate_trace");
            var count = GetType().GetMethod(nameof(Begun), BindingFlags.Instance | BindingFlags.NonPublic)!;
            trace.Invoke(null, [handle, Delegate.CreateDelegate(trace.GetParameters()[1].ParameterType, this, count), null]);
        }
    }

    // The question whether another process has committed takes no lock and reads no table: it is what SQLite has in the place of a notice.
    private void Begun(object? data, string statement)
    {
        if (!statement.Equals("pragma data_version", StringComparison.OrdinalIgnoreCase) && !Array.Exists(DueTimes, due => statement.Contains(due, StringComparison.Ordinal)))
        {
            Interlocked.Increment(ref _count);
        }
    }
}
