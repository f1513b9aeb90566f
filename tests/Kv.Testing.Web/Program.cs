using Kv;
using Kv.Testing.Web;
using Microsoft.EntityFrameworkCore;

// A web application as README has it, for tests that drive it by WebApplicationFactory.
var builder = WebApplication.CreateBuilder(args);
builder.Services.AddKvStore(static db => db.UseSqlite("Data Source=shop.db"));
builder.Services.AddKvWorker().Handle<WebOrder>(static async (order, context, token) =>
    await context.CompleteAsync(write => write.Sum(["totals", order.Customer], order.Cents), token));

var app = builder.Build();
app.MapPost("/orders", static async (WebOrder order, IKvStore kv, CancellationToken token) =>
{
    await kv.EnqueueAsync(order, new KvEnqueueOptions { Delay = TimeSpan.FromMinutes(5) }, token);
    return Results.Accepted();
});
await app.RunAsync();

namespace Kv.Testing.Web
{
    /// <summary>An order that was posted.</summary>
    [KvMessage("web-order")]
    public sealed record WebOrder(string Customer, ulong Cents);
}
