using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Kv.Tests.Units;

/// <summary>What stands in configuration is taken or refused, and not passed over.</summary>
public sealed class ConfigurationTests
{
    [Fact]
    public void A_key_is_read_from_its_text()
    {
        Assert.Equal(KvKey.Create(["dead", 1]), Bind<KvStoreOptions>(new() { ["DeadLetterPrefix"] = "[\"dead\", 1]" }).DeadLetterPrefix);
        Assert.Null(Bind<KvStoreOptions>([]).DeadLetterPrefix);
    }

    [Theory]
    [InlineData("DeadLetterPrefix", "dead")]
    [InlineData("DeadLetterPrefix:0", "dead")]
    [InlineData("DeadLetterPrefix:Part", "dead")]
    [InlineData("CommandTimeout", "soon")]
    public void What_cannot_be_bound_is_refused(string path, string value)
    {
        var error = Assert.ThrowsAny<InvalidOperationException>(() => Bind<KvStoreOptions>(new() { [path] = value }));

        Assert.Contains(
            path.StartsWith("Dead", StringComparison.Ordinal) ? "KvKey" : "CommandTimeout", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(typeof(KvStoreOptions))]
    [InlineData(typeof(KvWorkerOptions))]
    [InlineData(typeof(KvTopicOptions))]
    public void Every_option_is_bound_from_configuration_or_refused(Type type)
    {
        foreach (var property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            var options = Activator.CreateInstance(type)!;
            var (values, expected) = Sample(property);
            var section = new ConfigurationBuilder().AddInMemoryCollection(values).Build().GetSection("Kv");
            if (expected is null)
            {
                Assert.Throws<InvalidOperationException>(() => section.Bind(options));
                continue;
            }

            section.Bind(options);
            Assert.Equal(expected, property.GetValue(options));
        }
    }

    private static (Dictionary<string, string?> Values, object? Expected) Sample(PropertyInfo property)
    {
        var path = $"Kv:{property.Name}";
        return (Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType) switch
        {
            var type when type == typeof(int) => (One("7"), 7),
            var type when type == typeof(string) => (One("seven"), "seven"),
            var type when type == typeof(bool) => (One("true"), true),
            var type when type == typeof(TimeSpan) => (One("00:00:07"), TimeSpan.FromSeconds(7)),
            var type when type == typeof(KvKey) => (One("[\"x\"]"), KvKey.Create(["x"])),
            var type when type == typeof(KvRate) => (new() { [$"{path}:Count"] = "5", [$"{path}:Period"] = "00:00:01", [$"{path}:Burst"] = "2" }, new KvRate(5, TimeSpan.FromSeconds(1), 2)),
            var type when type == typeof(KvRetryPolicy) => (new() { [$"{path}:Retries"] = "5" }, null),
            var type when type == typeof(KvMaintenancePolicy) => (new() { [$"{path}:Interval"] = "01:00:00" }, null),
            { IsEnum: true } type => (One(Enum.GetNames(type)[^1]), Enum.Parse(type, Enum.GetNames(type)[^1])),
            var type => throw new NotSupportedException(string.Create(CultureInfo.InvariantCulture, $"There is no sample of {type}.")),
        };

        Dictionary<string, string?> One(string value) => new() { [path] = value };
    }

    private static T Bind<T>(Dictionary<string, string?> values)
        where T : class
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(values.ToDictionary(static v => $"Kv:{v.Key}", static v => v.Value)).Build();
        using var provider = new ServiceCollection().Configure<T>(configuration.GetSection("Kv")).BuildServiceProvider();
        return provider.GetRequiredService<IOptions<T>>().Value;
    }
}
