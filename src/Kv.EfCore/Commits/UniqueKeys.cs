using System.Text;
using Kv.Keys;
using Kv.Messages;

namespace Kv.Commits;

/// <summary>
/// Messages that come into the queue, of those with a unique key only what the key allows. The entry of the key notes the message
/// that has it.
/// </summary>
/// <param name="keys">The keys.</param>
/// <param name="effects">What the commit group changes in all.</param>
internal sealed class UniqueKeys(KeyOverlay keys, CommitEffects effects)
{
    private readonly List<(NewMessage Message, long VersionOffset)> _pendingMessages = [];
    private readonly List<string> _pendingRemovals = [];

    /// <summary>Puts messages in. Of those with a unique key only what the key allows: the key notes the message that has it.</summary>
    /// <returns>The ids of the messages that are in the queue then, if they are not those that came.</returns>
    public List<string>? Enqueue(List<NewMessage> messages, long version, long versionOffset)
    {
        List<string>? ids = null;
        for (var i = 0; i < messages.Count; i++)
        {
            var message = messages[i];
            if (message.UniqueKey is not null)
            {
                var key = QueueKeys.Unique(message.Topic, message.UniqueKey);
                if (keys.Find(key) is { Live: true, Value: { } holder })
                {
                    var present = Encoding.ASCII.GetString(holder);
                    switch (message.IfDuplicate)
                    {
                        case KvDuplicatePolicy.Refuse:
                            throw new KvException(
                                KvErrorKind.Duplicate,
                                $"The topic '{message.Topic}' has a message with the unique key "
                                + $"'{KeyScope.FromStored(message.Scope).Out(message.UniqueKey)}' already: "
                                + $"{present}. Nothing was written; wait for it, cancel it, or ask to keep or replace it.");
                        case KvDuplicatePolicy.Keep:
                            ids ??= messages.ConvertAll(static m => m.Id);
                            ids[i] = present;
                            continue;
                        default:
                            // One of this group is not in the tables yet.
                            _pendingMessages.RemoveAll(m => m.Message.Id == present);
                            _pendingRemovals.Add(present);
                            break;
                    }
                }

                keys.Put(key, Encoding.ASCII.GetBytes(message.Id), (int)KvEncoding.Bytes, expiresAt: -1, version, versionOffset);
            }

            _pendingMessages.Add((message, versionOffset));
        }

        return ids;
    }

    /// <summary>
    /// A message that had a unique key ends: the key is free, unless it is another's by now, or is to stay taken for a time.
    /// </summary>
    public void Release(byte[] key, string id, long until, long now, long version, long versionOffset)
    {
        if (keys.Find(key) is not { Live: true, Value: { } holder } || !holder.AsSpan().SequenceEqual(Encoding.ASCII.GetBytes(id)))
        {
            return;
        }

        if (until > now)
        {
            keys.Put(key, holder, (int)KvEncoding.Bytes, until, version, versionOffset);
        }
        else
        {
            keys.Delete(key);
        }
    }

    /// <summary>Forgets what a refused write had begun.</summary>
    public void Forget()
    {
        _pendingMessages.Clear();
        _pendingRemovals.Clear();
    }

    /// <summary>What the write did counts.</summary>
    public void Merge()
    {
        foreach (var id in _pendingRemovals)
        {
            effects.Messages.RemoveAll(m => m.Message.Id == id);
        }

        effects.Removed.AddRange(_pendingRemovals);
        effects.Messages.AddRange(_pendingMessages);
        Forget();
    }
}
