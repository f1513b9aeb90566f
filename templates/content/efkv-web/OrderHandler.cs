using Kv;

namespace EfKvApp;

/// <summary>An order was placed. The name stands in the queue, so the type can be renamed while messages wait.</summary>
[KvMessage("order-placed")]
internal sealed record OrderPlaced(long Id);

/// <summary>Confirms orders. A handler that throws is called again later, also by another process.</summary>
internal sealed class OrderHandler(IKvStore kv) : IKvMessageHandler<OrderPlaced>
{
    public async Task HandleAsync(OrderPlaced message, KvMessageContext context, CancellationToken cancellationToken)
    {
        var entry = await kv.GetAsync(Orders.KeyOf(message.Id), cancellationToken);
        if (entry?.As<Order>() is not { } order)
        {
            return;
        }

        // The check, the write and the end of the message are one commit: it happens exactly once, and on no other order than was read.
        var confirmed = order with { Confirmed = true };
        await context.CompleteAsync(write => write.Check(entry.Key, entry.Versionstamp).Set(entry.Key, confirmed), cancellationToken);
    }
}
