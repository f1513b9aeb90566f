using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace Kv.Tests.Repository;

/// <summary>Finds the types that the code of a namespace uses, in the compiled assembly: bases, members' signatures, locals, and instructions.</summary>
internal sealed class TypeUses(PEReader file)
{
    private static readonly FrozenDictionary<int, OpCode> Codes = typeof(OpCodes).GetFields().Where(static f => f.FieldType == typeof(OpCode))
        .Select(static f => (OpCode)f.GetValue(null)!).ToFrozenDictionary(static code => code.Value & 0xffff);

    private readonly MetadataReader _metadata = file.GetMetadataReader();
    private readonly HashSet<string> _found = new(StringComparer.Ordinal);

    public HashSet<string> Of(string part)
    {
        foreach (var handle in _metadata.TypeDefinitions.Where(handle => NamespaceOf(handle) == part))
        {
            var type = _metadata.GetTypeDefinition(handle);
            Add(type.BaseType);
            foreach (var implemented in type.GetInterfaceImplementations())
            {
                Add(_metadata.GetInterfaceImplementation(implemented).Interface);
            }

            foreach (var field in type.GetFields())
            {
                AddAll(_metadata.GetFieldDefinition(field).DecodeSignature(Names.Instance, null));
            }

            foreach (var method in type.GetMethods())
            {
                Add(_metadata.GetMethodDefinition(method));
            }
        }

        return _found;
    }

    private void Add(MethodDefinition method)
    {
        Add(method.DecodeSignature(Names.Instance, null));
        if (method.RelativeVirtualAddress == 0)
        {
            return;
        }

        var body = file.GetMethodBody(method.RelativeVirtualAddress);
        if (!body.LocalSignature.IsNil)
        {
            foreach (var local in _metadata.GetStandaloneSignature(body.LocalSignature).DecodeLocalSignature(Names.Instance, null))
            {
                AddAll(local);
            }
        }

        var il = body.GetILReader();
        while (il.RemainingBytes > 0)
        {
            var code = Codes[il.ReadByte() is var first && first == 0xfe ? 0xfe00 | il.ReadByte() : first];
            switch (code.OperandType)
            {
                case OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType:
                    Add(MetadataTokens.EntityHandle(il.ReadInt32()));
                    break;
                case OperandType.InlineSwitch:
                    var targets = il.ReadInt32();
                    il.Offset += 4 * targets;
                    break;
                default:
                    il.Offset += Size(code.OperandType);
                    break;
            }
        }
    }

    private void Add(EntityHandle handle)
    {
        switch (handle.Kind)
        {
            // An interface has no base.
            case HandleKind.TypeDefinition when handle.IsNil:
                break;
            case HandleKind.TypeDefinition or HandleKind.TypeReference:
                AddAll(Name(_metadata, handle));
                break;
            case HandleKind.TypeSpecification:
                AddAll(_metadata.GetTypeSpecification((TypeSpecificationHandle)handle).DecodeSignature(Names.Instance, null));
                break;
            case HandleKind.MethodDefinition:
                var method = _metadata.GetMethodDefinition((MethodDefinitionHandle)handle);
                Add(method.GetDeclaringType());
                Add(method.DecodeSignature(Names.Instance, null));
                break;
            case HandleKind.FieldDefinition:
                Add(_metadata.GetFieldDefinition((FieldDefinitionHandle)handle).GetDeclaringType());
                break;
            case HandleKind.MemberReference:
                Add(_metadata.GetMemberReference((MemberReferenceHandle)handle).Parent);
                break;
            case HandleKind.MethodSpecification:
                var generic = _metadata.GetMethodSpecification((MethodSpecificationHandle)handle);
                Add(generic.Method);
                foreach (var argument in generic.DecodeSignature(Names.Instance, null))
                {
                    AddAll(argument);
                }

                break;
        }
    }

    private void Add(MethodSignature<string> signature)
    {
        AddAll(signature.ReturnType);
        foreach (var parameter in signature.ParameterTypes)
        {
            AddAll(parameter);
        }
    }

    // A decoded type is the names in it, with commas between.
    private void AddAll(string names) => _found.UnionWith(names.Split(',', StringSplitOptions.RemoveEmptyEntries));

    private string NamespaceOf(TypeDefinitionHandle handle)
    {
        var type = _metadata.GetTypeDefinition(handle);
        return type.GetDeclaringType() is { IsNil: false } outer ? NamespaceOf(outer) : _metadata.GetString(type.Namespace);
    }

    private static int Size(OperandType operand) => operand switch
    {
        OperandType.InlineNone => 0,
        OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
        OperandType.InlineVar => 2,
        OperandType.InlineI8 or OperandType.InlineR => 8,
        _ => 4,
    };

    private static string Name(MetadataReader metadata, EntityHandle handle)
    {
        if (handle.Kind == HandleKind.TypeDefinition)
        {
            var type = metadata.GetTypeDefinition((TypeDefinitionHandle)handle);
            return type.GetDeclaringType() is { IsNil: false } outer
                ? $"{Name(metadata, outer)}.{metadata.GetString(type.Name)}"
                : $"{metadata.GetString(type.Namespace)}.{metadata.GetString(type.Name)}";
        }

        var reference = metadata.GetTypeReference((TypeReferenceHandle)handle);
        return reference.ResolutionScope.Kind == HandleKind.TypeReference
            ? $"{Name(metadata, reference.ResolutionScope)}.{metadata.GetString(reference.Name)}"
            : $"{metadata.GetString(reference.Namespace)}.{metadata.GetString(reference.Name)}";
    }

    private sealed class Names : ISignatureTypeProvider<string, object?>
    {
        public static readonly Names Instance = new();

        public string GetArrayType(string elementType, ArrayShape shape) => elementType;

        public string GetByReferenceType(string elementType) => elementType;

        public string GetFunctionPointerType(MethodSignature<string> signature) => string.Join(',', signature.ParameterTypes.Add(signature.ReturnType));

        public string GetGenericInstantiation(string genericType, ImmutableArray<string> typeArguments) => string.Join(',', typeArguments.Add(genericType));

        public string GetGenericMethodParameter(object? genericContext, int index) => "";

        public string GetGenericTypeParameter(object? genericContext, int index) => "";

        public string GetModifiedType(string modifier, string unmodifiedType, bool isRequired) => $"{modifier},{unmodifiedType}";

        public string GetPinnedType(string elementType) => elementType;

        public string GetPointerType(string elementType) => elementType;

        public string GetPrimitiveType(PrimitiveTypeCode typeCode) => "";

        public string GetSZArrayType(string elementType) => elementType;

        public string GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind) => Name(reader, handle);

        public string GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind) => Name(reader, handle);

        public string GetTypeFromSpecification(MetadataReader reader, object? genericContext, TypeSpecificationHandle handle, byte rawTypeKind) =>
            reader.GetTypeSpecification(handle).DecodeSignature(this, genericContext);
    }
}
