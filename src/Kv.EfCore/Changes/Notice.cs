using System.Globalization;

namespace Kv.Changes;

/// <summary>What a commit may bring to what waits.</summary>
[Flags]
internal enum ChangeKinds
{
    None = 0,

    /// <summary>A version was taken: watchers look.</summary>
    Version = 1,

    /// <summary>Messages came into the queue: workers look.</summary>
    Messages = 2,

    /// <summary>Running messages are to be cancelled: workers that hold some look.</summary>
    Cancel = 4,

    /// <summary>Schedules were changed: schedulers look.</summary>
    Schedules = 8,

    /// <summary>Something may have been missed: all look.</summary>
    All = Version | Messages | Cancel | Schedules,
}

/// <summary>What one process tells the others.</summary>
/// <param name="Sender">The store that tells it, which passes over its own; 0 if it is to hear of it, too, since it does not know what came of it.</param>
/// <param name="What">What there is to look for.</param>
/// <param name="Version">The version that was taken; 0 if it has to be looked up.</param>
/// <param name="IsProbe">Whether the sender only wants to see it come back.</param>
internal readonly record struct Notice(long Sender, ChangeKinds What, long Version, bool IsProbe = false)
{
    public static Notice LookAtAll => new(0, ChangeKinds.All, 0);

    /// <summary>As text: the sender, the version, and a letter for each thing to look for.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Sender:x} {Version} {Letter(ChangeKinds.Version, 'v')}{Letter(ChangeKinds.Messages, 'm')}{Letter(ChangeKinds.Cancel, 'c')}"
        + $"{Letter(ChangeKinds.Schedules, 's')}{(IsProbe ? "p" : "")}");

    /// <summary>Reads what another process wrote, whose program may be newer: letters without a meaning here are passed over.</summary>
    public static Notice Parse(string text)
    {
        if (text.Split(' ') is not [var sender, var version, var letters]
            || !long.TryParse(sender, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var from)
            || !long.TryParse(version, NumberStyles.None, CultureInfo.InvariantCulture, out var taken))
        {
            return LookAtAll;
        }

        var what = Find(ChangeKinds.Version, 'v') | Find(ChangeKinds.Messages, 'm') | Find(ChangeKinds.Cancel, 'c')
            | Find(ChangeKinds.Schedules, 's');
        return new Notice(from, what, taken, letters.Contains('p'));

        ChangeKinds Find(ChangeKinds change, char letter) => letters.Contains(letter) ? change : ChangeKinds.None;
    }

    private string Letter(ChangeKinds change, char letter) => What.HasFlag(change) ? letter.ToString() : "";
}
