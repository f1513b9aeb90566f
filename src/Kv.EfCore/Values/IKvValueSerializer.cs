using Kv.Values;

namespace Kv;

/// <summary>
/// Turns objects into stored values and back. A store uses <see cref="KvJsonSerializer"/> unless another one is registered.
/// </summary>
/// <remarks>
/// Implementations are called from several threads. They should pass a <see cref="KvValue"/> through unchanged, and throw a
/// <see cref="KvException"/> when a stored value cannot be read as the type asked for.
/// </remarks>
public interface IKvValueSerializer
{
    /// <summary>Makes the value to store: one that a public constructor or method of <see cref="KvValue"/> gives, so with an encoding that <see cref="KvEncoding"/> names.</summary>
    /// <typeparam name="T">The type the caller named; the object may be of a derived one. Of a message, the type that it has.</typeparam>
    KvValue Serialize<T>(T value);

    /// <summary>Makes the value to store in an encoding that the caller asks for (<see cref="KvSetOptions.Encoding"/>).</summary>
    /// <remarks>By default this is what <see cref="Serialize{T}(T)"/> gives, or refused if that has another encoding.</remarks>
    /// <typeparam name="T">The type the caller named.</typeparam>
    /// <param name="value">The value.</param>
    /// <param name="encoding">The encoding.</param>
    /// <exception cref="KvException">The value cannot be stored so; the message says what to do.</exception>
    KvValue SerializeAs<T>(T value, KvEncoding encoding) => Serialize(value) is var stored && stored.Encoding == encoding
        ? stored
        : throw new KvException(
            KvErrorKind.Encoding,
            $"The serializer {GetType().Name} stores a {TypeText.Of(value?.GetType() ?? typeof(T))} as {stored.Encoding}, and not as {encoding}. "
            + $"Pass a {nameof(KvValue)}, or leave the encoding out.");

    /// <summary>Reads a stored value.</summary>
    /// <typeparam name="T">The type the caller asks for.</typeparam>
    /// <exception cref="KvException">The value cannot be read as this type; the message says what to do.</exception>
    T? Deserialize<T>(KvValue value);
}
