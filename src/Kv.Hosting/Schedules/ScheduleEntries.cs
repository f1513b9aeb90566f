using System.Runtime.CompilerServices;
using Kv.Messages;
using Kv.Store;

namespace Kv.Schedules;

/// <summary>The entries of the store in which schedules are noted.</summary>
internal sealed class ScheduleEntries(KvStore store)
{
    private static readonly KvRange All = KvRange.Prefix([QueueKeys.Prefix, "schedules"]);

    /// <summary>Written with every change that is no tick.</summary>
    public static KvKey Changes { get; } = [QueueKeys.Prefix, "schedules"];

    public static KvKey Key(string name) => Changes.Append(name);

    /// <summary>All that is noted, with the names; null for what cannot be read.</summary>
    public async IAsyncEnumerable<(string Name, KvEntry Entry, ScheduleState? State)> ListAsync(
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var entry in store.ListAsync(All, null, cancellationToken).ConfigureAwait(false))
        {
            if (entry.Key is { IsDecodable: true, Count: 3 } key && key[2] is { Type: KvKeyPartType.String } name)
            {
                yield return (name.AsString(), entry, ScheduleState.Read(entry));
            }
        }
    }

    public async ValueTask<(KvEntry? Entry, ScheduleState? State)> FindAsync(string name, CancellationToken cancellationToken)
    {
        var entry = await store.GetAsync(Key(name), cancellationToken).ConfigureAwait(false);
        return (entry, ScheduleState.Read(entry));
    }

    /// <summary>A write that is refused if what is noted has changed.</summary>
    public KvAtomic Begin(string name, KvEntry? entry) => store.Atomic().Check(Key(name), entry?.Versionstamp);

    public void Set(KvAtomic write, string name, ScheduleState state) =>
        write.Set(Key(name), state.ToValue(store.Engine.IsAdopted ? KvEncoding.Bytes : KvEncoding.Json));

    /// <summary>Changes what is noted, again for as long as others come between.</summary>
    /// <param name="name">The name.</param>
    /// <param name="change">Gives what is noted from now on: null to delete it, or what it was given, unchanged, to leave it.</param>
    /// <param name="isTold">Whether all processes are to look at it.</param>
    /// <param name="cancellationToken">Gives up between two attempts.</param>
    /// <returns>What was noted before.</returns>
    public async ValueTask<ScheduleState?> ChangeAsync(
        string name, Func<ScheduleState?, ScheduleState?> change, bool isTold, CancellationToken cancellationToken)
    {
        while (true)
        {
            var (entry, before) = await FindAsync(name, cancellationToken).ConfigureAwait(false);
            var after = change(before);
            if (ReferenceEquals(before, after))
            {
                return before;
            }

            var write = Begin(name, entry);
            if (after is null)
            {
                write.Delete(Key(name));
            }
            else
            {
                Set(write, name, after);
            }

            if (isTold)
            {
                write.Sum(Changes, 1);
            }

            if ((await write.CommitAsync(cancellationToken).ConfigureAwait(false)).Succeeded)
            {
                return before;
            }
        }
    }
}
