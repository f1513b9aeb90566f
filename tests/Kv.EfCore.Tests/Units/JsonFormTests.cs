using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Kv.Model;

namespace Kv.Tests.Units;

/// <summary>What a caller gets can be the answer of an end point.</summary>
public sealed partial class JsonFormTests
{
    private static readonly JsonSerializerOptions Web = new(JsonSerializerDefaults.Web);
    private static readonly KvVersionstamp Stamp = KvVersionstamp.FromVersion(5);
    private static readonly KvKey Key = ["orders", 42L, 7.0, true, new byte[] { 0, 255 }];

    // What one calls, configures, registers or throws, and does not get as an answer.
    private static readonly Type[] NoAnswers =
    [
        typeof(IKvStore), typeof(IKvQueue), typeof(IKvValueSerializer), typeof(KvAtomic), typeof(KvTransaction), typeof(KvRange), typeof(
            KvJsonSerializer),
        typeof(KvDbContext), typeof(KvKeyTypeConverter), typeof(KvJsonConverter), typeof(KvMessageAttribute), typeof(KvException), typeof(
            KvCommitUnknownException),
        typeof(KvPartlyEnqueuedException), typeof(KvConflictException), typeof(KvUnitOfWork), typeof(IKvStoreFactory), typeof(KvStoreLease),
        typeof(KvBound), typeof(IKvMaintenance), typeof(KvChangesTooOldException), typeof(KvMaintenancePolicy),
    ];

    private static KvEntry Entry => new(Key, Json("""{"a":1}"""), Stamp, new KvJsonSerializer());

    private static KvMessageError Error => new("T", "m", null, 1, DateTimeOffset.UnixEpoch);

    private static KvDeadLetter Letter => new()
    {
        Id = "i",
        Topic = "t",
        Type = "n",
        Reason = "r",
        Payload = KvValue.FromUInt64(1),
        KeysIfUndelivered = [Key],
        Entry = Entry,
        FirstError = Error,
    };

    private static KvMessageInfo Info => new() { Id = "i", Topic = "t", Type = "n", State = KvMessageState.Due, Payload = Json("[1]") };

    public static TheoryData<string, string> Forms => new()
    {
        { nameof(KvKey), "\"[\\u0022orders\\u0022, 42, 7.0, true, 0x00FF]\"" },
        { nameof(KvKeyPart), "\"42\"" },
        { nameof(KvVersionstamp), "\"00000000000000050000\"" },
        { nameof(KvOperationId), "\"1f-2a-0\"" },
        { nameof(KvValue), """{"encoding":"Json","value":{"a":1}}""" },
        { nameof(KvEntry), """{"key":"[\u0022orders\u0022, 42, 7.0, true, 0x00FF]","value":{"encoding":"Json","value":{"a":1}},"versionstamp":"00000000000000050000"}""" },
        { nameof(KvCommitResult), """{"succeeded":true,"versionstamp":"00000000000000050000","messageIds":["m"],"failedChecks":[]}""" },
    };

    [Theory]
    [MemberData(nameof(Forms))]
    public void A_form_in_JSON_is_the_same_by_reflection_and_by_a_source_generated_context_and_is_read_again(string name, string json)
    {
        var value = Sample(Type.GetType($"Kv.{name}, Kv.EfCore", throwOnError: true)!)!;
        foreach (var options in (JsonSerializerOptions[])[Web, FormContext.Default.Options])
        {
            var written = JsonSerializer.Serialize(value, value.GetType(), options);
            Assert.Equal(json, written);
            Assert.Equal(
                json, JsonSerializer.Serialize(JsonSerializer.Deserialize(written, value.GetType(), options), value.GetType(), options));
        }
    }

    [Fact]
    public void All_that_a_caller_can_get_becomes_JSON_with_something_in_it()
    {
        var types = typeof(IKvStore).Assembly.GetExportedTypes()
            .Where(static type => !(type.IsAbstract && type.IsSealed) && !type.IsAbstract && !type.IsEnum && !NoAnswers.Contains(type)).ToList();
        Assert.Contains(typeof(KvPage), types);

        Assert.All(types, type =>
        {
            var value = Sample(type);
            Assert.True(value is not null, $"There is no sample of {type}.");
            var json = JsonSerializer.Serialize(value, type, Web);
            Assert.True(json.Length > 2, json);
            Assert.DoesNotContain("{}", json, StringComparison.Ordinal);
        });
    }

