using System.Net;
using System.Net.Http.Json;
using Kv.TestKit;
using Kv.Testing.Web;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>A web application that a WebApplicationFactory starts is driven by the test.</summary>
public abstract class WebSpec(KvDatabase database)
{
    private readonly CancellationToken _token = TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_an_end_point_enqueues_is_handled_when_the_test_moves_its_clock()
    {
        var connectionString = await database.CreateMigratedAsync();
        await using var factory = new WebApplicationFactory<WebOrder>().WithWebHostBuilder(web => web.ConfigureTestServices(services =>
        {
            services.AddKvStore(db => database.Configure(db, connectionString));
            services.AddKvTesting();
        }));
        using var client = factory.CreateClient();
        await using var kv = KvTestHost.For(factory.Services);

        var answer = await client.PostAsJsonAsync("/orders", new WebOrder("ada", 1999), _token);

        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        kv.AssertEnqueued<WebOrder>(static order => order.Customer == "ada", kv.Now.AddMinutes(5));
        Assert.Empty((await kv.DrainAsync(_token)).Deliveries);
        Assert.Equal(KvOutcome.Completed, (await kv.AdvanceAsync(TimeSpan.FromMinutes(5), _token)).Single<WebOrder>().Outcome);
        Assert.Equal(1999ul, await kv.Store.GetAsync<ulong>(["totals", "ada"], _token));
    }
}

public sealed class SqliteWebTests(SqliteDatabase database) : WebSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresWebTests(PostgresDatabase database) : WebSpec(database), IClassFixture<PostgresDatabase>;
