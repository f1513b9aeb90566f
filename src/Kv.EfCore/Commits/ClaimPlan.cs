using Kv.Messages;

namespace Kv.Commits;

/// <summary>How the claims of a group find their messages: some in the group itself, the others in the queue.</summary>
internal sealed class ClaimPlan
{
    private readonly Dictionary<string, (ClaimWork Claim, TopicClaim Topic)> _taken = new(StringComparer.Ordinal);

    public ClaimPlan(List<ClaimWork> claims, List<(NewMessage Message, long VersionOffset)> messages)
    {
        foreach (var claim in claims)
        {
            if (claim.SharesCommit)
            {
                TakeComing(claim, messages);
            }
            else if (claim.Limit > 0 || claim.Recover)
            {
                Searches.Add(new Search(claim, claim.Topics, claim.Limit));
            }
        }
    }

    /// <summary>What is looked for in the queue.</summary>
    public List<Search> Searches { get; } = [];

    /// <summary>The topics of which messages are taken without ever waiting in the queue, if nothing of them waits there.</summary>
    public List<TopicClaim> Topics { get; } = [];

    /// <summary>The claim that takes a message of the group, if its topic is clear.</summary>
    public (ClaimWork Claim, TopicClaim Topic)? TakerOf(NewMessage message) => _taken.TryGetValue(message.Id, out var taker) ? taker : null;

    // Whether there is a slot for a message of a group is for the database to say: it is put in first, and so are all of its topic, which
    // keep their order.
    private void TakeComing(ClaimWork claim, List<(NewMessage Message, long VersionOffset)> messages)
    {
        var left = claim.Limit;
        List<TopicClaim> rest = [];
        foreach (var topic in claim.Topics)
        {
            var due = messages.Select(static m => m.Message)
                .Where(m => m.Delay == 0 && m.Topic == topic.Topic && !_taken.ContainsKey(m.Id)).ToList();
            if (due.Exists(static m => m.GroupKey is not null))
            {
                rest.Add(topic);
                continue;
            }

            Topics.Add(topic);
            foreach (var message in due.OrderBy(static m => m.Priority).Take(Math.Min(topic.Capacity, left)))
            {
                _taken.Add(message.Id, (claim, topic));
                left--;
            }
        }

        if (rest.Count > 0)
        {
            Searches.Add(new Search(claim, rest, left));
        }
    }

    /// <summary>A claim, or the part of one, that looks into the queue.</summary>
    internal readonly record struct Search(ClaimWork Claim, IReadOnlyList<TopicClaim> Topics, int Limit);
}
