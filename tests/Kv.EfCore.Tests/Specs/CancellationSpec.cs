using System.Reflection;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>A token that is cancelled already, given to every method that takes one.</summary>
public abstract class CancellationSpec(KvDatabase database)
{
    private const int Tries = 50;

    public static TheoryData<string, string> Methods =>
    [
        .. from type in (Type[])[typeof(IKvStore), typeof(IKvQueue)]
           from method in type.GetMethods()
           where method.GetParameters().Any(static p => p.ParameterType == typeof(CancellationToken)) && method.Name is not (nameof(IKvStore.WatchAsync) or nameof(IKvStore.ChangesAsync))
           select new TheoryDataRow<string, string>(type.Name, method.ToString()!),
    ];

    [Theory]
    [MemberData(nameof(Methods))]
    public async Task A_token_that_is_cancelled_already_ends_a_call_before_anything_is_read_or_written(string type, string name)
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.Atomic().Set(["k"], 1).Enqueue("m").CommitAsync();
        await test.Store.GetAsync(["k"]);
        var before = (Version: await test.VersionAsync(), Keys: await test.KeysAsync());
        var queue = test.Services.GetRequiredService<IKvQueue>();
        await queue.PeekAsync("none");
        object target = type == nameof(IKvStore) ? test.Store : queue;
        var method = (type == nameof(IKvStore) ? typeof(IKvStore) : typeof(IKvQueue)).GetMethods().Single(m => m.ToString() == name);
        method = method.IsGenericMethodDefinition ? method.MakeGenericMethod(typeof(int)) : method;

        // What goes out all the same may be answered before the token is looked at, or after it: once tells little.
        for (var i = 0; i < Tries; i++)
        {
            var error = await Record.ExceptionAsync(
                () => EndAsync(() => method.Invoke(target, [.. method.GetParameters().Select(Argument)])!));
            Assert.True(error is OperationCanceledException, $"{name}, call {i}: {error}");
            await test.Store.GetAsync(["k"]);
        }

        Assert.Equal(before.Version, await test.VersionAsync());
        Assert.Equal(before.Keys, await test.KeysAsync());
    }

    [Fact]
    public async Task A_commit_with_a_token_that_is_cancelled_already_writes_nothing()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["k"], 1);
        await using var context = test.CreateContext();
        await using var transaction = await context.Database.BeginTransactionAsync();
        var cancelled = new CancellationToken(canceled: true);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => test.Store.Atomic().Set(["a"], 1).CommitAsync(context, cancelled).AsTask());
        await transaction.RollbackAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => test.Store.Atomic().Set(["a"], 1).CommitAsync(cancelled).AsTask());

        Assert.Null(await test.Store.GetAsync(["a"]));
    }

    private static object? Argument(ParameterInfo parameter) => parameter.ParameterType switch
    {
        var t when t == typeof(CancellationToken) => new CancellationToken(canceled: true),
        var t when t == typeof(KvKey) => KvKey.Create(["k"]),
        var t when t == typeof(IReadOnlyList<KvKey>) => (KvKey[])[["k"], ["l"]],
        var t when t == typeof(KvRange) => KvRange.Prefix([]),
        var t when t == typeof(int) => 5,
        var t when t == typeof(ulong) => 1ul,
        var t when t == typeof(TimeSpan?) => TimeSpan.FromMinutes(1),
        var t when t == typeof(IEnumerable<int>) => new[] { 1, 2 },
        var t when t == typeof(string) => parameter.Member.Name == nameof(IKvStore.MergeAsync) ? KvMerge.Append : "m",
        var t when t == typeof(KvReadOptions) => KvReadOptions.Eventual,
        var t when t == typeof(KvSetOptions) => new KvSetOptions(),
        var t when t == typeof(KvOperationId) => new KvOperationId(1L << 40, 1, 0),
        var t when t == typeof(Func<KvTransaction, CancellationToken, Task>) => (Func<KvTransaction, CancellationToken, Task>)(static (_, _) => throw new InvalidOperationException("It ran.")),
        var t when t == typeof(Func<KvTransaction, CancellationToken, Task<int>>) => (Func<KvTransaction, CancellationToken, Task<int>>)(static (_, _) => throw new InvalidOperationException("It ran.")),
        var t when t == typeof(KvDeadLetter) => new KvDeadLetter
        {
            Id = "id",
            Topic = "m",
            Type = "m",
            Reason = "none",
            Payload = new KvValue([1], KvEncoding.Bytes),
            Entry = new KvEntry(["k"], new KvValue([1], KvEncoding.Bytes), KvVersionstamp.FromVersion(1), new KvJsonSerializer()),
        },
        _ => parameter.DefaultValue is DBNull ? throw new NotSupportedException($"No argument for {parameter}.") : parameter.DefaultValue,
    };

    private static async Task EndAsync(Func<object> call)
    {
        object result;
        try
        {
            result = call();
        }
        catch (TargetInvocationException error)
        {
            throw error.InnerException!;
        }

        switch (result)
        {
            case Task task:
                await task;
                break;
            case ValueTask task:
                await task;
                break;
            case var sequence when sequence.GetType().GetInterface("IAsyncEnumerable`1") is { } type:
                await (Task)typeof(CancellationSpec).GetMethod(nameof(ReadAsync), BindingFlags.NonPublic | BindingFlags.Static)!
                    .MakeGenericMethod(type.GetGenericArguments()).Invoke(null, [sequence])!;
                break;
            default:
                await (Task)result.GetType().GetMethod("AsTask")!.Invoke(result, null)!;
                break;
        }
    }

    private static async Task ReadAsync<T>(IAsyncEnumerable<T> sequence) => await sequence.ToListAsync();
}

public sealed class SqliteCancellationTests(SqliteDatabase database) : CancellationSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresCancellationTests(PostgresDatabase database) : CancellationSpec(database), IClassFixture<PostgresDatabase>;
