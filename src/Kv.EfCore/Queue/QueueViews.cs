using Kv.Connections;
using Kv.Messages;
using Kv.Sql;

namespace Kv.Queue;

/// <summary>Messages as they are in the queue's tables, for looks at them: rows of other programs are read like those that are claimed.</summary>
internal sealed class QueueViews(KvSql sql, ReadRunner runner)
{
    /// <summary>The waiting message of an id, or the held one; null for none.</summary>
    public async ValueTask<MessageView?> FindAsync(string id, CancellationToken cancellationToken) =>
        (await ReadAsync(sql.WaitingOf, [("@id", id)], isRunning: false, cancellationToken).ConfigureAwait(false)).FirstOrDefault()
        ?? (await ReadAsync(sql.RunningOf, [("@id", id)], isRunning: true, cancellationToken).ConfigureAwait(false)).FirstOrDefault();

    /// <summary>The first messages of a topic that may be claimed when they are due.</summary>
    public ValueTask<List<MessageView>> PeekAsync(string topic, int limit, CancellationToken cancellationToken) =>
        ReadAsync(sql.Peek, [("@topic", topic), ("@limit", limit)], isRunning: false, cancellationToken);

    /// <summary>Held messages, by the ends of their leases.</summary>
    public ValueTask<List<MessageView>> RunningAsync(int limit, CancellationToken cancellationToken) =>
        ReadAsync(sql.Running, [("@limit", limit)], isRunning: true, cancellationToken);

    /// <summary>How many messages there are, by topic and state, and of each topic those that are held.</summary>
    public ValueTask<(List<WaitingCount> Waiting, List<(string Topic, long Count)> Running)> CountAsync(long now, CancellationToken cancellationToken) => runner.RunAsync(
        now,
        static async (session, now, token) =>
        {
            List<WaitingCount> waiting = [];
            var reader = await session.Statement(session.Sql.CountWaiting).Set("@now", now).ReadAsync(token).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(token).ConfigureAwait(false))
                {
                    waiting.Add(new WaitingCount(reader.GetString(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4)));
                }
            }

            List<(string, long)> running = [];
            reader = await session.Statement(session.Sql.CountRunning).ReadAsync(token).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(token).ConfigureAwait(false))
                {
                    running.Add((reader.GetString(0), reader.GetInt64(1)));
                }
            }

            return (waiting, running);
        },
        cancellationToken);

    /// <summary>Whether there is any message of a topic.</summary>
    public ValueTask<bool> IsUsedAsync(string topic, CancellationToken cancellationToken) => runner.RunAsync(
        topic,
        static async (session, of, token) => await session.Statement(session.Sql.IsUsed).Set("@topic", of).ScalarAsync(token).ConfigureAwait(false) is not (null or DBNull),
        cancellationToken);

    private ValueTask<List<MessageView>> ReadAsync(
        string text, (string Name, object Value)[] values, bool isRunning, CancellationToken cancellationToken) => runner.RunAsync(
        (Text: text, Values: values, IsRunning: isRunning),
        static async (session, arg, token) =>
        {
            var statement = session.Statement(arg.Text);
            foreach (var (name, value) in arg.Values)
            {
                statement.Set(name, value);
            }

            List<MessageView> found = [];
            var reader = await statement.ReadAsync(token).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(token).ConfigureAwait(false))
                {
                    var message = ClaimedRow.Read(reader, owner: "");
                    found.Add(arg.IsRunning
                        ? new MessageView(message, reader.GetInt64(ClaimedRow.Next), State: null)
                        {
                            Owner = reader.GetString(ClaimedRow.Next + 1),
                            Progress = reader.IsDBNull(ClaimedRow.Next + 2) ? null : reader.GetDouble(ClaimedRow.Next + 2),
                            Note = reader.IsDBNull(ClaimedRow.Next + 3) ? null : reader.GetString(ClaimedRow.Next + 3),
                        }
                        : new MessageView(message, reader.GetInt64(ClaimedRow.Next), reader.GetInt64(ClaimedRow.Next + 1)));
                }
            }

            return found;
        },
        cancellationToken);
}

/// <summary>A message as it is at a moment.</summary>
/// <param name="Message">The message; a look does not hold it.</param>
/// <param name="Until">When it is due, or its lease ends, in Unix milliseconds.</param>
/// <param name="State">What it waits for; null if it is held.</param>
internal sealed record MessageView(ClaimedMessage Message, long Until, long? State)
{
    public string? Owner { get; init; }

    public double? Progress { get; init; }

    public string? Note { get; init; }
}

/// <summary>Waiting messages of a topic that are alike.</summary>
/// <param name="Topic">The topic.</param>
/// <param name="State">What they wait for.</param>
/// <param name="Count">How many there are.</param>
/// <param name="Due">How many of them are due.</param>
/// <param name="First">When the first one is due, in Unix milliseconds.</param>
internal readonly record struct WaitingCount(string Topic, long State, long Count, long Due, long First);
