using System.Collections;
using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Kv.Values;

/// <summary>Compares what the objects of a type are made of with what their JSON has, and says what would be lost.</summary>
[UnconditionalSuppressMessage("Trimming", "IL2070", Justification = "A field that was trimmed away holds nothing that could be lost.")]
[UnconditionalSuppressMessage("Trimming", "IL2075", Justification = "A field that was trimmed away holds nothing that could be lost.")]
internal static class JsonState
{
    private const BindingFlags Declared = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    // What [NonSerialized] is in metadata; FieldAttributes has it as obsolete.
    private const FieldAttributes NotSerialized = (FieldAttributes)0x80;

    private const string Remedy =
        "Make it a public property with get and set or init, or give a constructor a parameter of its name and type; for fields set "
        + "JsonSerializerOptions.IncludeFields; write a JsonConverter; or say by [JsonIgnore], and by [NonSerialized] of a private field, "
        + "that it need not be stored";

    /// <summary>What of an object of a contract would not come back; null if all of it does.</summary>
    public static string? Lost(JsonTypeInfo contract)
    {
        var type = contract.Type;
        if (type.IsInterface || type.IsAbstract)
        {
            // Never an object's own type: what stands there is looked at as what it is.
            return null;
        }

        var members = contract.Properties.ToLookup(
            property => Member(contract, property)?.Name ?? property.Name, StringComparer.OrdinalIgnoreCase);
        foreach (var declaring in Levels(type))
        {
            foreach (var field in declaring.GetFields(Declared))
            {
                if (Lost(contract, members, field) is { } lost)
                {
                    return $"{lost} of {TypeText.Of(type)}. {Remedy}";
                }
            }
        }

        return Unreadable(contract);
    }

    /// <summary>Why the elements of a collection would not come back as they are; null if they do.</summary>
    public static string? LostElements(JsonTypeInfo contract)
    {
        var type = contract.Type;
        if (Levels(type).Any(static level => level.IsGenericType && IsStack(level.GetGenericTypeDefinition())))
        {
            return $"a {TypeText.Of(type)} comes back upside down. Store a list";
        }

        if (contract.KeyType == typeof(object) && type.IsGenericType)
        {
            return $"the keys of a {TypeText.Of(type)} do not come back as what they are. Give the keys a type";
        }

        if (!type.IsVisible && IsFramework(type))
        {
            // An iterator of LINQ and its kind, behind an object or an interface, by which it is read.
            return null;
        }

        try
        {
            JsonSerializer.Deserialize(contract.Kind == JsonTypeInfoKind.Dictionary ? "{}"u8 : "[]"u8, contract);
            return null;
        }
        catch (Exception error) when (error is NotSupportedException or InvalidOperationException)
        {
            return $"a {TypeText.Of(type)} cannot be read again ({error.Message.Split(" Path:")[0].TrimEnd('.')}). "
                + "Declare it as a List, an array, a Dictionary or an interface of those, or write a JsonConverter";
        }
        catch (Exception)
        {
            // The empty one is not taken by its author's code, which says nothing about others.
            return null;
        }
    }

    /// <summary>What a class of collections has beside its elements; null if nothing.</summary>
    public static string? LostBesideElements(Type type)
    {
        var own = Levels(type).TakeWhile(static level => !IsFramework(level)).ToList();
        var derives = own.Count > 0 && typeof(IEnumerable).IsAssignableFrom(own[^1].BaseType);
        foreach (var field in own.SelectMany(static level => level.GetFields(Declared)))
        {
            // What implements the interfaces itself has its elements in private fields.
            if ((derives || field.IsPublic || (AutoProperty(field) is { } name && type.GetProperty(name) is not null)) && !IsNoData(field))
            {
                return $"'{AutoProperty(field) ?? field.Name}' of {TypeText.Of(type)}, since a collection becomes its elements alone. "
                    + "Put the collection into a property of a class that has the rest, or write a JsonConverter";
            }
        }

        return null;
    }

    private static string? Lost(JsonTypeInfo contract, ILookup<string, JsonPropertyInfo> members, FieldInfo field)
    {
        if (IsNoData(field))
        {
            return null;
        }

        var name = AutoProperty(field) ?? field.Name;
        if ((Exactly(members[name]) ?? Exactly(members[Bare(name)])) is not { } property)
        {
            return $"'{name}' is not in the JSON";
        }

        if (Member(contract, property) is { } member && Hides(member, field))
        {
            return $"'{name}' of {TypeText.Of(field.DeclaringType!)} is hidden by that";
        }

        var returns = property.Set is not null || property.AssociatedParameter is not null || Populates(contract, property);
        return (property.Get is not null, returns) switch
        {
            (true, true) => null,
            (false, false) => IsIgnored(Member(contract, property)) ? null : $"'{name}' is not in the JSON",
            (true, false) => $"'{name}' is written, and nothing reads it back,",
            _ => $"'{name}' is read, and nothing writes it,",
        };

        // A public field beside a property that differs from it by case.
        JsonPropertyInfo? Exactly(IEnumerable<JsonPropertyInfo> like) =>
            like.FirstOrDefault(property => Member(contract, property)?.Name == name) ?? like.FirstOrDefault();
    }

