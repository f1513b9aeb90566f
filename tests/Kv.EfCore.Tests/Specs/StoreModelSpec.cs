using FsCheck;
using FsCheck.Fluent;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Random atomic writes against a model in memory: outcomes, entries and versionstamps must agree after each.</summary>
public abstract class StoreModelSpec(KvDatabase database)
{
    private static readonly Gen<Change> Changes =
        from kind in Gen.Frequency(
            (3, Gen.Constant(ChangeKind.SetText)), (4, Gen.Constant(ChangeKind.SetCounter)), (2, Gen.Constant(ChangeKind.Delete)), (4, Gen.Constant(ChangeKind.Sum)),
            (3, Gen.Constant(ChangeKind.SumWithin)), (2, Gen.Constant(ChangeKind.Min)), (2, Gen.Constant(ChangeKind.Max)), (3, Gen.Constant(ChangeKind.Touch)),
            (1, Gen.Constant(ChangeKind.DeleteRange)), (1, Gen.Constant(ChangeKind.SetVersionstamped)))
        from key in Gen.Choose(0, StoreModel.Keys.Count - 1)
        from number in Gen.Frequency((8, Gen.Choose(0, 20).Select(static n => (ulong)n)), (1, Gen.Elements(ulong.MaxValue, 1UL << 63)))
        from expireIn in Gen.Frequency((3, Gen.Constant(-1)), (3, Gen.Choose(0, 50)))
        select new Change(kind, StoreModel.Keys[key], number, expireIn < 0 ? null : TimeSpan.FromMilliseconds(expireIn));

    private static readonly Gen<CheckOf> Checks =
        from key in Gen.Choose(0, StoreModel.Keys.Count - 1)
        from expected in Gen.Frequency((6, Gen.Constant(Expected.Present)), (1, Gen.Constant(Expected.Absent)), (1, Gen.Constant(Expected.Other)))
        select new CheckOf(StoreModel.Keys[key], expected);

    private static readonly Gen<Step> Steps =
        from advance in Gen.Frequency((2, Gen.Constant(0)), (1, Gen.Choose(1, 30)))
        from checks in Gen.Choose(0, 2).SelectMany(count => Checks.ArrayOf(count))
        from changes in Gen.Choose(0, 5).SelectMany(count => Changes.ArrayOf(count))
        select new Step(advance, checks, changes);

    private static readonly Arbitrary<Step[]> Runs = Arb.From(
        Gen.Choose(1, 16).SelectMany(count => Steps.ArrayOf(count)),
        static steps =>
        [
            .. Enumerable.Range(0, steps.Length).Select(skipped => steps.Where((_, i) => i != skipped).ToArray()),
            .. Enumerable.Range(0, steps.Length).SelectMany(at => Enumerable.Range(0, steps[at].Changes.Length).Select(skipped =>
                steps.Select((step, i) => i != at ? step : step with { Changes = [.. step.Changes.Where((_, c) => c != skipped)] }).ToArray())),
        ]);

    [Fact]
    public async Task The_store_does_what_the_model_does()
    {
        var time = new ManualTime();
        await using var test = await database.CreateStoreAsync(time, static options => options.Durability = KvDurability.Relaxed);

        await Task.Run(() => Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(100),
            Prop.ForAll(Runs, steps => RunAsync(test.Store, time, steps).GetAwaiter().GetResult())));
    }

    private static async Task RunAsync(IKvStore store, ManualTime time, Step[] steps)
    {
        var model = new StoreModel();
        var start = await store.DeleteRangeAsync(KvRange.Prefix([]));
        foreach (var step in steps)
        {
            time.Advance(TimeSpan.FromMilliseconds(step.Advance));
            var now = time.GetUtcNow();
            var atomic = store.Atomic();
            var checks = step.Checks.Select(check => (check.Key, Versionstamp: check.Expected switch
            {
                Expected.Present => model.Find(check.Key, now)?.Versionstamp,
                Expected.Absent => null,
                _ => (KvVersionstamp?)start,
            })).ToArray();
            foreach (var (key, versionstamp) in checks)
            {
                atomic.Check(key, versionstamp);
            }

            foreach (var change in step.Changes)
            {
                change.AddTo(atomic);
            }

            KvCommitResult? result = null;
            KvException? error = null;
            try
            {
                result = await atomic.CommitAsync();
            }
            catch (KvException caught)
            {
                error = caught;
            }

            var failed = model.FailedChecks(checks, now);
            var refusal = failed.Count > 0 ? null : model.Apply(step.Changes, now, result is { Succeeded: true } ? result.Versionstamp : default);
            Assert.Equal(refusal, error?.Kind);
            if (result is not null)
            {
                Assert.Equal(failed, result.FailedChecks);
                Assert.Equal(failed.Count == 0, result.Succeeded);
            }

            var entries = await store.ListAsync(KvRange.Prefix([])).Select(static e => (e.Key, Convert.ToHexString(e.Value.Bytes.Span), e.Versionstamp)).ToListAsync();
            Assert.Equal(model.Live(now), entries);
        }
    }

    internal enum ChangeKind
    {
        SetText,
        SetCounter,
        SetVersionstamped,
        Delete,
        DeleteRange,
        Sum,
        SumWithin,
        Min,
        Max,
        Touch,
    }

    internal enum Expected
    {
        Present,
        Absent,
        Other,
    }

    internal sealed record CheckOf(KvKey Key, Expected Expected);

    internal sealed record Step(int Advance, CheckOf[] Checks, Change[] Changes)
    {
        public override string ToString() => $"+{Advance} ms [{string.Join(", ", (object[])Checks)}] [{string.Join(", ", (object[])Changes)}]";
    }

    internal sealed record Change(ChangeKind Kind, KvKey Key, ulong Number, TimeSpan? ExpireIn)
    {
        public long Delta => (long)(Number % 100) - 10;

        public void AddTo(KvAtomic atomic) => _ = Kind switch
        {
            ChangeKind.SetText => atomic.Set(Key, KvValue.FromBytes([(byte)Number]), ExpireIn),
            ChangeKind.SetCounter => atomic.Set(Key, Number, ExpireIn),
            ChangeKind.SetVersionstamped => atomic.SetVersionstamped(Key, Number, ExpireIn),
            ChangeKind.Delete => atomic.Delete(Key),
            ChangeKind.DeleteRange => atomic.DeleteRange(KvRange.Prefix(Key)),
            ChangeKind.Sum => atomic.Sum(Key, Number),
            ChangeKind.SumWithin => atomic.SumWithin(Key, Delta, min: 0, max: 25, clamp: ExpireIn is not null),
            ChangeKind.Min => atomic.Min(Key, Number),
            ChangeKind.Max => atomic.Max(Key, Number),
            ChangeKind.Touch => atomic.Touch(Key, ExpireIn),
            _ => throw new ArgumentOutOfRangeException(nameof(atomic), Kind, null),
        };
    }
}

public sealed class SqliteStoreModelTests(SqliteDatabase database) : StoreModelSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresStoreModelTests(PostgresDatabase database) : StoreModelSpec(database), IClassFixture<PostgresDatabase>;
