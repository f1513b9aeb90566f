namespace Kv.Values;

/// <summary>Types in texts and names.</summary>
internal static class TypeText
{
    /// <summary>
    /// A type as one would write it, with namespaces: <c>App.Envelope&lt;App.Job&gt;</c>, <c>App.Outer+Inner[]</c>. No assembly's name or
    /// version is in it.
    /// </summary>
    public static string Of(Type type) => Of(type, Of);

    /// <param name="type">The type.</param>
    /// <param name="argument">What a type is called that it is made of.</param>
    public static string Of(Type type, Func<Type, string> argument)
    {
        if (type.HasElementType)
        {
            var suffix = type.IsArray ? $"[{new string(',', type.GetArrayRank() - 1)}]" : type.IsPointer ? "*" : "&";
            return argument(type.GetElementType()!) + suffix;
        }

        if (!type.IsConstructedGenericType)
        {
            return type.FullName ?? type.Name;
        }

        // The arguments of an outer type come first in those of an inner one.
        var arguments = type.GetGenericArguments();
        var text = "";
        var used = 0;
        foreach (var part in type.GetGenericTypeDefinition().FullName!.Split('+'))
        {
            var mark = part.IndexOf('`', StringComparison.Ordinal);
            text += text.Length > 0 ? "+" : "";
            if (mark < 0)
            {
                text += part;
                continue;
            }

            var count = int.Parse(part.AsSpan(mark + 1), System.Globalization.CultureInfo.InvariantCulture);
            text += $"{part[..mark]}<{string.Join(',', arguments.Skip(used).Take(count).Select(argument))}>";
            used += count;
        }

        return text;
    }
}
