using System.Text;
using Kv.TestKit;

namespace Kv.Tests;

/// <summary>Rows as each version of the schema has them, written with the columns that it has.</summary>
internal sealed class OldRows(KvTestStore test, TimeProvider time)
{
    public const string Owner = "00112233445566778899aabbccddeeff";

    private static readonly byte[] V8 = [0xff, 0x0f, 0x49, 0x02];

    /// <summary>What a version puts in, by the migration that it has for the newest.</summary>
    public IReadOnlyDictionary<string, Func<Task>> Of => new Dictionary<string, Func<Task>>(StringComparer.Ordinal)
    {
        ["Initial"] = InitialAsync,
        ["Expiry"] = ExpiryAsync,
        ["Messages"] = MessagesAsync,
        ["Delivery"] = DeliveryAsync,
        ["Place"] = PlaceAsync,
        ["Scope"] = ScopeAsync,
        ["Changes_Beside_Scope"] = ChangesAsync,
    };

    private long Now => time.Milliseconds();

    private async Task InitialAsync()
    {
        await test.ExecuteAsync("update data_version set version = 3 where k = 0");
        await PutEntryAsync(["count"], KvValue.FromUInt64(7), ("version", 3L));
        await PutEntryAsync(["text"], Json("\"kept\""), ("version", 2L));
        await PutAsync("queue", ("ts", Now - 1000), ("id", "first"), ("data", V8), Waits("[100]"), Keys("[]"));
        await PutAsync("queue", ("ts", Now + 3_600_000), ("id", "first-delayed"), ("data", V8), Waits("[]"), Keys("[[2,97,0]]"));
        await PutAsync("queue_running", ("deadline", Now - 1000), ("id", "first-lapsed"), ("data", V8), Waits("[]"), Keys("[]"));
        await PutAsync("queue_running", ("deadline", Now + 20_000), ("id", "first-running"), ("data", V8), Waits("[]"), Keys("[]"));
    }

    private async Task ExpiryAsync()
    {
        await PutEntryAsync(["gone"], Json("1"), ("version", 3L), ("seq", 0L), ("expiration_ms", Now - 1));
        await PutEntryAsync(["stays"], Json("1"), ("version", 3L), ("seq", 0L), ("expiration_ms", Now + 7_200_000));
        await PutAsync("data_version", ("k", (Now << 20) | 5), ("version", 3L), ("seq", 9L));
    }

    private async Task MessagesAsync()
    {
        await PutJobAsync("queue", 3, ("ts", Now - 500), ("attempt", 2), ("crashes", 1), ("claim", 3L));
        await PutJobAsync("queue_running", 4, ("deadline", Now + 20_000), ("owner", Owner), ("attempt", 1), ("crashes", 0), ("claim", 2L));
    }

    private async Task DeliveryAsync()
    {
        // A message group in order: its first one runs, and the others are blocked behind it.
        await PutJobAsync("queue_running", 10, ("deadline", Now + 20_000), ("owner", Owner), ("claim", 1L), Group("ada"));
        await PutJobAsync("queue", 11, ("ts", Now - 400), ("state", 1), ("version", 2L), Group("ada"));
        await PutJobAsync("queue", 12, ("ts", Now - 300), ("state", 1), ("version", 3L), Group("ada"));
        await PutJobAsync("queue", 13, ("ts", Now + 1_800_000), ("unique_key", "u"), ("priority", -5));
        await PutEntryAsync(["efkv", "unique", "job", "u"], Bytes("job-13"), ("version", 3L));
        await PutJobAsync(
            "queue", 14, ("ts", Now - 200), ("topic_retries", 1), ("attempt", 1),
            ("first_error", """{"Type":"E","Message":"at first","Stack":null,"Attempt":1,"At":"2025-12-31T23:00:00+00:00"}"""),
            ("checkpoint", Encoding.UTF8.GetBytes("21")), ("checkpoint_encoding", 4));
        await PutJobAsync("queue", 15, ("ts", Now - 100), ("topic", "sleeping"));
        await PutEntryAsync(["efkv", "paused", "sleeping"], Bytes(""), ("version", 3L));
        await PutEntryAsync(
            ["dead_letters", "job", "job-16"],
            Json("""
                {"id":"job-16","topic":"job","type":"job","reason":"because","attempts":5,"crashes":0,"firstError":null,"lastError":null,
                "enqueuedAt":"2025-12-31T00:00:00+00:00","diedAt":"2025-12-31T01:00:00+00:00","priority":0,"groupKey":null,"groupLimit":0,
                "rateKey":null,"keysIfUndelivered":[],"trace":null,"encoding":4,"payload":{"Number":16}}
                """),
            ("version", 3L));
        var next = DateTimeOffset.FromUnixTimeMilliseconds(Now).AddHours(-2);
        await PutEntryAsync(
            ["efkv", "schedules", "hourly"],
            Json($$"""{"Definition":"{{KvSchedule.Every(TimeSpan.FromHours(1))}}","Next":{{next.ToUnixTimeMilliseconds()}}}"""),
            ("version", 3L));
    }

    private Task PlaceAsync() =>
        PutJobAsync("queue_running", 20, ("deadline", Now + 20_000), ("ts", Now - 9_000), ("owner", Owner), ("claim", 1L));

    private async Task ScopeAsync()
    {
        KvKey scope = ["tenant"];
        await PutJobAsync("queue", 30, ("ts", Now - 50), ("scope", scope.Bytes), Group("[\"tenant\"]\u001fada"), ("version", 3L));
        await PutJobAsync("queue_running", 31, ("deadline", Now + 20_000), ("owner", Owner), ("claim", 1L), ("scope", scope.Bytes));
    }

    private async Task ChangesAsync()
    {
        await PutAsync("kv_feed", ("at", 0L), ("version", 2L), ("keep_ms", 1000L));
        await PutAsync("kv_feed", ("at", Now), ("version", 3L));
        await PutAsync("kv_changes", ("version", 3L), ("k", KvKey.Create("text").Bytes), ("deleted", 1));
    }

    private static KvValue Json(string text) => new(Encoding.UTF8.GetBytes(text), KvEncoding.Json);

    private static KvValue Bytes(string text) => new(Encoding.UTF8.GetBytes(text), KvEncoding.Bytes);

    private static (string, object) Waits(string json) => ("backoff_schedule", json);

    private static (string, object) Keys(string json) => ("keys_if_undelivered", json);

    private static (string, object) Group(string key) => ("group_key", key);

    private Task PutEntryAsync(KvKey key, KvValue value, params (string Column, object Value)[] columns) =>
        PutAsync("kv", [("k", key.Bytes), ("v", value.Array), ("v_encoding", (int)value.Encoding), .. columns]);

    private Task PutJobAsync(string table, int number, params (string Column, object Value)[] columns)
    {
        (string Column, object Value)[] all =
        [
            ("id", $"job-{number}"), ("data", Encoding.UTF8.GetBytes($$"""{"Number":{{number}}}""")), Waits("[100]"), Keys("[]"),
            ("type", "job"), ("encoding", 4), ("enqueued_at", Now - 60_000), .. columns,
        ];
        return PutAsync(table, Array.Exists(columns, static c => c.Column == "topic") ? all : [.. all, ("topic", "job")]);
    }

    private Task PutAsync(string table, params (string Column, object Value)[] columns) => test.ExecuteAsync(
        $"insert into {table} ({string.Join(", ", columns.Select(static c => c.Column))}) "
        + $"values ({string.Join(", ", columns.Select(static (_, i) => $"{{{i}}}"))})",
        [.. columns.Select(static c => c.Value)]);
}
