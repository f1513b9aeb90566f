using System.Globalization;
using System.Text;
using Kv.Model;

namespace Kv.Looking;

/// <summary>How what is in a store is shown: the same text for the same content, whatever ids and versions it has.</summary>
internal static class StoreTexts
{
    /// <summary>A value, whole.</summary>
    public static string Of(KvValue value) => value.Encoding switch
    {
        KvEncoding.UInt64 when value.Array.Length == sizeof(ulong) => value.ReadUInt64().ToString(CultureInfo.InvariantCulture),
        KvEncoding.Json => Encoding.UTF8.GetString(value.Array),
        _ => $"{value.Encoding} 0x{Convert.ToHexString(value.Array)}",
    };

    /// <summary>A message that waits.</summary>
    public static string Of(QueuedMessage row) =>
        $"{row.Type} on '{row.Topic}', due {Time(row.DueAt)}{Waits(row)}{Facts(row)}: {Payload(row)}";

    /// <summary>A message that a worker holds.</summary>
    public static string Of(RunningMessage row) => $"{row.Type} on '{row.Topic}', runs{Facts(row)}: {Payload(row)}";

    /// <summary>A dead letter.</summary>
    public static string Of(KvDeadLetter letter) => string.Create(
        CultureInfo.InvariantCulture,
        $"{letter.Type} on '{letter.Topic}', {letter.Attempts} failed ({letter.Reason}): {Of(letter.Payload)}");

    /// <summary>A time in Unix milliseconds.</summary>
    public static string Time(long milliseconds) => Times.Text(KvMessageInfo.Time(milliseconds));

    private static string Waits(QueuedMessage row) => row.State == MessageState.Blocked ? ", waits for its group" : "";

    private static string Facts(MessageRow row)
    {
        var text = new StringBuilder();
        if (row.Attempt > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $", {row.Attempt} failed");
        }

        if (row.Priority != 0)
        {
            text.Append(CultureInfo.InvariantCulture, $", priority {row.Priority}");
        }

        if (row.GroupKey is not null)
        {
            text.Append(CultureInfo.InvariantCulture, $", group '{row.GroupKey}'");
        }

        return text.ToString();
    }

    private static string Payload(MessageRow row) => Of(new KvValue(row.Data, row.Encoding));
}
