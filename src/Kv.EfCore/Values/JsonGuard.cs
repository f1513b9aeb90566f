using System.Collections.Concurrent;
using System.Text.Json.Serialization.Metadata;

namespace Kv.Values;

/// <summary>Refuses, while it is written, what JSON would not bring back: each contract of the serializer is looked at once.</summary>
internal static class JsonGuard
{
    // By types alone, whatever the options: what a class of collections has beside its elements.
    private static readonly ConcurrentDictionary<Type, string?> BesideElements = new();

    /// <summary>Watches a contract that was just made. What is sealed and whole is not watched any further, and costs nothing.</summary>
    public static void Watch(JsonTypeInfo contract)
    {
        switch (contract.Kind)
        {
            case JsonTypeInfoKind.Object when JsonState.Lost(contract) is { } lost:
                contract.OnSerializing = _ => throw Refusal(lost);
                break;
            case JsonTypeInfoKind.Object:
                WatchObject(contract);
                break;
            case JsonTypeInfoKind.Enumerable or JsonTypeInfoKind.Dictionary when !contract.Type.IsSZArray:
                contract.OnSerializing = new Collection(contract, contract.OnSerializing).Check;
                break;
        }
    }

    private static void WatchObject(JsonTypeInfo contract)
    {
        var omissions = contract.Properties.Where(property => JsonOmission.MayOmit(contract, property))
            .Select(property => new JsonOmission(contract, property)).ToArray();
        if (omissions.Length > 0)
        {
            var then = contract.OnSerializing;
            contract.OnSerializing = value =>
            {
                // A type may set its properties when it is told that it is being written.
                then?.Invoke(value);
                if (Array.Find(omissions, omission => omission.Loses(value)) is { } loses)
                {
                    throw Refusal(loses.Lost);
                }
            };
        }

        if (!contract.Type.IsSealed)
        {
            contract.OnSerializing = ExactlyThen(contract.Type, contract.OnSerializing);
        }
    }

    private static Action<object> ExactlyThen(Type declared, Action<object>? then) => value =>
    {
        var type = value.GetType();
        if (type != declared)
        {
            throw Refusal(
                $"a {TypeText.Of(type)} stands where a {TypeText.Of(declared)} is declared, and only what that one has would be "
                + $"stored. Declare it by its own type, or name it by [JsonDerivedType] on {TypeText.Of(declared)}, which keeps the type");
        }

        then?.Invoke(value);
    };

    private static KvException Refusal(string what) => new(KvErrorKind.Encoding, $"It would not be stored whole: {what}.");

    /// <summary>A collection is what can be read again, and nothing beside its elements.</summary>
    private sealed class Collection(JsonTypeInfo contract, Action<object>? then)
    {
        private readonly Lazy<string?> _lost = new(() => JsonState.LostElements(contract), LazyThreadSafetyMode.PublicationOnly);

        public void Check(object value)
        {
            if ((_lost.Value ?? BesideElements.GetOrAdd(value.GetType(), JsonState.LostBesideElements)) is { } lost)
            {
                throw Refusal(lost);
            }

            then?.Invoke(value);
        }
    }
}
