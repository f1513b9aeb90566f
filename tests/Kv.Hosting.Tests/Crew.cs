using System.Collections.Concurrent;
using Kv.TestKit;

namespace Kv.Tests;

/// <summary>A message of a group that knows its place.</summary>
[KvMessage("step")]
internal sealed record Step(string Group, int Number);

/// <summary>Several workers, each with a store of its own, on one database. They note what they handle, and what runs beside what.</summary>
internal sealed class Crew : IAsyncDisposable
{
    private readonly List<KvTestStore> _stores = [];
    private readonly ConcurrentDictionary<string, int> _running = new();
    private readonly ConcurrentQueue<Step> _begun = new();
    private readonly ConcurrentQueue<string> _crowded = new();
    private int _handled;

    private Crew(int together) => Together = together;

    /// <summary>How many of a group may run at the same time.</summary>
    public int Together { get; }

    public KvTestStore First => _stores[0];

    public IReadOnlyList<KvTestStore> Stores => _stores;

    /// <summary>How many messages were handled to their end.</summary>
    public int Handled => Volatile.Read(ref _handled);

    /// <summary>Groups of which more ran at the same time than may.</summary>
    public IReadOnlyCollection<string> Crowded => _crowded;

    /// <summary>The most that ran of any group at the same time.</summary>
    public int Most { get; private set; }

    public static async Task<Crew> CreateAsync(
        KvDatabase database, int workers, int together, TimeProvider time, Func<Step, KvMessageContext, Task>? handle = null, LogCollector? logs = null)
    {
        var crew = new Crew(together);
        for (var i = 0; i < workers; i++)
        {
            crew._stores.Add(await database.CreateWorkerAsync(
                worker => worker.Handle<Step>((step, context, _) => crew.HandleAsync(step, context, handle)), time, beside: crew._stores.FirstOrDefault(), logs: logs));
        }

        return crew;
    }

    /// <summary>The numbers of a group in the order in which they began.</summary>
    public IEnumerable<int> Begun(string group) => _begun.Where(step => step.Group == group).Select(static step => step.Number);

    /// <summary>Runs rounds on all workers until so many messages have been handled, and then until nothing is due.</summary>
    /// <param name="handled">How many.</param>
    /// <param name="idle">What to do when nobody has anything to do.</param>
    public async Task RunAsync(int handled, Action? idle = null)
    {
        using var hang = new CancellationTokenSource(WorkerTesting.Patience * 2);
        while (Handled < handled)
        {
            Assert.False(hang.IsCancellationRequested, $"Only {Handled} of {handled} messages were handled.");
            var waits = await Task.WhenAll(_stores.Select(TryRoundAsync));
            if (Array.TrueForAll(waits, static wait => wait > TimeSpan.Zero) && _stores.TrueForAll(static store => store.Worker().Running.Count == 0))
            {
                idle?.Invoke();
            }

            await Task.Yield();
        }

        foreach (var store in _stores)
        {
            await store.IdleAsync();
            await store.SettleAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var store in Enumerable.Reverse(_stores))
        {
            await store.DisposeAsync();
        }
    }

    // The worker's own loop outlives an error of the database too.
    private static async Task<TimeSpan> TryRoundAsync(KvTestStore store)
    {
        try
        {
            return await store.Worker().RunRoundAsync(CancellationToken.None);
        }
        catch (Exception error) when (error is KvException or System.Data.Common.DbException)
        {
            return TimeSpan.Zero;
        }
    }

    private async Task HandleAsync(Step step, KvMessageContext context, Func<Step, KvMessageContext, Task>? handle)
    {
        var running = _running.AddOrUpdate(step.Group, 1, static (_, count) => count + 1);
        Most = Math.Max(Most, running);
        if (running > Together)
        {
            _crowded.Enqueue(step.Group);
        }

        _begun.Enqueue(step);
        try
        {
            await Task.Yield();
            await (handle?.Invoke(step, context) ?? Task.CompletedTask);
            Interlocked.Increment(ref _handled);
        }
        finally
        {
            _running.AddOrUpdate(step.Group, 0, static (_, count) => count - 1);
        }
    }
}
