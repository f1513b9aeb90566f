using Kv.Control;
using Kv.Messages;
using Kv.Model;
using Kv.Store;
using Microsoft.EntityFrameworkCore;

namespace Kv.Looking;

/// <summary>Says whether messages are where a test expects them, and lists what is there if they are not.</summary>
/// <param name="store">The store.</param>
internal sealed class QueueAssertions(KvStore store)
{
    // A longer text makes a failed test unreadable.
    private const int Most = 50;

    public KvEnqueued<T> Enqueued<T>(Func<T, bool>? predicate, DateTimeOffset? due)
    {
        var rows = Rows();
        return Find(rows, predicate, due).FirstOrDefault() ?? throw new KvTestException(
            $"{Expected<T>(predicate is not null, due)} was expected in the queue. {List(rows)}");
    }

    public void NotEnqueued<T>(Func<T, bool>? predicate)
    {
        var rows = Rows();
        if (Find(rows, predicate, due: null).Any())
        {
            throw new KvTestException($"{Expected<T>(predicate is not null, due: null)} was not expected in the queue. {List(rows)}");
        }
    }

    /// <summary>No message waits, and none runs.</summary>
    public void Empty()
    {
        using var context = store.Engine.CreateContext();
        List<string> lines = [
            .. Rows(context).Select(StoreTexts.Of),
            .. context.RunningMessages.AsNoTracking().OrderBy(static row => row.Id).AsEnumerable().Select(StoreTexts.Of),
        ];
        if (lines.Count > 0)
        {
            throw new KvTestException($"No message was expected to wait or run. What is there:{Lines(lines)}");
        }
    }

    public KvDeadLetter DeadLetter<T>(Func<T, bool>? predicate)
    {
        var letters = Letters();
        var name = MessageName.Of<T>().Name;
        return letters.Find(letter => letter.Type == name && (predicate is null || predicate(Read<T>(letter.Payload))))
            ?? throw new KvTestException(
                $"{Expected<T>(predicate is not null, due: null)} was expected among the dead letters. "
                + (letters.Count == 0 ? "There are none." : $"What is there:{Lines(letters.Select(StoreTexts.Of))}"));
    }

    public void NoDeadLetters()
    {
        var letters = Letters();
        if (letters.Count > 0)
        {
            throw new KvTestException($"No dead letter was expected. What is there:{Lines(letters.Select(StoreTexts.Of))}");
        }
    }

    /// <summary>All dead letters.</summary>
    public List<KvDeadLetter> Letters() => Task.Run(async () =>
    {
        List<KvDeadLetter> letters = [];
        await foreach (var letter in new DeadLetters(store).ListAsync(topic: null, CancellationToken.None).ConfigureAwait(false))
        {
            letters.Add(letter);
        }

        return letters;
    }).GetAwaiter().GetResult();

    /// <summary>Lines, of which many are cut short.</summary>
    public static string Lines(IEnumerable<string> lines)
    {
        var all = lines.ToList();
        var more = all.Count > Most ? $"\n  … and {all.Count - Most} more" : "";
        return string.Concat(all.Take(Most).Select(static line => $"\n  {line}")) + more;
    }

    private List<QueuedMessage> Rows()
    {
        using var context = store.Engine.CreateContext();
        return Rows(context);
    }

    private static List<QueuedMessage> Rows(KvDbContext context) =>
        [.. context.QueuedMessages.AsNoTracking().OrderBy(static row => row.DueAt).ThenBy(static row => row.Id)];

    private IEnumerable<KvEnqueued<T>> Find<T>(List<QueuedMessage> rows, Func<T, bool>? predicate, DateTimeOffset? due)
    {
        var name = MessageName.Of<T>().Name;
        foreach (var row in rows.Where(row => row.Type == name && (due is null || row.DueAt == due.Value.ToUnixTimeMilliseconds())))
        {
            var message = Read<T>(new KvValue(row.Data, row.Encoding));
            if (predicate is null || predicate(message))
            {
                yield return new KvEnqueued<T>
                {
                    Message = message,
                    Id = row.Id,
                    Topic = row.Topic,
                    DueAt = KvMessageInfo.Time(row.DueAt),
                    FailedAttempts = row.Attempt,
                    Priority = row.Priority,
                };
            }
        }
    }

    private T Read<T>(KvValue value) => store.Serializer.Deserialize<T>(value)!;

    private static string Expected<T>(bool matches, DateTimeOffset? due) =>
        $"A message '{MessageName.Of<T>().Name}'{(matches ? " that matches" : "")}{(due is { } at ? $", due {Times.Text(at)}," : "")}";

    private static string List(List<QueuedMessage> rows) =>
        rows.Count == 0 ? "The queue is empty." : $"What is there:{Lines(rows.Select(StoreTexts.Of))}";
}
