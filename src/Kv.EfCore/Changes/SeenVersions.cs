namespace Kv.Changes;

/// <summary>
/// The versions that this process has seen committed, to notice a database that has gone back to an earlier state of itself.
/// </summary>
/// <remarks>
/// What a look finds is compared with what was known before it began: answers come in any order, but none can miss what was committed by
/// then. When a database has gone back, a new era begins, and whatever is still told of the one before counts no more. What waits for
/// commits waits for a signal and never for a number, so that no version of a former era can hold it up.
/// </remarks>
internal sealed class SeenVersions
{
    private readonly Lock _gate = new();
    private volatile Era _era = new(0);
    private long _highest;

    /// <summary>The database has gone back.</summary>
    public event Action<VersionLoss>? WentBack;

    /// <summary>The era that holds now, for what is about to begin.</summary>
    public Era Current => _era;

    /// <summary>The highest version of all eras: what is given out from now on is to lie above it.</summary>
    public long Highest => Interlocked.Read(ref _highest);

    /// <summary>A version was committed that was begun in an era.</summary>
    /// <param name="era">The era.</param>
    /// <param name="version">The version.</param>
    /// <param name="isDurable">Whether it is on the disk, and so all versions before it are.</param>
    public void Learn(Era era, long version, bool isDurable = false)
    {
        lock (_gate)
        {
            _highest = Math.Max(_highest, version);
            era.Version = Math.Max(era.Version, version);
            era.Durable = Math.Max(era.Durable, isDurable ? version : 0);
        }
    }

    /// <summary>A look at the store's own database has found a version.</summary>
    /// <param name="before">What was known before the look began.</param>
    /// <param name="found">What it found.</param>
    /// <param name="lacksOwn">Whether it does not find a commit that this process was told of.</param>
    public void Look(SeenVersion before, long found, bool lacksOwn = false)
    {
        lock (_gate)
        {
            if (before.Era != _era || (found >= before.Version && !lacksOwn))
            {
                before.Era.Version = Math.Max(before.Era.Version, found);
                _highest = Math.Max(_highest, found);
                return;
            }

            _era = new Era(found);
        }

        WentBack?.Invoke(new VersionLoss(before.Version, found, lacksOwn));
    }

    /// <summary>The versions between two times at which the database went back.</summary>
    internal sealed class Era(long version)
    {
        private long _version = version;
        private long _durable;

        /// <summary>The highest one known.</summary>
        public long Version
        {
            get => Interlocked.Read(ref _version);
            set => Interlocked.Exchange(ref _version, value);
        }

        /// <summary>The highest one that is known to be on the disk; 0 for none.</summary>
        public long Durable
        {
            get => Interlocked.Read(ref _durable);
            set => Interlocked.Exchange(ref _durable, value);
        }

        /// <summary>What is known now.</summary>
        public SeenVersion Seen => new(this, Version);
    }
}

/// <summary>What is known at a moment.</summary>
internal readonly record struct SeenVersion(SeenVersions.Era Era, long Version);

/// <summary>A database has gone back.</summary>
/// <param name="Known">The version that this process has seen committed.</param>
/// <param name="Found">The one that the database has.</param>
/// <param name="LacksOwn">Whether a commit is missing that this process was told of.</param>
internal readonly record struct VersionLoss(long Known, long Found, bool LacksOwn);
