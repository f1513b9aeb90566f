using Kv;

namespace EfKvApp;

internal sealed record Order(long Id, string Customer, decimal Total, bool Confirmed = false);

internal static class Orders
{
    public static KvKey KeyOf(long id) => ["orders", id];

    public static void MapOrders(this IEndpointRouteBuilder app)
    {
        app.MapPost("/orders", PlaceAsync);
        app.MapGet("/orders/{id}", GetAsync);
    }

    // The order and its message are one commit, or neither is there.
    private static async Task<IResult> PlaceAsync(Order order, IKvStore kv, CancellationToken cancellationToken)
    {
        var result = await kv.Atomic()
            .Check(KeyOf(order.Id), null)
            .Set(KeyOf(order.Id), order)
            .Enqueue(new OrderPlaced(order.Id))
            .CommitAsync(cancellationToken);
        return result.Succeeded ? Results.Accepted($"/orders/{order.Id}") : Results.Conflict();
    }

    private static async Task<IResult> GetAsync(long id, IKvStore kv, CancellationToken cancellationToken) =>
        await kv.GetAsync<Order>(KeyOf(id), cancellationToken) is { } order ? Results.Ok(order) : Results.NotFound();
}
