using System.Collections.Concurrent;
using Kv.Commits;
using Kv.Connections;
using Kv.Messages;
using Kv.Sql;

namespace Kv.Queue;

/// <summary>
/// Looks for rows that no claim would ever take, whatever put them in: what can be handled is made so that it is, and the rest is for the
/// worker to make dead letters of. It looks by indexes and writes only where it found something.
/// </summary>
internal sealed class StrayFinder(ReadRunner runner, CommitPipeline pipeline, Driver driver, StoreClock clock)
{
    private const int ManyAtOnce = 100;

    // A probe or two for each; where there are more, the next look goes on from there.
    private const int GroupsAtOnce = 1000;

    // A lease is an hour at the most.
    private static readonly long Longest = (long)TimeSpan.FromDays(1).TotalMilliseconds;

    /// <summary>Of each topic the group after which to look next.</summary>
    private readonly ConcurrentDictionary<string, string> _after = new(StringComparer.Ordinal);

    /// <summary>Has those of some topics handled that can be.</summary>
    /// <param name="topics">The topics.</param>
    /// <param name="endless">Whether deadlines can be believed, so that one which no worker has asked for is known for what it is.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What was mended, and the messages that cannot be handled.</returns>
    public async ValueTask<FoundStrays> FindAsync(
        IReadOnlyList<string> topics, bool endless, CancellationToken cancellationToken)
    {
        var mended = 0;
        foreach (var topic in Sql.Mends.Count == 0 ? [] : topics)
        {
            foreach (var (find, mend) in Sql.Mends)
            {
                if (await ExistsAsync(find, [("@topic", topic)], cancellationToken).ConfigureAwait(false))
                {
                    mended += await UpdateAsync(mend, [("@topic", topic), ("@now", clock.Now)], cancellationToken).ConfigureAwait(false);
                }
            }
        }

        (string, object?)[] limits = [("@now", clock.Now), ("@longest", Longest), ("@limit", ManyAtOnce)];
        if (endless && await ExistsAsync(Sql.HasEndless, limits, cancellationToken).ConfigureAwait(false))
        {
            mended += await UpdateAsync(Sql.EndEndless, limits, cancellationToken).ConfigureAwait(false);
        }

        List<MessageGroup> freed = [];
        foreach (var ofTopic in (await BlockedAsync(topics, cancellationToken).ConfigureAwait(false)).ToLookup(static b => b.Topic, StringComparer.Ordinal))
        {
            foreach (var (row, _, _) in ofTopic.Where(static b => !b.HasGroup))
            {
                mended += await UpdateAsync(Sql.LetUngroupedGo, [("@place", row.Position), ("@id", row.Id)], cancellationToken).ConfigureAwait(false);
            }

            if (ofTopic.Any(static b => b.HasGroup))
            {
                freed.AddRange(await FreeAsync(ofTopic.Key, cancellationToken).ConfigureAwait(false));
            }
        }

        var strays = await runner.RunAsync((Finder: this, Topics: topics), static (session, arg, token) => arg.Finder.StraysAsync(session, arg.Topics, token), cancellationToken)
            .ConfigureAwait(false);
        return new FoundStrays(mended, freed, strays);
    }

    private ValueTask<bool> ExistsAsync(string text, (string Name, object? Value)[] values, CancellationToken cancellationToken) => runner.RunAsync(
        (Text: text, Values: values),
        static async (session, arg, token) => await Fill(session.Statement(arg.Text), arg.Values).ScalarAsync(token).ConfigureAwait(false) is not (null or DBNull),
        cancellationToken);

    private async ValueTask<int> UpdateAsync(string text, (string Name, object? Value)[] values, CancellationToken cancellationToken) =>
        await pipeline.SubmitAsync(new UpdateWork(text, values), cancellationToken).ConfigureAwait(false) ? 1 : 0;

