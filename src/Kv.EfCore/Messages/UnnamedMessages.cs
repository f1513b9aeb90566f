using System.Collections.Concurrent;
using Kv.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Kv.Messages;

/// <summary>Warns once of each type of messages whose name is that of its class.</summary>
internal sealed class UnnamedMessages(ILogger logger)
{
    private readonly ConcurrentDictionary<Type, bool> _seen = new();

    public void Enqueued(Type type, string name)
    {
        if (_seen.TryAdd(type, true))
        {
            KvLog.MessageUnnamed(logger, name);
        }
    }
}
