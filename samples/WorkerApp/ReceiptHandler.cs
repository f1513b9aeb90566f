using Kv;

namespace WorkerApp;

/// <summary>Writes the receipt of a counted order.</summary>
internal sealed class ReceiptHandler : IKvMessageHandler<ReceiptDue>
{
    public async Task HandleAsync(ReceiptDue message, KvMessageContext context, CancellationToken cancellationToken)
    {
        var keys = new ImportKeys(message.Import);
        await context.CompleteAsync(
            write => write.Set(keys.ReceiptTexts.Append(message.OrderId), message.Text).Sum(keys.Receipts, 1), cancellationToken);
    }
}
