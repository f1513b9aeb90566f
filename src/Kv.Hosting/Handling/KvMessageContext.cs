using Kv.Diagnostics;
using Kv.Handling;
using Kv.Keys;
using Kv.Messages;
using Microsoft.EntityFrameworkCore;

namespace Kv;

/// <summary>What a message carries besides itself, and the means to complete it.</summary>
/// <remarks>
/// What it carries can be read at any time. What acts on the message is good until the handler has ended or the message is completed; later
/// it is refused with an <see cref="InvalidOperationException"/>.
/// </remarks>
public sealed class KvMessageContext
{
    private const int MaxNote = 500;
    private readonly HeldMessage _held;

    internal KvMessageContext(HeldMessage held, IServiceProvider services)
    {
        _held = held;
        Services = services;
    }

    /// <summary>The message's id: the same for all its attempts.</summary>
    public string Id => _held.Message.Fence.Id;

    /// <summary>The topic it came by.</summary>
    public string Topic => _held.Message.Topic;

    /// <summary>The name of its type; empty if the program that enqueued it knows no names.</summary>
    public string Type => _held.Message.Type;

    /// <summary>Which attempt this is, from 1. Attempts that were interrupted do not count.</summary>
    public int Attempt => _held.Message.Attempt + 1;

    /// <summary>When it was committed.</summary>
    public DateTimeOffset EnqueuedAt => KvMessageInfo.Time(_held.Message.EnqueuedAt);

    /// <summary>The payload as it is stored.</summary>
    public KvValue Payload => new(_held.Message.Data, (KvEncoding)_held.Message.Encoding);

    /// <summary>The payload as a .NET type, for handlers of a topic, which get none: of Deno's messages for example.</summary>
    /// <typeparam name="T">What it is read as.</typeparam>
    /// <exception cref="KvException">It cannot be read as that type.</exception>
    public T? GetPayload<T>() => Read<T>(Payload, "payload");

    /// <summary>Its priority.</summary>
    public int Priority => _held.Message.Priority;

    /// <summary>Its group or concurrency key.</summary>
    public string? GroupKey => _held.Store.Shown.Out(_held.Message.GroupKey);

    /// <summary>The W3C traceparent of the code that enqueued it.</summary>
    public string? Trace => _held.Message.Trace;

    /// <summary>Why the first attempt failed; null if none did.</summary>
    public KvMessageError? FirstError => MessageColumns.ReadError(_held.Message.FirstError);

    /// <summary>Why the last attempt failed; null if none did.</summary>
    public KvMessageError? LastError => MessageColumns.ReadError(_held.Message.LastError);

    /// <summary>What an earlier attempt left with <see cref="SaveCheckpointAsync"/>; null if none did.</summary>
    public KvValue? Checkpoint =>
        _held.Message.Checkpoint is { } bytes ? new KvValue(bytes, (KvEncoding)_held.Message.CheckpointEncoding) : null;

    /// <summary>The store that the message was enqueued in: of one that was enqueued in a scope, that scope.</summary>
    public IKvStore Store => _held.Store;

    /// <summary>The prefix of the scope that the message was enqueued in; null for none.</summary>
    public KvKey? Scope => _held.Store.Shown is { IsAll: false } scope ? scope.Prefix : null;

    /// <summary>The message as its worker holds it.</summary>
    internal HeldMessage Held => _held;

    /// <summary>What spans say of the store.</summary>
    internal TracedStore Traced => _held.Store.Engine.Traced;

    /// <summary>The payload as the type that its handler takes.</summary>
    /// <exception cref="KvUnreadableMessageException">It cannot be read as that type.</exception>
    internal TMessage Read<TMessage>()
    {
        try
        {
            return Read<TMessage>(Payload, "payload")
                ?? throw new KvUnreadableMessageException(
                    $"The payload of message {Id} is null, where a '{Type}' is expected. Look at what enqueued it.");
        }
        catch (KvException error) when (error is not KvUnreadableMessageException)
        {
            throw new KvUnreadableMessageException(error.Message, error.InnerException);
        }
    }

