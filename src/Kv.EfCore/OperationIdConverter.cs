using Kv.Keys;

namespace Kv;

/// <summary>Names of commits as their texts.</summary>
internal sealed class OperationIdConverter() : TextConverter<KvOperationId>(KvOperationId.Parse);
