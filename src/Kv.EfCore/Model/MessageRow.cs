namespace Kv.Model;

/// <summary>What a message carries wherever it is: waiting in <c>queue</c> or held in <c>queue_running</c>.</summary>
public abstract class MessageRow
{
    private protected MessageRow()
    {
    }

    /// <summary>The message's name for life: a lower-case UUID that sorts by the time of its making.</summary>
    public string Id { get; private set; } = "";

    /// <summary>The payload; <see cref="Encoding"/> says what it is.</summary>
    public byte[] Data { get; private set; } = [];

    /// <summary>The waits that are left, one per further attempt: a JSON array of milliseconds.</summary>
    public string BackoffSchedule { get; private set; } = "[]";

    /// <summary>Where the payload is written when every attempt failed: a JSON array of encoded keys, each an array of byte values.</summary>
    public string KeysIfUndelivered { get; private set; } = "[]";

    /// <summary>What workers subscribe to; empty for messages put in by programs that know no topics.</summary>
    public string Topic { get; private set; } = "";

    /// <summary>The name of the message's type; see <see cref="KvMessageAttribute"/>.</summary>
    public string Type { get; private set; } = "";

    /// <summary>How <see cref="Data"/> is encoded.</summary>
    public KvEncoding Encoding { get; private set; }

    /// <summary>How many attempts have failed.</summary>
    public int Attempt { get; private set; }

    /// <summary>How many leases ended without a word from their worker.</summary>
    public int Crashes { get; private set; }

    /// <summary>How often the message was claimed. With the owner it fences every change of a held message.</summary>
    public long Claim { get; private set; }

    /// <summary>When the message was committed, in Unix milliseconds; 0 if a program that does not say put it in.</summary>
    public long EnqueuedAt { get; private set; }

    /// <summary>The W3C traceparent of the call that enqueued the message.</summary>
    public string? Trace { get; private set; }

    /// <summary>Messages with a lower number are claimed first.</summary>
    public int Priority { get; private set; }

    /// <summary>Messages of one topic and group share the group's slots: see <see cref="GroupLimit"/>.</summary>
    public string? GroupKey { get; private set; }

    /// <summary>How many messages of the group may run at the same time; 0 for one at a time in the order of their commits.</summary>
    public int GroupLimit { get; private set; }

    /// <summary>What the topic's rate per key counts by.</summary>
    public string? RateKey { get; private set; }

    /// <summary>The encoded prefix of the scope that the message was enqueued in; null for none.</summary>
    public byte[]? Scope { get; private set; }

    /// <summary>The time that the topic's rate gave to the message when there was no token for it, in Unix milliseconds; 0 for none.</summary>
    public long RateToken { get; private set; }

    /// <summary>What no other message of the topic has.</summary>
    public string? UniqueKey { get; private set; }

    /// <summary>
    /// Until when the unique key stays taken even if the message is done, in Unix milliseconds; 0 for no longer than the message is here.
    /// </summary>
    public long UniqueUntil { get; private set; }

    /// <summary>
    /// Whether the topic's retry policy may stand in for <see cref="BackoffSchedule"/>: the message was enqueued without a schedule.
    /// </summary>
    public bool TopicRetries { get; private set; }

    /// <summary>The error of the first attempt that failed, as JSON; see <see cref="KvMessageError"/>.</summary>
    public string? FirstError { get; private set; }

    /// <summary>The error of the last attempt that failed, as JSON; see <see cref="KvMessageError"/>.</summary>
    public string? LastError { get; private set; }

    /// <summary>Whether the message was to be cancelled while it ran.</summary>
    public bool IsCancelled { get; private set; }

    /// <summary>What an attempt left for the next one.</summary>
    public byte[]? Checkpoint { get; private set; }

    /// <summary>How <see cref="Checkpoint"/> is encoded.</summary>
    public KvEncoding CheckpointEncoding { get; private set; }
}
