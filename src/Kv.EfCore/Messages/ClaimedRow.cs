using System.Data.Common;
using Kv.Sql;

namespace Kv.Messages;

/// <summary>Rows of messages that are being claimed, with the columns in the order in which <see cref="KvSql"/> names them.</summary>
internal static class ClaimedRow
{
    /// <summary>The position of what a statement asks for besides.</summary>
    public const int Next = 27;

    /// <summary>Reads a message that is being claimed.</summary>
    public static ClaimedMessage Read(DbDataReader reader, string owner)
    {
        var message = new ClaimedMessage(
            new Fence(reader.GetString(0), owner, NextClaim(reader.GetInt64(22))), reader.GetFieldValue<byte[]>(1), ReadInt32(reader, 5), reader.GetString(3), reader.GetString(4))
        {
            Undelivered = ReadText(reader, 2),
            EnqueuedAt = reader.GetInt64(6),
            Trace = ReadNullable(reader, 7),
            Priority = ReadInt32(reader, 8),
            TopicRetries = ReadInt32(reader, 14) != 0,
            Backoff = reader.GetString(19),
        };
        return reader.GetInt64(26) != 0
            ? message
            : message with
            {
                GroupKey = ReadNullable(reader, 9),
                GroupLimit = ReadInt32(reader, 10),
                RateKey = ReadNullable(reader, 11),
                UniqueKey = ReadNullable(reader, 12),
                UniqueUntil = reader.GetInt64(13),
                IsCancelled = reader.GetInt64(15) == 1,
                Checkpoint = reader.IsDBNull(16) ? null : reader.GetFieldValue<byte[]>(16),
                CheckpointEncoding = ReadInt32(reader, 17),
                Scope = reader.IsDBNull(18) ? null : reader.GetFieldValue<byte[]>(18),
                Attempt = ReadCount(reader, 20),
                Crashes = ReadCount(reader, 21),
                RateToken = reader.GetInt64(23),
                FirstError = ReadNullable(reader, 24),
                LastError = ReadNullable(reader, 25),
            };
    }

    /// <summary>Reads since when the message that is being claimed was due, on PostgreSQL.</summary>
    public static long ReadDueAt(DbDataReader reader) => reader.GetInt64(Next);

    // SQLite's columns hold any number, and a claim that cannot read one of its rows would stop the whole queue.
    private static int ReadInt32(DbDataReader reader, int column) => (int)Math.Clamp(reader.GetInt64(column), int.MinValue, int.MaxValue);

    // With a next one.
    private static int ReadCount(DbDataReader reader, int column) => (int)Math.Clamp(reader.GetInt64(column), 0, int.MaxValue - 1);

    /// <summary>The number of a claim, as <see cref="KvSql"/> has it.</summary>
    private static long NextClaim(long last) => last < 1L << 62 ? last + 1 : 1;

    private static string? ReadNullable(DbDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);

    // The column is declared BLOB and holds TEXT in Deno's files; other programs have been seen to write a BLOB.
    private static string ReadText(DbDataReader reader, int column) => reader.GetValue(column) switch
    {
        string text => text,
        byte[] bytes => System.Text.Encoding.UTF8.GetString(bytes),
        _ => reader.GetString(column),
    };
}
