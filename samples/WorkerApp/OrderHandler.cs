using Kv;

namespace WorkerApp;

/// <summary>Counts an order. All its effects and the message's end are one commit, so a crash at any moment counts it exactly once.</summary>
internal sealed class OrderHandler : IKvMessageHandler<OrderPlaced>
{
    public async Task HandleAsync(OrderPlaced message, KvMessageContext context, CancellationToken cancellationToken)
    {
        var order = message.Order;
        var keys = new ImportKeys(message.Import);
        if (order.Problem() is { } problem)
        {
            throw new InvalidOperationException(problem);
        }

        if (context.Attempt <= order.Flaky)
        {
            throw new TimeoutException($"The payment of order {order.Id} did not answer.");
        }

        var (day, cents) = (order.Day.ToString("O"), (ulong)order.Cents);
        await context.CompleteAsync(
            write => write
                .Set(keys.Orders.Append(day, order.Id), order)
                .Sum(keys.DayTotals.Append(day, order.Currency), cents)
                .Sum(keys.CustomerTotals.Append(order.Customer, order.Currency), cents)
                .Sum(keys.CurrencyTotals.Append(order.Currency), cents)
                .Sum(keys.Retried, context.Attempt > 1 ? 1UL : 0)
                .Sum(keys.Handled, 1)
                .Enqueue(new ReceiptDue(message.Import, order.Id, $"{order.Customer}: {order.Item}, {order.Currency} {order.Cents / 100m:0.00}")),
            cancellationToken);
    }
}
