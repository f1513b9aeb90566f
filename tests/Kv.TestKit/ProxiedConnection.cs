using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Kv.TestKit;

/// <summary>One connection through a proxy: two sockets, and a pump for each direction.</summary>
internal sealed class ProxiedConnection(TcpProxy proxy, Socket client) : IDisposable
{
    private readonly Socket _server = new(SocketType.Stream, ProtocolType.Tcp);
    private readonly Lock _gate = new();
    private readonly PostgresRequests _requests = new();
    private readonly List<byte> _lost = [];
    private volatile ProxyTrap? _loses;
    private bool _cut;

    /// <summary>"Ready for query, no transaction": the server is done with everything it was sent.</summary>
    private static ReadOnlySpan<byte> Idle => [(byte)'Z', 0, 0, 0, 5, (byte)'I'];

    public async Task RunAsync(string host, int port)
    {
        try
        {
            client.NoDelay = _server.NoDelay = true;
            await _server.ConnectAsync(host, port);
            await Task.WhenAll(PumpAsync(client, _server, Passes), PumpAsync(_server, client, Answers));
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // One side is gone, by itself or cut; the other learns it below.
        }
        finally
        {
            Cut();
        }
    }

    /// <summary>Resets both sides: whoever waits for bytes gets an error, not an end.</summary>
    public void Cut()
    {
        lock (_gate)
        {
            if (_cut)
            {
                return;
            }

            _cut = true;
            client.Close(0);
            _server.Close(0);
        }
    }

    public void Dispose() => Cut();

    private async Task PumpAsync(Socket from, Socket to, Func<ReadOnlyMemory<byte>, bool> passes)
    {
        var buffer = new byte[65536];
        int read;
        try
        {
            while ((read = await from.ReceiveAsync(buffer)) > 0)
            {
                var bytes = buffer.AsMemory(0, read);
                if (passes(bytes))
                {
                    while (!bytes.IsEmpty)
                    {
                        bytes = bytes[await to.SendAsync(bytes)..];
                    }
                }
            }

            to.Shutdown(SocketShutdown.Send);
        }
        catch
        {
            // Ends the other pump too.
            Cut();
            throw;
        }
    }

    private bool Passes(ReadOnlyMemory<byte> request)
    {
        var executed = _requests.Read(request.Span);
        if (proxy.DropsRequests)
        {
            return false;
        }

        if (proxy.Spring(executed) is not { } trap)
        {
            return true;
        }

        if (!trap.LosesRequest)
        {
            _loses = trap;
            return true;
        }

        Cut();
        trap.Complete();
        return false;
    }

    private bool Answers(ReadOnlyMemory<byte> answer)
    {
        if (_loses is not { } trap)
        {
            return !proxy.DropsAnswers;
        }

        // The end of the answer may be split between two reads.
        _lost.AddRange(answer.Span);
        if (CollectionsMarshal.AsSpan(_lost).IndexOf(Idle) >= 0)
        {
            Cut();
            trap.Complete();
        }

        return false;
    }
}
