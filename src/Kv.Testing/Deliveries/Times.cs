using System.Globalization;

namespace Kv;

/// <summary>How times are written in what a test shows.</summary>
internal static class Times
{
    /// <summary>To the millisecond, in UTC.</summary>
    public static string Text(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss.FFF", CultureInfo.InvariantCulture);
}