    [Theory]
    [InlineData(KvEncoding.Json, "[1, 2]", """{"encoding":"Json","value":[1, 2]}""")]
    [InlineData(KvEncoding.Json, "[", """{"encoding":"Json","bytes":"Ww=="}""")]
    [InlineData(KvEncoding.Json, "", """{"encoding":"Json","bytes":""}""")]
    [InlineData(KvEncoding.UInt64, "12345678", """{"encoding":"UInt64","value":4050765991979987505}""")]
    [InlineData(KvEncoding.UInt64, "1", """{"encoding":"UInt64","bytes":"MQ=="}""")]
    [InlineData(KvEncoding.Bytes, "ab", """{"encoding":"Bytes","bytes":"YWI="}""")]
    [InlineData(KvEncoding.V8, "ab", """{"encoding":"V8","bytes":"YWI="}""")]
    [InlineData((KvEncoding)77, "ab", """{"encoding":77,"bytes":"YWI="}""")]
    public void A_value_of_any_encoding_comes_back_with_its_bytes(KvEncoding encoding, string bytes, string json)
    {
        var value = new KvValue(Encoding.UTF8.GetBytes(bytes), encoding);

        Assert.Equal(json, JsonSerializer.Serialize(value, Web));
        Assert.Equal(value, JsonSerializer.Deserialize<KvValue>(json, Web));
    }

    [Fact]
    public void Keys_and_versionstamps_are_read_from_their_texts_and_can_be_keys_of_dictionaries()
    {
        var undecodable = KvKey.FromStored([0xEE]);
        var byKey = new Dictionary<KvKey, KvVersionstamp> { [Key] = Stamp, [undecodable] = default };

        Assert.Equal(byKey, JsonSerializer.Deserialize<Dictionary<KvKey, KvVersionstamp>>(JsonSerializer.Serialize(byKey, Web), Web));
        Assert.Equal(Key, JsonSerializer.Deserialize<KvKey>(JsonSerializer.Serialize(Key)));
        Assert.Throws<JsonException>(static () => JsonSerializer.Deserialize<KvKey>("\"[1\""));
        Assert.Throws<JsonException>(static () => JsonSerializer.Deserialize<KvKey>("{}"));
        Assert.Throws<JsonException>(static () => JsonSerializer.Deserialize<KvVersionstamp>("\"5\""));
        Assert.Throws<JsonException>(static () => JsonSerializer.Deserialize<KvValue>("{}"));
        Assert.All(Key, static part => Assert.Equal(part, JsonSerializer.Deserialize<KvKeyPart>(JsonSerializer.Serialize(part))));
    }

    [Fact]
    public void A_refused_commit_becomes_JSON_with_its_checks_and_no_versionstamp()
    {
        var result = new KvCommitResult([new KvFailedCheck(1, ["a"], Stamp), new KvFailedCheck(2, ["b"], null)]);

        var json = JsonSerializer.Serialize(result, Web);
        var read = JsonSerializer.Deserialize<KvCommitResult>(json, Web)!;

        Assert.StartsWith(
            """{"succeeded":false,"versionstamp":null,"messageIds":[],"failedChecks":[{"index":1,""", json, StringComparison.Ordinal);
        Assert.False(read.Succeeded);
        Assert.Equal(result.FailedChecks, read.FailedChecks);
    }

    [Fact]
    public void An_entry_that_was_read_from_JSON_reads_its_value()
    {
        var page = JsonSerializer.Deserialize<KvPage>(JsonSerializer.Serialize(new KvPage([Entry], "c"), Web), Web)!;

        Assert.Equal(1, Assert.Single(page.Entries).As<Dictionary<string, int>>()!["a"]);
        Assert.Equal("c", page.Cursor);
    }

    [Fact]
    public void A_key_inside_of_a_value_is_stored_whole()
    {
        var serializer = new KvJsonSerializer();

        Assert.Equal(new Pointer(Key, Stamp), serializer.Deserialize<Pointer>(serializer.Serialize(new Pointer(Key, Stamp))));
    }

    [Fact]
    public void A_debugger_shows_what_a_value_holds()
    {
        Assert.Equal("""{"a":1}""", Json("""{"a":1}""").Shown);
        Assert.Equal("5", KvValue.FromUInt64(5).Shown);
        Assert.Equal("Bytes 0x01FF", KvValue.FromBytes([1, 255]).Shown);
        Assert.Equal(401, Json(new string('1', 1000)).Shown.Length);
    }

