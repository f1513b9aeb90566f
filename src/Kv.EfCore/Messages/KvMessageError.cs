namespace Kv;

/// <summary>Why an attempt to handle a message failed.</summary>
/// <param name="Type">The full name of the exception's type.</param>
/// <param name="Message">Its message, of which at most <see cref="MaxMessage"/> characters are kept.</param>
/// <param name="Stack">Its stack trace and inner exceptions, of which at most <see cref="MaxStack"/> characters are kept.</param>
/// <param name="Attempt">Which attempt failed, from 1.</param>
/// <param name="At">When it failed.</param>
public sealed record KvMessageError(string Type, string Message, string? Stack, int Attempt, DateTimeOffset At)
{
    /// <summary>Characters of a message that are kept.</summary>
    public const int MaxMessage = 1_000;

    /// <summary>Characters of a stack that are kept.</summary>
    public const int MaxStack = 4_000;

    internal static KvMessageError Of(Exception error, int attempt, DateTimeOffset at) => new(
        Shorten(error.GetType().FullName ?? error.GetType().Name, MaxMessage),
        Shorten(Read(error, static e => e.Message) ?? "", MaxMessage),
        Read(error, static e => e.StackTrace is null && e.InnerException is null ? null : Shorten(e.ToString(), MaxStack)),
        attempt,
        at);

    /// <summary>The beginning of a text, and no half of a character.</summary>
    internal static string Shorten(string text, int most) =>
        text.Length <= most ? text : text[..(char.IsHighSurrogate(text[most - 1]) ? most - 1 : most)];

    // An exception's members are its author's code, and what they throw must not keep the attempt from being recorded.
    private static string? Read(Exception error, Func<Exception, string?> member)
    {
        try
        {
            return member(error);
        }
        catch (Exception failure)
        {
            return $"The exception cannot be described: {failure.GetType().FullName} was thrown by the attempt.";
        }
    }
}
