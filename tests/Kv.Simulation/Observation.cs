using Kv.Messages;
using Kv.Store;
using Microsoft.EntityFrameworkCore;

namespace Kv.Simulated;

/// <summary>What is in the database between two steps.</summary>
internal sealed class Observation
{
    private readonly HashSet<int> _undelivered = [];
    private readonly Dictionary<int, ulong> _done = [];

    /// <summary>The entries that the processes write, in their order.</summary>
    public List<KvEntry> Entries { get; } = [];

    /// <summary>The numbers of the jobs in the queue and of those that run, by their rows.</summary>
    public List<int> Present { get; private set; } = [];

    /// <summary>The numbers of the jobs that could not be delivered.</summary>
    public IReadOnlySet<int> Undelivered => _undelivered;

    /// <summary>How often the effect of a job happened.</summary>
    public IReadOnlyDictionary<int, ulong> Done => _done;

    /// <summary>Reads all.</summary>
    public static async Task<Observation> MakeAsync(KvStore store, CancellationToken cancellationToken)
    {
        var made = new Observation();
        await foreach (var entry in store.ListAsync(KvRange.All, cancellationToken: cancellationToken))
        {
            made.Add(entry, store.Engine.Options);
        }

        await using var context = store.Engine.CreateContext();
        var rows = await context.QueuedMessages.AsNoTracking().Select(static row => row.Data).ToListAsync(cancellationToken);
        rows.AddRange(await context.RunningMessages.AsNoTracking().Select(static row => row.Data).ToListAsync(cancellationToken));
        made.Present = rows.ConvertAll(row => store.Serializer.Deserialize<Job>(new KvValue(row, KvEncoding.Json))!.Number);
        return made;
    }

    private void Add(KvEntry entry, KvStoreOptions options)
    {
        if (entry.Key.StartsWith(["undelivered"]))
        {
            _undelivered.Add(NumberOf(entry));
        }
        else if (!entry.Key.StartsWith(options.DeadLetters) && !entry.Key.StartsWith(KvKey.Create(QueueKeys.Prefix)))
        {
            Entries.Add(entry);
            if (entry.Key.StartsWith(["done"]))
            {
                _done.Add(NumberOf(entry), entry.As<ulong>());
            }
        }
    }

    private static int NumberOf(KvEntry entry) => (int)entry.Key[1].AsInt64();
}
