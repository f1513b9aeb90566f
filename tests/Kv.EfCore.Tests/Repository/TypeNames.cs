using System.Globalization;
using System.Reflection;
using Microsoft.CodeAnalysis.CSharp;

namespace Kv.Tests.Repository;

/// <summary>Types and values as C# writes them.</summary>
internal static class TypeNames
{
    private static readonly Dictionary<Type, string> Keywords = new()
    {
        [typeof(void)] = "void",
        [typeof(object)] = "object",
        [typeof(string)] = "string",
        [typeof(bool)] = "bool",
        [typeof(byte)] = "byte",
        [typeof(short)] = "short",
        [typeof(ushort)] = "ushort",
        [typeof(int)] = "int",
        [typeof(uint)] = "uint",
        [typeof(long)] = "long",
        [typeof(ulong)] = "ulong",
        [typeof(float)] = "float",
        [typeof(double)] = "double",
        [typeof(decimal)] = "decimal",
        [typeof(char)] = "char",
    };

    /// <summary>A type where nullability has no say: in a declaration or a list of bases.</summary>
    public static string Of(Type type) => Of(type, null);

    public static string Of(Type type, NullabilityInfo? nullability)
    {
        if (Nullable.GetUnderlyingType(type) is { } underlying)
        {
            return Of(underlying) + "?";
        }

        var suffix = !type.IsValueType && (nullability?.ReadState == NullabilityState.Nullable || nullability?.WriteState == NullabilityState.Nullable) ? "?" : "";
        return type switch
        {
            { IsByRef: true } => Of(type.GetElementType()!, nullability),
            { IsArray: true } => $"{Of(type.GetElementType()!, nullability?.ElementType)}[{new string(',', type.GetArrayRank() - 1)}]{suffix}",
            { IsGenericParameter: true } => type.Name + suffix,
            _ when Keywords.TryGetValue(type, out var keyword) => keyword + suffix,
            { IsGenericType: true } => Generic(type, nullability) + suffix,
            _ => Qualified(type) + suffix,
        };
    }

    public static string Value(object? value, Type type) => value switch
    {
        null => type.IsValueType && Nullable.GetUnderlyingType(type) is null ? "default" : "null",
        _ when type.IsEnum => $"{Of(type)}.{Enum.GetName(type, value) ?? Convert.ToString(value, CultureInfo.InvariantCulture)}",
        string text => SymbolDisplay.FormatLiteral(text, quote: true),
        bool flag => flag ? "true" : "false",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    private static string Generic(Type type, NullabilityInfo? nullability)
    {
        if (type.FullName?.StartsWith("System.ValueTuple`", StringComparison.Ordinal) == true)
        {
            return $"({Arguments()})";
        }

        var name = Qualified(type.IsGenericTypeDefinition ? type : type.GetGenericTypeDefinition());
        return $"{name[..name.IndexOf('`', StringComparison.Ordinal)]}<{Arguments()}>";

        string Arguments() => string.Join(", ", type.GetGenericArguments().Select((argument, i) =>
            Of(argument, nullability is { } n && n.GenericTypeArguments.Length > i ? n.GenericTypeArguments[i] : null)));
    }

    private static string Qualified(Type type) => type.IsNested ? $"{Qualified(type.DeclaringType!)}.{type.Name}" : $"{type.Namespace}.{type.Name}";
}
