using System.Runtime.InteropServices;

namespace Kv.Store;

/// <summary>How far a write under construction has come.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct WriteExtent(int Checks, int Mutations, int Messages, int Size, int KeySize)
{
    /// <summary>How many things there are.</summary>
    public int Count => Checks + Mutations + Messages;

    public static WriteExtent operator -(WriteExtent one, WriteExtent other) => new(
        one.Checks - other.Checks,
        one.Mutations - other.Mutations,
        one.Messages - other.Messages,
        one.Size - other.Size,
        one.KeySize - other.KeySize);
}
