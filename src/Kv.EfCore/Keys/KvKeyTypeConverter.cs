using System.ComponentModel;
using System.Globalization;

namespace Kv;

/// <summary>Reads keys from configuration and other texts: <c>["users", 42]</c>, as <see cref="KvKey.Parse(string)"/> does.</summary>
public sealed class KvKeyTypeConverter : TypeConverter
{
    /// <inheritdoc />
    public override bool CanConvertFrom(ITypeDescriptorContext? context, Type sourceType) => sourceType == typeof(string) || base.CanConvertFrom(context, sourceType);

    /// <inheritdoc />
    /// <exception cref="FormatException">The text is not a key; the message says where and why.</exception>
    public override object? ConvertFrom(ITypeDescriptorContext? context, CultureInfo? culture, object value) =>
        value is string text ? KvKey.Parse(text) : base.ConvertFrom(context, culture, value);

    /// <inheritdoc />
    public override object? ConvertTo(ITypeDescriptorContext? context, CultureInfo? culture, object? value, Type destinationType) =>
        value is KvKey key && destinationType == typeof(string) ? key.ToString() : base.ConvertTo(context, culture, value, destinationType);
}
