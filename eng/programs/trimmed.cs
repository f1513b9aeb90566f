// Published trimmed, where no JSON is made by reflection: every part of the packages that the trimmer could take away is used once.
using System.Text.Json.Serialization;
using Kv;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

var (greeted, ticked) = (new TaskCompletionSource(), new TaskCompletionSource());
var builder = Host.CreateApplicationBuilder(args);
builder.Services.AddSingleton<IKvValueSerializer>(new KvJsonSerializer(Json.Default.Options));
builder.Services.AddKvStore(db => db.UseSqlite("Data Source=trimmed.db"));
builder.Services.AddKvWorker()
    .Handle<Greet>(async (greet, context, token) =>
    {
        await context.CompleteAsync(write => write.Set(["greeted", greet.Id], new User(greet.Name, 36)), token);
        greeted.TrySetResult();
    })
    .Handle<Tick>((_, _, _) =>
    {
        ticked.TrySetResult();
        return Task.CompletedTask;
    })
    .Schedule("tick", KvSchedule.Every(TimeSpan.FromSeconds(1)), new Tick());

using var host = builder.Build();
var migrations = await host.Services.MigrateKvStoreAsync();
Console.WriteLine($"migrated: {migrations.Count > 0}");
await host.StartAsync();

var kv = host.Services.GetRequiredService<IKvStore>();
await kv.SetAsync(["users", 1L], new User("ada", 36));
Console.WriteLine($"got: {await kv.GetAsync<User>(["users", 1L])}");
await kv.EnqueueAsync(new Greet(42, "grace"));
await greeted.Task.WaitAsync(TimeSpan.FromSeconds(30));
Console.WriteLine($"handled: {await kv.GetAsync<User>(["greeted", 42L])}");
await ticked.Task.WaitAsync(TimeSpan.FromSeconds(30));
Console.WriteLine("ticked");
await host.StopAsync();

internal sealed record User(string Name, int Age);

[KvMessage("greet")]
internal sealed record Greet(long Id, string Name);

[KvMessage("tick")]
internal sealed record Tick;

[JsonSerializable(typeof(User))]
[JsonSerializable(typeof(Greet))]
[JsonSerializable(typeof(Tick))]
internal sealed partial class Json : JsonSerializerContext;