    private static object? Sample(Type type) => type.Name switch
    {
        nameof(KvKey) => Key,
        nameof(KvKeyPart) => (KvKeyPart)42,
        nameof(KvVersionstamp) => Stamp,
        nameof(KvOperationId) => KvOperationId.Parse("1f-2a-0"),
        nameof(KvValue) => Json("""{"a":1}"""),
        nameof(KvEntry) => Entry,
        nameof(V8Primitive) => Assert.IsType<V8Primitive>((V8Value)"text"),
        nameof(V8Object) => new V8Object().Add("a", 1),
        nameof(V8Array) => new V8Array(1, "b"),
        nameof(V8Map) => new V8Map { Entries = { new("k", 1) } },
        nameof(V8Set) => new V8Set { Items = { 1, 2 } },
        nameof(V8Date) => new V8Date(DateTimeOffset.UnixEpoch),
        nameof(V8RegExp) => new V8RegExp("a+", V8RegExpFlags.Global),
        nameof(V8ArrayBuffer) => new V8ArrayBuffer([1, 2]),
        nameof(V8View) => Assert.IsType<V8View>((V8Value)new byte[] { 1, 2 }),
        nameof(V8Error) => V8Value.Parse([255, 15, (byte)'r', (byte)'T', (byte)'.']),
        nameof(V8Boxed) => new V8Boxed(Assert.IsType<V8Primitive>((V8Value)"boxed")),
        nameof(V8HostObject) => V8Value.Parse(Convert.FromHexString("FF0F5CFFFFFFFF0F6F22047479706522017A7B01")),
        nameof(KvPage) => new KvPage([Entry], "c"),
        nameof(KvCommitResult) => new KvCommitResult(Stamp, ["m"]),
        nameof(KvJoinedCommit) => new KvJoinedCommit(Stamp, ["m"]),
        nameof(KvPendingEntry) => new KvPendingEntry(Entry, isStored: true),
        nameof(KvEnqueueResult) => new KvEnqueueResult("m", Stamp, IsNew: true),
        nameof(KvFailedCheck) => new KvFailedCheck(0, Key, Stamp),
        nameof(KvTopicStats) => new KvTopicStats("t", 1, 2, 3, 4, TimeSpan.FromSeconds(1), IsPaused: true),
        nameof(KvMessageInfo) => Info,
        nameof(KvMaintenanceState) => new KvMaintenanceState { Size = 1 },
        nameof(KvMaintenanceStep) => new KvMaintenanceStep("expired", 1, TimeSpan.FromSeconds(1), null),
        nameof(KvMaintenanceReport) => new KvMaintenanceReport([], new() { Size = 2 }, new() { Size = 1 }),
        nameof(KvChange) => new KvChange(Key, IsDeleted: true),
        nameof(KvChangeSet) => new KvChangeSet(Stamp, [new KvChange(Key, IsDeleted: false)]),
        nameof(KvChangesOptions) => new KvChangesOptions(),
        nameof(KvChangesState) => new KvChangesState { IsOn = false, Newest = Stamp },
        nameof(KvMessageError) => Error,
        nameof(KvDeadLetter) => Letter,
        nameof(KvListOptions) => new KvListOptions(),
        nameof(KvStoreFactoryOptions) => new KvStoreFactoryOptions(),
        nameof(KvReadOptions) => KvReadOptions.Eventual,
        nameof(KvSetOptions) => new KvSetOptions { Encoding = KvEncoding.Json },
        nameof(KvEnqueueOptions) => new KvEnqueueOptions { KeysIfUndelivered = [Key] },
        nameof(KvStoreOptions) => new KvStoreOptions { DeadLetterPrefix = Key },
        _ => type.Namespace == typeof(StoredEntry).Namespace ? Activator.CreateInstance(type, nonPublic: true) : null,
    };

    private static KvValue Json(string json) => new(Encoding.UTF8.GetBytes(json), KvEncoding.Json);

    private sealed record Pointer(KvKey To, KvVersionstamp At);

    [JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
    [JsonSerializable(typeof(KvKey))]
    [JsonSerializable(typeof(KvKeyPart))]
    [JsonSerializable(typeof(KvVersionstamp))]
    [JsonSerializable(typeof(KvOperationId))]
    [JsonSerializable(typeof(KvValue))]
    [JsonSerializable(typeof(KvEntry))]
    [JsonSerializable(typeof(KvPage))]
    [JsonSerializable(typeof(KvCommitResult))]
    [JsonSerializable(typeof(KvTopicStats))]
    private sealed partial class FormContext : JsonSerializerContext;
}
