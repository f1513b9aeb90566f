using System.Reflection;
using System.Runtime.CompilerServices;

namespace Kv.Tests.Repository;

/// <summary>What an assembly shows to its users: a line for each type, followed by its members, all sorted by name.</summary>
/// <remarks>A type parameter without constraints reads as nullable, since what stands for it may be.</remarks>
internal sealed class ApiText
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
    private readonly NullabilityInfoContext _nullability = new();

    public static IReadOnlyList<string> Of(Assembly assembly)
    {
        var api = new ApiText();
        return
        [
            .. assembly.GetExportedTypes().Where(static t => !IsGenerated(t)).OrderBy(static t => t.FullName, StringComparer.Ordinal).SelectMany(api.Lines),
        ];
    }

    // Migrations are public because EF Core looks for them, and are not for anybody else.
    private static bool IsGenerated(Type type) => type.Namespace?.EndsWith(".Migrations", StringComparison.Ordinal) == true;

    private IEnumerable<string> Lines(Type type)
    {
        var name = TypeNames.Of(type);
        yield return Head(type, name);
        if (typeof(Delegate).IsAssignableFrom(type))
        {
            yield break;
        }

        foreach (var line in type.GetMembers(Declared).OrderBy(static m => m.Name, StringComparer.Ordinal).Select(Line).OfType<string>().Distinct(StringComparer.Ordinal))
        {
            yield return line;
        }

        string? Line(MemberInfo member) => member switch
        {
            FieldInfo field when IsShown(field) => Field(field, name),
            ConstructorInfo constructor when IsShown(constructor) => $"{Access(constructor)}{name}.{Simple(type)}({Parameters(constructor)})",
            PropertyInfo property => Property(property, name),
            EventInfo added when added.AddMethod is { } add && IsShown(add) =>
                $"{Access(add)}{Modifiers(add)}event {TypeNames.Of(added.EventHandlerType!, _nullability.Create(added))} {name}.{added.Name}",
            MethodInfo method when IsShown(method) && !IsAccessor(method) && !IsCompilers(method) => Method(method, name),
            _ => null,
        };
    }

    private string Head(Type type, string name)
    {
        var kind = type switch
        {
            { IsInterface: true } => "interface",
            { IsEnum: true } => "enum",
            { IsValueType: true } => type.IsDefined(typeof(IsReadOnlyAttribute)) ? "readonly struct" : "struct",
            _ when typeof(Delegate).IsAssignableFrom(type) => "delegate",
            { IsAbstract: true, IsSealed: true } => "static class",
            { IsAbstract: true } => "abstract class",
            { IsSealed: true } => "sealed class",
            _ => "class",
        };
        if (kind == "delegate")
        {
            var invoke = type.GetMethod("Invoke")!;
            return $"delegate {Returned(invoke)} {name}({Parameters(invoke)})";
        }

        List<string> bases = [];
        if (type.IsEnum)
        {
            bases.Add(TypeNames.Of(Enum.GetUnderlyingType(type)));
        }
        else
        {
            if (type.BaseType is { } ancestor && ancestor != typeof(object) && ancestor != typeof(ValueType))
            {
                bases.Add(TypeNames.Of(ancestor));
            }

            bases.AddRange(type.GetInterfaces().Where(static i => i.IsVisible).Select(TypeNames.Of).Order(StringComparer.Ordinal));
        }

        return $"{kind} {name}{(bases.Count > 0 ? " : " + string.Join(", ", bases) : "")}{Constraints(type.GetGenericArguments())}";
    }

    private string? Field(FieldInfo field, string owner)
    {
        if (field.IsSpecialName)
        {
            return null;
        }

        var type = TypeNames.Of(field.FieldType, _nullability.Create(field));
        var access = field.IsPublic ? "" : "protected ";
        if (field.IsLiteral)
        {
            return field.DeclaringType!.IsEnum
                ? $"{owner}.{field.Name} = {Convert.ToInt64(field.GetRawConstantValue(), null)}"
                : $"{access}const {type} {owner}.{field.Name} = {TypeNames.Value(field.GetRawConstantValue(), field.FieldType)}";
        }

        return $"{access}{(field.IsStatic ? "static " : "")}{(field.IsInitOnly ? "readonly " : "")}{type} {owner}.{field.Name}";
    }

    private string? Property(PropertyInfo property, string owner)
    {
        var shown = property.GetAccessors(nonPublic: true).Where(IsShown).ToList();
        if (shown.Count == 0)
        {
            return null;
        }

        var least = shown.Find(static m => m.IsPublic) ?? shown[0];
        var name = property.GetIndexParameters() is { Length: > 0 } ? $"this[{Parameters(property.GetIndexParameters())}]" : property.Name;
        var accessors = shown.Select(method => (method.IsPublic || !least.IsPublic ? "" : "protected ")
            + (method == property.GetMethod ? "get;" : IsInit(method) ? "init;" : "set;"));
        var required = property.IsDefined(typeof(RequiredMemberAttribute)) ? "required " : "";
        return $"{Access(least)}{Modifiers(least)}{required}{TypeNames.Of(property.PropertyType, _nullability.Create(property))} {owner}.{name} {{ {string.Join(' ', accessors)} }}";
    }

    private string Method(MethodInfo method, string owner)
    {
        var generic = method.IsGenericMethod ? $"<{string.Join(", ", method.GetGenericArguments().Select(TypeNames.Of))}>" : "";
        var extends = method.IsDefined(typeof(ExtensionAttribute)) ? "this " : "";
        return $"{Access(method)}{Modifiers(method)}{Returned(method)} {owner}.{method.Name}{generic}({extends}{Parameters(method)})"
            + Constraints(method.IsGenericMethod ? method.GetGenericArguments() : []);
    }

    private string Returned(MethodInfo method) => TypeNames.Of(method.ReturnType, _nullability.Create(method.ReturnParameter));

    private string Parameters(MethodBase method) => Parameters(method.GetParameters());

    private string Parameters(ParameterInfo[] parameters) => string.Join(", ", parameters.Select(Parameter));

    private string Parameter(ParameterInfo parameter)
    {
        var passed = parameter switch
        {
            { IsOut: true } => "out ",
            { ParameterType.IsByRef: true } when parameter.IsDefined(typeof(IsReadOnlyAttribute)) => "in ",
            { ParameterType.IsByRef: true } => "ref ",
            _ when parameter.IsDefined(typeof(ParamArrayAttribute)) || parameter.IsDefined(typeof(ParamCollectionAttribute)) => "params ",
            _ => "",
        };
        var value = parameter.HasDefaultValue ? " = " + TypeNames.Value(parameter.RawDefaultValue, parameter.ParameterType) : "";
        return $"{passed}{TypeNames.Of(parameter.ParameterType, _nullability.Create(parameter))} {parameter.Name}{value}";
    }

    private static string Constraints(Type[] arguments) => string.Concat(arguments.Where(static a => a.IsGenericParameter).Select(static argument =>
    {
        var kinds = argument.GenericParameterAttributes;
        List<string> words = [.. argument.GetGenericParameterConstraints().Where(static c => c != typeof(ValueType)).Select(TypeNames.Of).Order(StringComparer.Ordinal)];
        if (kinds.HasFlag(GenericParameterAttributes.ReferenceTypeConstraint))
        {
            words.Insert(0, "class");
        }

        if (kinds.HasFlag(GenericParameterAttributes.NotNullableValueTypeConstraint))
        {
            words.Insert(0, "struct");
        }
        else if (kinds.HasFlag(GenericParameterAttributes.DefaultConstructorConstraint))
        {
            words.Add("new()");
        }

        return words.Count == 0 ? "" : $" where {argument.Name} : {string.Join(", ", words)}";
    }));

    private static string Modifiers(MethodBase method) => method switch
    {
        { DeclaringType.IsInterface: true, IsStatic: false } => "",
        { IsStatic: true } => "static ",
        { IsAbstract: true } => "abstract ",
        { IsVirtual: true, IsFinal: false } when method is MethodInfo info && info.GetBaseDefinition() != info => "override ",
        { IsVirtual: true, IsFinal: false } when method.DeclaringType is { IsSealed: false } => "virtual ",
        _ => "",
    };

    private static bool IsShown(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static bool IsShown(FieldInfo field) => field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly;

    private static string Access(MethodBase method) => method.IsPublic ? "" : "protected ";

    private static bool IsAccessor(MethodInfo method) => method.IsSpecialName && !method.Name.StartsWith("op_", StringComparison.Ordinal);

    // What a record brings is said by its being one: it has this method.
    private static bool IsCompilers(MethodInfo method) => method.Name.StartsWith('<') && method.Name != "<Clone>$";

    private static bool IsInit(MethodInfo setter) => setter.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit));

    private static string Simple(Type type) => type.Name.Split('`')[0];
}
