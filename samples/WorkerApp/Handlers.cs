using Kv;

namespace WorkerApp;

/// <summary>An order of an import is to be counted.</summary>
[KvMessage("order-placed")]
internal sealed record OrderPlaced(string Import, Order Order);

/// <summary>An order was counted, and its customer is to get a receipt.</summary>
[KvMessage("receipt-due")]
internal sealed record ReceiptDue(string Import, long OrderId, string Text);

/// <summary>Counts an order. Its effects and the message's end are one commit, so a crash at any moment counts it exactly once.</summary>
internal sealed class OrderHandler : IKvMessageHandler<OrderPlaced>
{
    public async Task HandleAsync(OrderPlaced message, KvMessageContext context, CancellationToken cancellationToken)
    {
        var (keys, order) = (new ImportKeys(message.Import), message.Order);
        if (order.Problem(context.Attempt) is { } problem)
        {
            // The attempt fails. After the last retry the message is written under its keys-if-undelivered.
            throw new InvalidOperationException(problem);
        }

        var (day, cents) = (order.Day.ToString("O"), (ulong)order.Cents);
        var receipt = $"{order.Customer}: {order.Item}, {order.Currency} {order.Cents / 100m:0.00}";
        await context.CompleteAsync(
            write => write
                .Set(keys.Orders.Append(day, order.Id), order)
                .Sum(keys.DayTotals.Append(day, order.Currency), cents)
                .Sum(keys.CustomerTotals.Append(order.Customer, order.Currency), cents)
                .Sum(keys.CurrencyTotals.Append(order.Currency), cents)
                .Sum(keys.Handled, 1)
                .Enqueue(new ReceiptDue(message.Import, order.Id, receipt)),
            cancellationToken);
    }
}

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