    /// <summary>Why no object could be made of the JSON; null if one can.</summary>
    private static string? Unreadable(JsonTypeInfo contract)
    {
        if (contract.CreateObject is not null)
        {
            return null;
        }

        var bound = contract.Properties.Select(static property => property.AssociatedParameter?.Name).OfType<string>()
            .ToHashSet(StringComparer.OrdinalIgnoreCase);
        if (contract.ConstructorAttributeProvider is ConstructorInfo constructor)
        {
            return Array.Find(constructor.GetParameters(), parameter => !bound.Contains(parameter.Name ?? "")) is { } free
                ? $"the parameter '{free.Name}' of the constructor of {TypeText.Of(contract.Type)} matches no property by name and type, "
                    + $"so it cannot be read again. {Remedy}"
                : null;
        }

        return bound.Count > 0
            ? null
            : $"a {TypeText.Of(contract.Type)} cannot be read again. Give it a public constructor without parameters, a single "
                + "public one, or one with [JsonConstructor]";
    }

    // A contract of a source generator that is older than .NET 10 does not tell its members, but their names in JSON.
    private static MemberInfo? Member(JsonTypeInfo contract, JsonPropertyInfo property) => property.AttributeProvider as MemberInfo
        ?? contract.Type.GetMembers(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
            .FirstOrDefault(member => member is PropertyInfo or FieldInfo && NameInJson(contract, member) == property.Name);

    private static string NameInJson(JsonTypeInfo contract, MemberInfo member) =>
        member.GetCustomAttribute<JsonPropertyNameAttribute>()?.Name
        ?? contract.Options.PropertyNamingPolicy?.ConvertName(member.Name)
        ?? member.Name;

    private static bool Populates(JsonTypeInfo contract, JsonPropertyInfo property) =>
        property.IsExtensionData
        || (property.ObjectCreationHandling ?? contract.PreferredPropertyObjectCreationHandling ?? contract.Options.PreferredObjectCreationHandling)
            == JsonObjectCreationHandling.Populate;

    private static bool Hides(MemberInfo member, FieldInfo field) =>
        member.DeclaringType is { } declaring && declaring != field.DeclaringType && declaring.IsSubclassOf(field.DeclaringType!)
        && !(member is PropertyInfo { GetMethod: { IsVirtual: true } get } && get.GetBaseDefinition().DeclaringType != declaring);

    private static bool IsNoData(FieldInfo field) =>
        field.Attributes.HasFlag(NotSerialized)
        || IsIgnored(field)
        || (AutoProperty(field) is { } name && IsIgnored(field.DeclaringType!.GetProperty(name, Declared)))
        || (typeof(Delegate).IsAssignableFrom(field.FieldType) && field.DeclaringType!.GetEvent(field.Name, Declared) is not null);

    private static bool IsIgnored(MemberInfo? member) => member?.GetCustomAttribute<JsonIgnoreAttribute>() is { Condition: JsonIgnoreCondition.Always };

    /// <summary>The property whose value a field of the compiler's has, or the parameter that a primary constructor keeps: <c>&lt;Name&gt;…</c>.</summary>
    private static string? AutoProperty(FieldInfo field) =>
        field.Name is ['<', .. var rest] && rest.IndexOf('>', StringComparison.Ordinal) is > 0 and var end ? rest[..end] : null;

    // As C#, Visual Basic and F# programs call the field of a property: _name, m_name, $Name, Name@.
    private static string Bare(string name) => (name.StartsWith("m_", StringComparison.Ordinal) ? name[2..] : name).TrimStart('_', '$').TrimEnd('@');

    private static bool IsStack(Type definition) =>
        definition == typeof(Stack<>) || definition == typeof(ConcurrentStack<>)
        || definition == typeof(ImmutableStack<>) || definition == typeof(IImmutableStack<>);

    private static bool IsFramework(Type type) =>
        type.Assembly == typeof(object).Assembly || type.Assembly.GetName().Name is { } name
        && (name.StartsWith("System.", StringComparison.Ordinal) || name.StartsWith("Microsoft.", StringComparison.Ordinal));

    /// <summary>A type and its bases, the most derived first, without <see cref="object"/>.</summary>
    private static IEnumerable<Type> Levels(Type type)
    {
        for (var level = type; level is not null && level != typeof(object) && level != typeof(ValueType); level = level.BaseType)
        {
            yield return level;
        }
    }
}
