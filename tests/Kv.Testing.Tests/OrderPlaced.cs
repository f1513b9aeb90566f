namespace Kv.Tests;

[KvMessage("order-placed")]
internal sealed record OrderPlaced(int Id);

[KvMessage("mail")]
internal sealed record Mail(string To);

internal sealed class OrderHandler : IKvMessageHandler<OrderPlaced>
{
    public Task HandleAsync(OrderPlaced message, KvMessageContext context, CancellationToken cancellationToken) =>
        context.CompleteAsync(write => write.Set(["orders", message.Id], message).Enqueue(new Mail("ada")), cancellationToken).AsTask();
}