    /// <summary>The services of the message's scope.</summary>
    public IServiceProvider Services { get; }

    /// <summary>Commits a write together with the message's removal from the queue: both, or neither. Call it at the end.</summary>
    /// <remarks>
    /// If it is refused by its checks, or throws, the message is not completed, and it can be called again. A handler that returns then has
    /// failed its attempt, unless it says otherwise with <see cref="Snooze"/>, <see cref="RetryIn"/>, <see cref="RetryAt"/> or
    /// <see cref="DeadLetter"/>. Completing with an empty write lets the message go.
    /// </remarks>
    /// <param name="write">Adds checks, mutations and further messages. What it gets is committed here, and good until it returns.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>The versionstamp; or, if checks refused the write, which ones: then the message is not completed.</returns>
    /// <exception cref="InvalidOperationException">
    /// The message is completed already, or being completed, or its handler has ended.
    /// </exception>
    /// <exception cref="KvException">
    /// The lease was lost (<see cref="KvErrorKind.LeaseLost"/>), or the write cannot be done: nothing was written, and the message is not
    /// completed.
    /// </exception>
    public ValueTask<KvCommitResult> CompleteAsync(Action<KvAtomic> write, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(write);
        return _held.Handling.CompleteAsync(write, cancellationToken);
    }

    /// <summary>
    /// Makes the message's removal from the queue, and a write if there is one, part of the transaction that a context of yours has open:
    /// all of it is committed with your entities, or nothing. Call it last, then commit.
    /// </summary>
    /// <remarks>
    /// If it is refused or the transaction is not committed, the attempt has failed when the handler ends, unless the handler says
    /// otherwise. The store's version is locked until the transaction ends.
    /// </remarks>
    /// <param name="context">A context on the store's database with a transaction open (<c>Database.BeginTransactionAsync()</c>).</param>
    /// <param name="write">
    /// Adds checks, mutations and further messages; null for none. What it gets is committed here, and good until it returns.
    /// </param>
    /// <param name="cancellationToken">Stops the write; then roll your transaction back.</param>
    /// <returns>The versionstamp; or, if checks refused the write, which ones: then the message is not completed.</returns>
    /// <exception cref="InvalidOperationException">
    /// The message is completed already, or being completed, or its handler has ended; or the context has no transaction open.
    /// </exception>
    /// <exception cref="KvException">
    /// The lease was lost (<see cref="KvErrorKind.LeaseLost"/>), or the write cannot be done: roll your transaction back.
    /// </exception>
    public ValueTask<KvCommitResult> CompleteAsync(
        DbContext context, Action<KvAtomic>? write = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(context);
        return _held.Handling.CompleteAsync(write, context, cancellationToken);
    }

    /// <summary>When the handler ends, puts the message back for a time. It costs no attempt.</summary>
    /// <param name="delay">How long, from zero to 30 days.</param>
    /// <exception cref="ArgumentException">The time is out of its range.</exception>
    /// <exception cref="InvalidOperationException">The handler has ended, or the message is completed.</exception>
    public void Snooze(TimeSpan delay) => _held.Handling.Decide(new HandlerDecision.Snooze(Valid(delay, nameof(delay))));

    /// <summary>
    /// When the handler ends, counts the attempt as failed and tries again after a time, whatever the message's delays are and however many
    /// attempts were made.
    /// </summary>
    /// <param name="delay">How long, from zero to 30 days.</param>
    /// <exception cref="ArgumentException">The time is out of its range.</exception>
    /// <exception cref="InvalidOperationException">The handler has ended, or the message is completed.</exception>
    public void RetryIn(TimeSpan delay) => _held.Handling.Decide(new HandlerDecision.Retry(Valid(delay, nameof(delay))));

