using System.Collections.Concurrent;

namespace Kv.PostgreSql;

/// <summary>What is known of the sessions and commands of the application's that messages may be appended to.</summary>
internal sealed class AppendedCommands
{
    /// <summary>How often a text must have come before it is prepared, as with the driver's own way to prepare by itself.</summary>
    public const int UsesBeforePreparing = 5;

    /// <summary>How many texts are prepared at the most: a session of the server keeps each for its life.</summary>
    public const int MostPrepared = 100;

    // Longer ones are of many entities, seldom of as many again.
    private const int LongestPrepared = 4096;
    private const int MostTexts = 1000;
    private const int MostSessions = 4096;
    private readonly ConcurrentDictionary<string, bool> _tried = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int> _uses = new(StringComparer.Ordinal);
    private int _prepared;

    /// <summary>Whether a session has put in messages by a statement of their own.</summary>
    public bool IsTried(string session) => _tried.ContainsKey(session);

    /// <inheritdoc cref="IsTried" />
    public void Tried(string session)
    {
        if (_tried.Count >= MostSessions)
        {
            _tried.Clear();
        }

        _tried.TryAdd(session, true);
    }

    /// <summary>A server has ended sessions: others get their numbers when it is started again.</summary>
    public void ForgetSessions() => _tried.Clear();

    /// <summary>Whether a command that is about to run is to be prepared: one whose text comes again and again.</summary>
    public bool IsWorthPreparing(string text)
    {
        if (text.Length > LongestPrepared)
        {
            return false;
        }

        var uses = _uses.GetValueOrDefault(text);
        if (uses >= UsesBeforePreparing)
        {
            return uses > UsesBeforePreparing || TryTake(text);
        }

        if (uses > 0 || _uses.Count < MostTexts)
        {
            _uses.AddOrUpdate(text, 1, static (_, before) => Math.Min(before + 1, UsesBeforePreparing));
        }

        return false;
    }

    private bool TryTake(string text)
    {
        if (Volatile.Read(ref _prepared) >= MostPrepared)
        {
            return false;
        }

        if (_uses.TryUpdate(text, UsesBeforePreparing + 1, UsesBeforePreparing))
        {
            Interlocked.Increment(ref _prepared);
        }

        return true;
    }
}
