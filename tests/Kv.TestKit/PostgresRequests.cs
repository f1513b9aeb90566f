using System.Buffers.Binary;
using System.Text;

namespace Kv.TestKit;

/// <summary>Reads from what a client sends which statements it has the server execute, prepared ones too.</summary>
internal sealed class PostgresRequests
{
    private const int ProtocolVersion3 = 3;
    private readonly Dictionary<string, string> _prepared = new(StringComparer.Ordinal);
    private readonly List<byte> _pending = [];
    private bool _started;

    /// <summary>Takes further bytes.</summary>
    /// <returns>The statements whose execution these bytes ask for.</returns>
    public List<string> Read(ReadOnlySpan<byte> bytes)
    {
        _pending.AddRange(bytes);
        List<string> executed = [];
        while (Next() is var (type, body) && body is not null)
        {
            switch (type)
            {
                // Parse: the name to prepare it under (empty for once), the statement.
                case 'P':
                    _prepared[Text(body, 0)] = Text(body, 1);
                    break;
                // Bind: the portal, the name. To execute it follows at once.
                case 'B' when _prepared.TryGetValue(Text(body, 1), out var statement):
                    executed.Add(statement);
                    break;
                case 'Q':
                    executed.Add(Text(body, 0));
                    break;
            }
        }

        return executed;
    }

    private (char Type, byte[]? Body) Next()
    {
        // What comes before the session has started (its parameters, a wish for encryption, a cancellation) has no type.
        var head = _started ? 1 : 0;
        if (_pending.Count < head + 4)
        {
            return default;
        }

        var length = BinaryPrimitives.ReadInt32BigEndian(_pending.Slice(head, 4).ToArray());
        if (_pending.Count < head + length)
        {
            return default;
        }

        var type = _started ? (char)_pending[0] : ' ';
        var body = _pending.Slice(head + 4, length - 4).ToArray();
        _pending.RemoveRange(0, head + length);
        _started |= body.Length >= 2 && BinaryPrimitives.ReadInt16BigEndian(body) == ProtocolVersion3;
        return (type, body);
    }

    private static string Text(byte[] body, int index)
    {
        var start = 0;
        for (; index > 0; index--)
        {
            start = Array.IndexOf(body, (byte)0, start) + 1;
        }

        return Encoding.UTF8.GetString(body, start, Array.IndexOf(body, (byte)0, start) - start);
    }
}
