using System.Net.Sockets;

namespace Kv.TestKit;

/// <summary>One connection through a proxy: two sockets, and a pump for each direction.</summary>
internal sealed class ProxiedConnection(TcpProxy proxy, Socket client) : IDisposable
{
    private readonly Socket _server = new(SocketType.Stream, ProtocolType.Tcp);
    private readonly Lock _gate = new();
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

    private async Task PumpAsync(Socket from, Socket to, Func<ReadOnlySpan<byte>, int, bool> passes)
    {
        // What a trap looks for may be split between two reads, so the end of the last one is kept in front of the next.
        const int Kept = 64;
        var buffer = new byte[Kept + 65536];
        var kept = 0;
        int read;
        try
        {
            while ((read = await from.ReceiveAsync(buffer.AsMemory(kept, buffer.Length - kept))) > 0)
            {
                if (passes(buffer.AsSpan(0, kept + read), kept))
                {
                    var sent = kept;
                    while (sent < kept + read)
                    {
                        sent += await to.SendAsync(buffer.AsMemory(sent, kept + read - sent));
                    }
                }

                var end = kept + read;
                kept = Math.Min(end, Kept);
                buffer.AsSpan(end - kept, kept).CopyTo(buffer);
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

    /// <summary>Whether the bytes hold the text, some of it among those that are new: what passed earlier does not count again.</summary>
    private static bool Has(ReadOnlySpan<byte> bytes, int old, ReadOnlySpan<byte> text) => bytes[Math.Max(0, old - text.Length + 1)..].IndexOf(text) >= 0;

    private bool Passes(ReadOnlySpan<byte> request, int old)
    {
        if (proxy.DropsRequests)
        {
            return false;
        }

        if (proxy.Trap is { } trap && Has(request, old, trap.Statement) && proxy.Spring(trap))
        {
            if (trap.LosesRequest)
            {
                Cut();
                trap.Complete();
                return false;
            }

            _loses = trap;
        }

        return true;
    }

    private bool Answers(ReadOnlySpan<byte> answer, int old)
    {
        if (_loses is not { } trap)
        {
            return !proxy.DropsAnswers;
        }

        if (Has(answer, old, Idle))
        {
            Cut();
            trap.Complete();
        }

        return false;
    }
}
