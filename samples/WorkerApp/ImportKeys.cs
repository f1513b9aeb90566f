using Kv;

namespace WorkerApp;

/// <summary>The keys of one import. Imports of different inputs share a database without touching each other.</summary>
/// <param name="Import">The fingerprint of the input.</param>
internal sealed record ImportKeys(string Import)
{
    /// <summary>How many orders of the input are enqueued.</summary>
    public KvKey Position => ["imports", Import, "position"];

    // Counters.
    public KvKey Handled => ["imports", Import, "handled"];
    public KvKey Receipts => ["imports", Import, "receipts"];

    /// <summary>Overwritten by every undelivered order, so that one watched key tells that there are more.</summary>
    public KvKey LastUndelivered => ["imports", Import, "undelivered"];

    // Prefixes, behind which each order or total has its entry.
    public KvKey Orders => ["orders", Import];
    public KvKey ReceiptTexts => ["receipts", Import];
    public KvKey Undelivered => ["undelivered", Import];
    public KvKey DayTotals => ["totals", Import, "day"];
    public KvKey CustomerTotals => ["totals", Import, "customer"];
    public KvKey CurrencyTotals => ["totals", Import, "currency"];
}
