namespace Kv.Model;

/// <summary>A row of <c>data_version</c>: the store's clock (key 0), or the marker of a writer's last commit (any other key).</summary>
public sealed class DataVersion
{
    /// <summary>0 for the store's clock, else the number that a writer drew for itself.</summary>
    public long Key { get; private set; }

    /// <summary>The highest version committed: by anyone for the clock, by this writer for a marker.</summary>
    public long Version { get; private set; }

    /// <summary>0 for the clock; for a marker, the number of the writer's last commit, which resolves commits of unknown outcome.</summary>
    public long Sequence { get; private set; }
}