    /// <summary>
    /// When the handler ends, counts the attempt as failed and tries again at a time, whatever the message's delays are and however many
    /// attempts were made.
    /// </summary>
    /// <param name="time">When, up to 30 days ahead; a time that has passed means at once.</param>
    /// <exception cref="ArgumentException">The time is out of its range.</exception>
    /// <exception cref="InvalidOperationException">The handler has ended, or the message is completed.</exception>
    public void RetryAt(DateTimeOffset time)
    {
        var delay = time - _held.UtcNow;
        _held.Handling.Decide(new HandlerDecision.Retry(Valid(delay > TimeSpan.Zero ? delay : TimeSpan.Zero, nameof(time))));
    }

    /// <summary>
    /// When the handler ends, makes a dead letter of the message: it goes where undeliverable messages go, with the reason.
    /// </summary>
    /// <param name="reason">Why; of a long text the first <see cref="KvMessageError.MaxMessage"/> characters are kept.</param>
    /// <exception cref="InvalidOperationException">The handler has ended, or the message is completed.</exception>
    public void DeadLetter(string reason)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(reason);
        _held.Handling.Decide(new HandlerDecision.DeadLetter(KvMessageError.Shorten(reason, KvMessageError.MaxMessage)));
    }

    /// <summary>Says how far the handler is, for a look at it: <see cref="KvMessageInfo.Progress"/>.</summary>
    /// <param name="fraction">From 0 to 1.</param>
    /// <param name="note">What it is doing, up to 500 characters; null leaves the note as it is.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <exception cref="ArgumentException">The fraction is not between 0 and 1, or the note is too long.</exception>
    /// <exception cref="InvalidOperationException">The handler has ended, or the message is completed.</exception>
    /// <exception cref="KvException">The lease was lost (<see cref="KvErrorKind.LeaseLost"/>).</exception>
    public ValueTask ReportProgressAsync(double fraction, string? note = null, CancellationToken cancellationToken = default)
    {
        if (fraction is not (>= 0 and <= 1))
        {
            throw new ArgumentException($"The progress is {fraction}; it must be 0 to 1.", nameof(fraction));
        }

        if (note is not null && (note.Length > MaxNote || !StoredText.IsValid(note)))
        {
            throw new ArgumentException(
                $"The note has {note.Length} characters; up to {MaxNote} are allowed, and none of them NUL "
                + "or half of a surrogate pair.", nameof(note));
        }

        return _held.Handling.ReportAsync(fraction, note, cancellationToken);
    }

    /// <summary>Keeps a value that the next attempt finds in <see cref="Checkpoint"/>, also after a crash.</summary>
    /// <typeparam name="T">The value's type; see <see cref="IKvValueSerializer"/>.</typeparam>
    /// <param name="value">The value; at most <see cref="KvStoreOptions.MaxMessageSize"/> bytes when serialized.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <exception cref="ArgumentException">The value is too large.</exception>
    /// <exception cref="InvalidOperationException">The handler has ended, or the message is completed.</exception>
    /// <exception cref="KvException">The lease was lost (<see cref="KvErrorKind.LeaseLost"/>).</exception>
    public ValueTask SaveCheckpointAsync<T>(T value, CancellationToken cancellationToken = default) =>
        _held.Handling.SaveCheckpointAsync(value, cancellationToken);

    /// <summary>The checkpoint as a .NET type.</summary>
    /// <typeparam name="T">What it is read as.</typeparam>
    /// <returns>The value, or the default of the type if there is none.</returns>
    /// <exception cref="KvException">It cannot be read as that type.</exception>
    public T? GetCheckpoint<T>() => Checkpoint is { } value ? Read<T>(value, "checkpoint") : default;

    private T? Read<T>(KvValue value, string what)
    {
        try
        {
            return _held.Store.Serializer.Deserialize<T>(value);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            throw new KvException(
                (error as KvException)?.Kind ?? KvErrorKind.Encoding,
                $"The {what} of message {Id} ('{Type}' of '{Topic}') cannot be read: {error.Message}",
                error);
        }
    }

    private static TimeSpan Valid(TimeSpan delay, string parameter) => delay >= TimeSpan.Zero && delay <= KvLimits.MaxDelay
        ? delay
        : throw new ArgumentException($"The wait is {delay}; it must be zero to 30 days.", parameter);
}
