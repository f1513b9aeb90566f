using System.Buffers.Binary;
using System.Data;
using System.Text;
using System.Text.Json;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Specs;

/// <summary>Whenever a process is killed, each entity has its message and each message its entity, and the counter counts them.</summary>
public abstract class UnitKillSpec(KvDatabase database) : IDisposable
{
    private static readonly string[] Units = ["units"];
    private readonly string _folder = Directory.CreateTempSubdirectory("efkv-units-").FullName;

    private string Answered => Path.Combine(_folder, "answered");

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    // The third unit is a save. The fourth has a transaction of its own, in which a save commits nothing.
    [Theory]
    [InlineData("saving", 3, false)]
    [InlineData("begun", 3, false)]
    [InlineData("inserted", 3, false)]
    [InlineData("joined", 3, false)]
    [InlineData("committed", 3, true)]
    [InlineData("told", 3, true)]
    [InlineData("saved", 3, true)]
    [InlineData("saved", 4, false)]
    [InlineData("joined", 4, false)]
    [InlineData("committed", 4, true)]
    public async Task A_process_that_is_killed_at_a_step_leaves_an_entity_and_its_message_both_or_neither(
        string step, int unit, bool isCommitted)
    {
        await using var test = await OpenAsync();
        using var process = Start(test, ("EFKV_KILL_AT", $"{step},{unit}"));
        Assert.NotEqual(0, (await process.EndAsync()).ExitCode);

        var there = await LookAsync(test);
        there.AssertWhole();
        Assert.Equal(isCommitted ? unit : unit - 1, there.Entities.Count);
        Assert.Empty(there.Handled);

        await test.SettleAsync();
        Assert.Equal(there.Entities.Order(), (await LookAsync(test)).Handled.Order());
    }

    [Fact]
    public async Task A_process_that_is_killed_at_any_time_under_load_leaves_entities_and_messages_both_or_neither()
    {
        await using var test = await OpenAsync();
        for (var life = 1; life <= 3; life++)
        {
            var before = Lines().Length;
            using var process = Start(test, ("EFKV_CALLERS", "8"), ("EFKV_HANDLES", "1"));
            await process.WrittenAsync(Answered, () => Lines().Length >= before + Random.Shared.Next(1, 100));

            (await LookAsync(test)).AssertWhole();
            process.Kill();
            await process.EndAsync();

            var there = await LookAsync(test);
            there.AssertWhole();
            Assert.Subset(there.Entities.ToHashSet(), Lines().ToHashSet());

            // Those that were committed when the process could not write it down any more.
            Assert.InRange(there.Entities.Count - Lines().Length, 0, life * 8);
        }
    }

    private async Task<KvTestStore> OpenAsync()
    {
        var test = await database.CreateWorkerAsync(static worker => worker.HandleTopic("unit", static (context, token) =>
            context.CompleteAsync(write => write.Set(["handled", NameOf(context.Payload.Bytes.Span)], true), token).AsTask()));
        await test.ExecuteAsync("create table unit (name varchar(40) primary key)");
        return test;
    }

    private ChaosProcess Start(KvTestStore test, params ReadOnlySpan<(string Name, string Value)> variables) =>
        ChaosProcess.Start(database, test.ConnectionString, Units, [("EFKV_ACK", Answered), .. variables]);

    /// <summary>
    /// What there is, as one snapshot: what a process sent before it was killed may be done after its end, but not in parts.
    /// </summary>
    private static async Task<Findings> LookAsync(KvTestStore test)
    {
        await using var context = test.CreateContext();

        // What SQLite's driver begins for this is a snapshot that waits for no lock of writers.
        var isolation = test.Database.Name == "sqlite" ? IsolationLevel.ReadUncommitted : IsolationLevel.RepeatableRead;
        await using var snapshot = await context.Database.BeginTransactionAsync(isolation);
        var entities = await context.Database.SqlQueryRaw<string>("select name as \"Value\" from unit").ToListAsync();
        var waiting = await context.QueuedMessages.Select(static m => m.Data).ToListAsync();
        var running = await context.RunningMessages.Select(static m => m.Data).ToListAsync();
        var entries = (await context.Entries.ToListAsync()).ConvertAll(static e => (Key: KvKey.FromEncoded(e.Key), e.Value));
        return new Findings(
            entities,
            [.. waiting.Concat(running).Select(static data => NameOf(data))],
            [.. entries.Where(static e => e.Key[0] == "handled").Select(static e => e.Key[1].AsString())],
            entries.Where(static e => e.Key[0] == "units")
                .Select(static e => BinaryPrimitives.ReadUInt64LittleEndian(e.Value)).SingleOrDefault());
    }

    private static string NameOf(ReadOnlySpan<byte> payload) => JsonSerializer.Deserialize<string>(payload)!;

    // The last line may be on its way.
    private string[] Lines()
    {
        if (!File.Exists(Answered))
        {
            return [];
        }

        using var file = new FileStream(Answered, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(file, Encoding.ASCII);
        return reader.ReadToEnd().Split('\n')[..^1];
    }

    /// <param name="Entities">The names of the entities.</param>
    /// <param name="Waiting">Those of the messages that wait or are being handled.</param>
    /// <param name="Handled">Those of the messages that were handled.</param>
    /// <param name="Counter">How many units there were.</param>
    private sealed record Findings(List<string> Entities, List<string> Waiting, List<string> Handled, ulong Counter)
    {
        public void AssertWhole()
        {
            Assert.Equal(Entities.Order(), Waiting.Concat(Handled).Order());
            Assert.Equal((ulong)Entities.Count, Counter);
        }
    }
}

public sealed class SqliteUnitKillTests(SqliteDatabase database) : UnitKillSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresUnitKillTests(PostgresDatabase database) : UnitKillSpec(database), IClassFixture<PostgresDatabase>;
