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

    /// <summary>The W3C traceparent of whoever enqueued the message.</summary>
    public string? Trace { get; private set; }
}
