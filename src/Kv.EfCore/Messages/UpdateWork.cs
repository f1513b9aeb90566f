using Kv.Sql;

namespace Kv.Messages;

/// <summary>A statement on a few rows of the queue's tables that stands for itself. The answer is whether it met a row.</summary>
internal sealed class UpdateWork(string text, IReadOnlyList<(string Name, object? Value)> values) : Work<bool>
{
    /// <summary>One of <see cref="KvSql"/> that returns a row for each that it changed.</summary>
    public string Text { get; } = text;

    public IReadOnlyList<(string Name, object? Value)> Values { get; } = values;
}
