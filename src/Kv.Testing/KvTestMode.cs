namespace Kv;

/// <summary>When a host of a test runs what is due.</summary>
public enum KvTestMode
{
    /// <summary>When the test says so: <see cref="KvTestHost.DrainAsync"/>, <see cref="KvTestHost.AdvanceAsync"/>.</summary>
    Manual = 0,

    /// <summary>
    /// A call that commits runs, before it returns, what is due then. For what a handler commits, that is the call that its run belongs
    /// to.
    /// </summary>
    Inline = 1,
}