    /// <summary>
    /// Lets groups of a topic go on that are blocked for nothing: the message that had their slot was deleted with other SQL, or another program
    /// moved it.
    /// </summary>
    private async ValueTask<IReadOnlyList<MessageGroup>> FreeAsync(string topic, CancellationToken cancellationToken)
    {
        // Found without a lock; whether there is a slot is looked at again under the version row.
        var (stranded, last) = await runner.RunAsync(
            (Topic: topic, After: _after.GetValueOrDefault(topic, "")),
            static (session, arg, token) => StrandedAsync(session, arg.Topic, arg.After, token),
            cancellationToken).ConfigureAwait(false);
        if (stranded.Count > 0)
        {
            await pipeline.SubmitAsync(new AtomicWork(new AtomicWrite { Unblocks = stranded }), cancellationToken).ConfigureAwait(false);
        }

        _after[topic] = last ?? "";
        return stranded;
    }

    /// <returns>The groups that are blocked for nothing, and the last one that was looked at; null if there are no more behind it.</returns>
    private static async ValueTask<(List<MessageGroup> Stranded, string? Last)> StrandedAsync(
        Session session, string topic, string after, CancellationToken cancellationToken)
    {
        List<MessageGroup> stranded = [];
        string? last = null;
        var statement = session.Statement(session.Sql.Stranded).Set("@topic", topic).Set("@after", after).Set("@limit", GroupsAtOnce);
        var reader = await statement.ReadAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                if (reader.GetInt32(1) == 1)
                {
                    stranded.Add(new MessageGroup(topic, reader.GetString(0)));
                }
                else
                {
                    last = reader.GetString(0);
                }
            }
        }

        return (stranded, last);
    }

    private ValueTask<List<(StrayRow Row, bool HasGroup, string Topic)>> BlockedAsync(
        IReadOnlyList<string> topics, CancellationToken cancellationToken) => runner.RunAsync(
        (Finder: this, Topics: topics),
        static async (session, arg, token) =>
        {
            List<(StrayRow Row, bool HasGroup, string Topic)> rows = [];
            foreach (var statement in arg.Finder.OfEach(session.Statement(arg.Finder.Sql.Blocked), arg.Topics))
            {
                var reader = await statement.ReadAsync(token).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    while (await reader.ReadAsync(token).ConfigureAwait(false))
                    {
                        rows.Add((new StrayRow(reader.GetValue(0), reader.GetValue(1)), !reader.IsDBNull(2), reader.GetString(3)));
                    }
                }
            }

            return rows;
        },
        cancellationToken);

    private async ValueTask<IReadOnlyList<StrayMessage>> StraysAsync(Session session, IReadOnlyList<string> topics, CancellationToken cancellationToken)
    {
        List<StrayMessage> strays = [];
        foreach (var statement in OfEach(session.Statement(Sql.Strays), topics))
        {
            var reader = await statement.ReadAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    strays.Add(new StrayMessage(new StrayRow(reader.GetValue(ClaimedRow.Next), reader.GetValue(0)), ClaimedRow.Read(reader, owner: ""), reader.GetValue(ClaimedRow.Next + 1)));
                }
            }
        }

        return strays;
    }

    private KvSql Sql => driver.Sql;

    private IEnumerable<Statement> OfEach(Statement statement, IReadOnlyList<string> topics) => driver.OfTopics(statement.Set("@limit", ManyAtOnce), topics);

    private static Statement Fill(Statement statement, (string Name, object? Value)[] values)
    {
        foreach (var (name, value) in values)
        {
            statement.Set(name, value);
        }

        return statement;
    }
}

/// <summary>What a look for strays found.</summary>
/// <param name="Mended">How many rows were made so that a claim takes them.</param>
/// <param name="Freed">The groups that were blocked for nothing, and go on.</param>
/// <param name="Messages">The messages that cannot be handled.</param>
internal sealed record FoundStrays(int Mended, IReadOnlyList<MessageGroup> Freed, IReadOnlyList<StrayMessage> Messages);

/// <summary>A message that no claim takes.</summary>
/// <param name="Row">Where it is.</param>
/// <param name="Message">The message; it does not run.</param>
/// <param name="State">Its state, as the database has it.</param>
internal sealed record StrayMessage(StrayRow Row, ClaimedMessage Message, object State)
{
    /// <summary>Whether a claim set it aside, for another message with its id.</summary>
    public bool IsTwin { get; } = State is 3 or 3L;
}
