using System.Data.Common;

namespace Kv.Connections;

/// <summary>A statement of a session, prepared once and kept for as long as the session lives. Not for concurrent use.</summary>
/// <remarks>Its parameters are those that its text names. A value for a name that the text does not have is passed over.</remarks>
internal abstract class Statement : IDisposable
{
    /// <summary>Gives a parameter its value, which it keeps from run to run.</summary>
    public abstract Statement Set(string parameter, object? value);

    /// <summary>Gives a parameter a number.</summary>
    public virtual Statement Set(string parameter, long value) => Set(parameter, (object)value);

    /// <summary>Runs it and reads its rows. The statement can run again when the reader is closed.</summary>
    public abstract ValueTask<DbDataReader> ReadAsync(CancellationToken cancellationToken);

    /// <summary>Reads without the thread pool: the driver blocks the calling thread.</summary>
    public abstract DbDataReader Read();

    /// <summary>Runs it and reads the first column of the first row: null without a row, <see cref="DBNull"/> for NULL.</summary>
    public abstract ValueTask<object?> ScalarAsync(CancellationToken cancellationToken);

    /// <summary>Runs it to its end.</summary>
    /// <returns>How many rows it wrote; what does not write may give any number.</returns>
    public abstract ValueTask<int> ExecuteAsync(CancellationToken cancellationToken);

    public abstract void Dispose();
}
