namespace Kv;

/// <summary>
/// The merge operators that every store has, by their names. They work on JSON as it is stored, and ask nothing of its .NET types.
/// </summary>
/// <remarks>
/// Their operands are written by the store's serializer, as JSON (<see cref="KvEncoding.Json"/>); a value that is no JSON, such as a
/// counter or bytes, is of the wrong type. <see cref="KvMergeExtensions"/> adds operators of your own, also in the place of these.
/// </remarks>
public static class KvMerge
{
    /// <summary>
    /// Puts a string behind the string that is stored: <c>"ab"</c> and <c>"c"</c> become <c>"abc"</c>. An absent key takes the operand.
    /// </summary>
    public const string Concat = "concat";

    /// <summary>
    /// Puts one element at the end of the list that is stored, a JSON array: <c>[1]</c> and <c>2</c> become <c>[1,2]</c>. An absent key
    /// becomes a list of that element; an operand that is a list itself is one element.
    /// </summary>
    public const string Append = "append";

    /// <summary>
    /// Applies a JSON merge patch (RFC 7396): members of the operand take the place of those that are stored, and those that are null take
    /// them away, down into objects; a list is replaced whole. An absent key, and what is no object, counts as an empty object.
    /// </summary>
    /// <remarks>
    /// The operand can be an anonymous object. A member that has to go must be written as null, which is what serializers do unless they
    /// are told to leave nulls out.
    /// </remarks>
    public const string MergePatch = "merge-patch";

    /// <summary>
    /// Adds those elements of a list that the stored list, a JSON array, does not have: <c>[1,2]</c> and <c>[2,3]</c> become
    /// <c>[1,2,3]</c>. An absent key counts as an empty list.
    /// </summary>
    /// <remarks>
    /// Elements are equal when their JSON is: the order of members and the notation of a number (1 and 1.0) make no difference. What is
    /// stored stays in its order, and new elements come after it.
    /// </remarks>
    public const string Union = "union";
}
