namespace Kv;

/// <summary>What happens to a message whose unique key is taken.</summary>
public enum KvDuplicatePolicy
{
    /// <summary>The message that is there stays, and this one is not put in. The write as a whole takes effect.</summary>
    Keep = 0,

    /// <summary>
    /// This message takes the place of the one that is there, with its own payload and due time. If that one runs already, it runs to its end;
    /// this one does not wait for that unless both have the same group key.
    /// </summary>
    Replace = 1,

    /// <summary>The write as a whole fails with <see cref="KvErrorKind.Duplicate"/>, and nothing is written.</summary>
    Refuse = 2,
}
