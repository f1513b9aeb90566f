using System.Net;
using System.Net.Sockets;

namespace Kv.TestKit;

/// <summary>A network between a client and a server that a test can break.</summary>
public sealed class TcpProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly string _host;
    private readonly int _port;
    private readonly Lock _gate = new();
    private readonly HashSet<Link> _links = [];
    private readonly Task _accepting;
    private volatile bool _refusing;
    private volatile bool _swallowingReplies;
    private volatile bool _cuttingAtReply;
    private TaskCompletionSource _held = new();
    private TaskCompletionSource _released = new();

    public TcpProxy(string host, int port)
    {
        (_host, _port) = (host, port);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Ends every connection with a reset, on both sides.</summary>
    public void Cut()
    {
        foreach (var link in Links())
        {
            link.Reset();
        }
    }

    /// <summary>Resets whoever connects from here on.</summary>
    public void Refuse() => _refusing = true;

    /// <summary>What the server says from here on does not arrive; what the client says does.</summary>
    public void SwallowReplies() => _swallowingReplies = true;

    /// <summary>The next thing that the server says does not arrive, and its connection is cut: the server did its work, and nobody knows.</summary>
    public void CutAtNextReply() => _cuttingAtReply = true;

    /// <summary>What clients say on the connections of now stays on its way until it is let go, even after they have gone themselves.</summary>
    /// <returns>When something is on its way.</returns>
    public Task HoldRequests()
    {
        _held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var link in Links())
        {
            link.Holding = _released.Task;
        }

        return _held.Task;
    }

    /// <summary>Delivers what was held.</summary>
    /// <returns>When the server is done with it, and has closed the connections of the clients that are gone.</returns>
    public Task ReleaseRequestsAsync()
    {
        var done = Task.WhenAll(Links().Where(static link => link.IsOrphan).Select(static link => link.Done));
        _released.TrySetResult();
        return done;
    }

    /// <summary>Works again. Connections that lived through a fault stay as they are.</summary>
    public void Heal()
    {
        _refusing = false;
        _swallowingReplies = false;
        _cuttingAtReply = false;
    }

    public async ValueTask DisposeAsync()
    {
        _released.TrySetResult();
        _listener.Stop();
        await _accepting;
        Cut();
    }

    private Link[] Links()
    {
        lock (_gate)
        {
            return [.. _links];
        }
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptSocketAsync();
            }
            catch (Exception error) when (error is SocketException or InvalidOperationException)
            {
                // Stopped: while it waited, or before it did.
                return;
            }

            if (_refusing)
            {
                Link.Reset(client);
                continue;
            }

            var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            client.NoDelay = true;
            try
            {
                await server.ConnectAsync(_host, _port);
            }
            catch (SocketException)
            {
                Link.Reset(client);
                continue;
            }

            var link = new Link(this, client, server);
            lock (_gate)
            {
                _links.Add(link);
            }

            link.Start();
        }
    }

    private sealed class Link(TcpProxy proxy, Socket client, Socket server)
    {
        private volatile bool _clientGone;
        private volatile bool _hasHeld;

        /// <summary>Ends when requests need not be held any more.</summary>
        public Task Holding { get; set; } = Task.CompletedTask;

        public Task Done { get; private set; } = Task.CompletedTask;

        /// <summary>Whether something of a client that has gone is still on its way.</summary>
        public bool IsOrphan => _clientGone && _hasHeld;

        public static void Reset(Socket socket)
        {
            socket.LingerState = new LingerOption(enable: true, seconds: 0);
            socket.Close();
        }

        public void Start() => Done = Task.WhenAll(RequestsAsync(), RepliesAsync());

        public void Reset()
        {
            _clientGone = true;
            TryReset(client);
            if (!_hasHeld)
            {
                End();
            }
        }

        private void End()
        {
            TryReset(client);
            TryReset(server);
            lock (proxy._gate)
            {
                proxy._links.Remove(this);
            }
        }

        private async Task RequestsAsync()
        {
            var buffer = new byte[64 * 1024];
            try
            {
                while (await client.ReceiveAsync(buffer) is > 0 and var count)
                {
                    if (!Holding.IsCompleted)
                    {
                        _hasHeld = true;
                        proxy._held.TrySetResult();
                        await Holding;
                    }

                    await server.SendAsync(buffer.AsMemory(0, count));
                }
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                // The client is gone.
            }

            // A plain end: a reset would take back from the server what it has not read yet.
            _clientGone = true;
            try
            {
                server.Shutdown(SocketShutdown.Send);
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                // The server is gone too.
            }
        }

        private async Task RepliesAsync()
        {
            var buffer = new byte[64 * 1024];
            try
            {
                while (await server.ReceiveAsync(buffer) is > 0 and var count)
                {
                    if (proxy._cuttingAtReply)
                    {
                        proxy._cuttingAtReply = false;
                        break;
                    }

                    if (!proxy._swallowingReplies && !_clientGone)
                    {
                        await client.SendAsync(buffer.AsMemory(0, count));
                    }
                }
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                // The other side is told below.
            }

            End();
        }

        private static void TryReset(Socket socket)
        {
            try
            {
                Reset(socket);
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                // It was closed already.
            }
        }
    }
}
