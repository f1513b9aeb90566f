using System.Collections;
using System.Data.Common;
using SQLitePCL;

namespace Kv.Sqlite;

/// <summary>The rows of a statement, from when it runs until it is closed; one reader serves all runs of its statement.</summary>
/// <remarks>It answers what the engine asks, with the conversions and refusals of Microsoft.Data.Sqlite, and nothing else.</remarks>
internal sealed class SqliteRows(SqliteStatement statement) : DbDataReader
{
    private State _state = State.Closed;

    private enum State
    {
        Closed,
        BeforeFirst,
        OnRow,
        Ended,
    }

    public override bool IsClosed => _state == State.Closed;

    public override int FieldCount => raw.sqlite3_column_count(statement.Handle);

    public override int Depth => 0;

    public override bool HasRows => throw Unused();

    public override int RecordsAffected => throw Unused();

    public override object this[int ordinal] => GetValue(ordinal);

    public override object this[string name] => throw Unused();

    /// <summary>Begins to hand out the rows of a run.</summary>
    /// <param name="found">Whether the run has a first row, on which it stands.</param>
    public SqliteRows Open(bool found)
    {
        _state = found ? State.BeforeFirst : State.Ended;
        return this;
    }

    public override bool Read()
    {
        _state = _state switch
        {
            State.BeforeFirst => State.OnRow,
            State.OnRow => statement.Step() ? State.OnRow : State.Ended,
            State.Ended => State.Ended,
            _ => throw new InvalidOperationException("The reader is closed."),
        };
        return _state == State.OnRow;
    }

    public override void Close()
    {
        if (_state != State.Closed)
        {
            _state = State.Closed;
            statement.Reset();
        }
    }

    public override bool IsDBNull(int ordinal) => TypeOf(ordinal) == raw.SQLITE_NULL;

    public override long GetInt64(int ordinal)
    {
        DemandRow();

        // SQLite gives 0 for NULL, so nothing else needs a second look.
        var number = NativeStatement.Int64(statement.Run, ordinal);
        if (number == 0)
        {
            DemandValue(ordinal);
        }

        return number;
    }

    public override int GetInt32(int ordinal) => checked((int)GetInt64(ordinal));

    public override double GetDouble(int ordinal)
    {
        DemandValue(ordinal);
        return raw.sqlite3_column_double(statement.Handle, ordinal);
    }

    public override string GetString(int ordinal)
    {
        DemandValue(ordinal);
        return raw.sqlite3_column_text(statement.Handle, ordinal).utf8_to_string() ?? "";
    }

    public override object GetValue(int ordinal) => TypeOf(ordinal) switch
    {
        raw.SQLITE_INTEGER => GetInt64(ordinal),
        raw.SQLITE_FLOAT => GetDouble(ordinal),
        raw.SQLITE_TEXT => GetString(ordinal),
        raw.SQLITE_BLOB => GetFieldValue<byte[]>(ordinal),
        _ => DBNull.Value,
    };

    public override T GetFieldValue<T>(int ordinal)
    {
        if (typeof(T) != typeof(byte[]))
        {
            return (T)GetValue(ordinal);
        }

        DemandRow();
        var bytes = NativeStatement.Bytes(statement.Run, ordinal);
        if (bytes.IsEmpty)
        {
            DemandValue(ordinal);
        }

        return (T)(object)bytes.ToArray();
    }

    public override bool NextResult() => false;

    public override bool GetBoolean(int ordinal) => GetInt64(ordinal) != 0;

    public override byte GetByte(int ordinal) => throw Unused();

    public override long GetBytes(int ordinal, long dataOffset, byte[]? buffer, int bufferOffset, int length) => throw Unused();

    public override char GetChar(int ordinal) => throw Unused();

    public override long GetChars(int ordinal, long dataOffset, char[]? buffer, int bufferOffset, int length) => throw Unused();

    public override string GetDataTypeName(int ordinal) => throw Unused();

    public override DateTime GetDateTime(int ordinal) => throw Unused();

    public override decimal GetDecimal(int ordinal) => throw Unused();

    public override IEnumerator GetEnumerator() => throw Unused();

    public override Type GetFieldType(int ordinal) => throw Unused();

    public override float GetFloat(int ordinal) => throw Unused();

    public override Guid GetGuid(int ordinal) => throw Unused();

    public override short GetInt16(int ordinal) => throw Unused();

    public override string GetName(int ordinal) => throw Unused();

    public override int GetOrdinal(string name) => throw Unused();

    public override int GetValues(object[] values) => throw Unused();

    private int TypeOf(int ordinal)
    {
        DemandRow();
        return NativeStatement.TypeOf(statement.Run, ordinal);
    }

    private void DemandRow()
    {
        if (_state != State.OnRow)
        {
            throw new InvalidOperationException("The reader stands on no row.");
        }
    }

    private void DemandValue(int ordinal)
    {
        if (TypeOf(ordinal) == raw.SQLITE_NULL)
        {
            throw new InvalidOperationException($"Column {ordinal} is NULL and a value was asked for. Look with {nameof(IsDBNull)} first.");
        }
    }

    private static NotSupportedException Unused() => new("The engine does not ask this of its rows.");
}
