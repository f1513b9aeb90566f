using Kv;

namespace WorkerApp;

/// <summary>An order of an import is to be counted.</summary>
[KvMessage("order-placed")]
internal sealed record OrderPlaced(string Import, Order Order);

/// <summary>An order was counted, and its customer is to get a receipt.</summary>
[KvMessage("receipt-due")]
internal sealed record ReceiptDue(string Import, long OrderId, string Text);
