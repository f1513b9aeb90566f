using System.Data.Common;
using Kv.Commits;
using Kv.Connections;
using Kv.Messages;

namespace Kv.PostgreSql;

/// <summary>Statements that go to the database together, as one batch, with what gives them their values and reads their rows.</summary>
internal sealed class RoundTrip(Session session)
{
    // More than these get a plan of their own, which takes 0.1 ms: a probe by a bad one takes 0.02 or so.
    private const int Few = 16;
    private readonly List<Step> _steps = [];

    /// <summary>How long one may take, in seconds as ADO.NET counts; null for as long as the session's statements may.</summary>
    public int? Timeout { get; set; }

    /// <summary>Gives values to the parameters of a step.</summary>
    public static void Set(DbParameterCollection parameters, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        foreach (var (name, value) in values)
        {
            CommandStatement.Assign(parameters, name, value);
        }
    }

    /// <summary>Takes a row that says nothing.</summary>
    public static void Ignore(DbDataReader reader, CommitReads reads)
    {
    }

    /// <summary>Forgets the steps of a round trip that never went out.</summary>
    public void Clear() => _steps.Clear();

    /// <summary>Adds a statement.</summary>
    /// <param name="name">What it is called where it is kept prepared.</param>
    /// <param name="text">The statement.</param>
    /// <param name="bind">Gives its parameters.</param>
    /// <param name="read">Takes one of its rows. A statement with rows has a reader for them: those of the next one come after.</param>
    /// <param name="done">Called when all steps are done.</param>
    public void Add(
        string name,
        string text,
        Action<DbParameterCollection>? bind = null,
        Action<DbDataReader, CommitReads>? read = null,
        Action<CommitReads>? done = null) =>
        _steps.Add(new Step(name, text, bind, read, done));

    /// <summary>Adds a statement on messages that are running.</summary>
    /// <param name="name">What it is called where it is kept prepared.</param>
    /// <param name="few">The statement.</param>
    /// <param name="many">The same, with a plan for so many.</param>
    /// <param name="of">The messages.</param>
    /// <param name="found">Takes those that the statement met.</param>
    /// <param name="more">Gives its other parameters.</param>
    public void AddFenced(
        string name,
        string few,
        string many,
        IEnumerable<Fence> of,
        Func<CommitReads, HashSet<Fence>> found,
        Action<DbParameterCollection>? more = null)
    {
        var fences = of.ToArray();
        var isMany = fences.Length > Few;
        var known = fences.DistinctBy(static f => (f.Id, f.Claim)).ToDictionary(static f => (f.Id, f.Claim));
        Add(
            isMany ? "many " + name : name,
            isMany ? many : few,
            p =>
            {
                Set(
                    p,
                    ("@ids", fences.Select(static f => f.Id).ToArray()),
                    ("@owners", fences.Select(static f => f.Owner).ToArray()),
                    ("@claims", fences.Select(static f => f.Claim).ToArray()),
                    ("@one", 1));
                more?.Invoke(p);
            },
            (reader, reads) => found(reads).Add(known[(reader.GetString(0), reader.GetInt64(1))]));
    }

    /// <summary>Sends the steps and hands each its rows.</summary>
    public async ValueTask RunAsync(CommitReads reads, CancellationToken cancellationToken)
    {
        var steps = _steps.ToArray();
        _steps.Clear();
        var name = string.Join(' ', steps.Select(static s => s.Name));
        var batch = session.Batch(name, () => steps.Select(static s => s.Text));
        if ((Timeout ?? session.CommandTimeout) is { } timeout)
        {
            batch.Timeout = timeout;
        }

        for (var i = 0; i < steps.Length; i++)
        {
            steps[i].Bind?.Invoke(batch.BatchCommands[i].Parameters);
        }

        await session.PrepareAsync(batch, name, cancellationToken).ConfigureAwait(false);
        session.HasBegun = true;
        var reader = await batch.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            foreach (var step in steps)
            {
                if (step.Read is null)
                {
                    continue;
                }

                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    step.Read(reader, reads);
                }

                await reader.NextResultAsync(cancellationToken).ConfigureAwait(false);
            }

            // The rest has no rows, and may still have errors.
            while (await reader.NextResultAsync(cancellationToken).ConfigureAwait(false))
            {
            }
        }

        foreach (var step in steps)
        {
            step.Done?.Invoke(reads);
        }
    }

    private sealed record Step(
        string Name, string Text, Action<DbParameterCollection>? Bind, Action<DbDataReader, CommitReads>? Read, Action<CommitReads>? Done);
}
