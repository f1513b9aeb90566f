namespace WorkerApp;

/// <summary>What the input says must come out, reckoned without the store.</summary>
internal sealed class Expected
{
    public int Orders { get; private set; }

    public int Rejected { get; private set; }

    public SortedSet<long> Undelivered { get; } = [];

    public Dictionary<(string, string), ulong> Days { get; } = [];

    public Dictionary<(string, string), ulong> Customers { get; } = [];

    public int Delivered => Orders - Undelivered.Count;

    public void Add(OrderLine line)
    {
        if (line.Order is not { } order)
        {
            Rejected++;
            return;
        }

        Orders++;
        if (order.IsDeliverable())
        {
            Add(Days, (order.Day.ToString("O"), order.Currency), order.Cents);
            Add(Customers, (order.Customer, order.Currency), order.Cents);
        }
        else
        {
            Undelivered.Add(order.Id);
        }
    }

    private static void Add(Dictionary<(string, string), ulong> totals, (string, string) key, long cents) =>
        totals[key] = totals.GetValueOrDefault(key) + (ulong)cents;
}
