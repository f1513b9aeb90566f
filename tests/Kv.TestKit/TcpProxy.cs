using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace Kv.TestKit;

/// <summary>Stands between clients and a PostgreSQL server, and fails as networks do.</summary>
/// <remarks>It passes everything until told otherwise. What it is told holds for all connections, those that are open and those to come.</remarks>
public sealed class TcpProxy : IAsyncDisposable
{
    private readonly Socket _listener;
    private readonly string _host;
    private readonly int _port;
    private readonly ConcurrentDictionary<ProxiedConnection, Task> _connections = new();
    private readonly Task _accepting;
    private volatile bool _refusing;
    private volatile bool _dropsRequests;
    private volatile bool _dropsAnswers;
    private volatile ProxyTrap? _trap;

    /// <summary>Listens on a free port in front of the server that the connection string names.</summary>
    public TcpProxy(string connectionString)
    {
        _listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        var server = new NpgsqlConnectionStringBuilder(connectionString);
        (_host, _port) = (server.Host!, server.Port);

        // Traps look for statements, which encryption would hide.
        (server.Host, server.Port, server.SslMode) = ("127.0.0.1", ((IPEndPoint)_listener.LocalEndPoint!).Port, SslMode.Disable);
        ConnectionString = server.ConnectionString;
        _accepting = AcceptAsync();
    }

    /// <summary>The same database, by way of the proxy.</summary>
    public string ConnectionString { get; }

    internal bool DropsRequests => _dropsRequests;

    internal bool DropsAnswers => _dropsAnswers;

    /// <summary>Takes back what the proxy was told; connections that lost bytes stay broken.</summary>
    public void Pass()
    {
        _refusing = _dropsRequests = _dropsAnswers = false;
        Interlocked.Exchange(ref _trap, null);
    }

    /// <summary>Resets new connections as soon as they are made. Open ones go on.</summary>
    public void Refuse() => _refusing = true;

    /// <summary>Resets all open connections, on both sides. New ones are let through.</summary>
    public void CutAll()
    {
        foreach (var connection in _connections.Keys)
        {
            connection.Cut();
        }
    }

    /// <summary>Swallows what clients send: the server waits for requests that never come, and the clients for answers.</summary>
    public void DropRequests() => _dropsRequests = true;

    /// <summary>Swallows what the server sends: requests take effect, and the clients never hear of it.</summary>
    public void DropAnswers() => _dropsAnswers = true;

    /// <summary>Lets the next such statement through, waits until the server is done and has no transaction open, and cuts the connection in place of the answer.</summary>
    /// <param name="statement">How it begins, in any case: "commit". A store commits its reads as well as its writes.</param>
    /// <returns>Ends when the connection was cut.</returns>
    public Task LoseAnswerTo(string statement) => Set(new ProxyTrap(statement, losesRequest: false));

    /// <summary>Cuts the connection in place of the next such statement, which never arrives, nor does what is sent along with it.</summary>
    /// <param name="statement">How it begins, in any case: "commit". A store commits its reads as well as its writes.</param>
    /// <returns>Ends when the connection was cut.</returns>
    public Task LoseRequest(string statement) => Set(new ProxyTrap(statement, losesRequest: true));

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _accepting;
        CutAll();
        await Task.WhenAll(_connections.Values);
    }

    /// <summary>Takes the trap away if one of the statements springs it.</summary>
    internal ProxyTrap? Spring(List<string> executed) =>
        _trap is { } trap && executed.Exists(trap.Matches) && Interlocked.CompareExchange(ref _trap, null, trap) == trap ? trap : null;

    private Task Set(ProxyTrap trap)
    {
        Interlocked.Exchange(ref _trap, trap);
        return trap.Sprung;
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptAsync();
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                return;
            }

            var connection = new ProxiedConnection(this, client);
            if (_refusing)
            {
                connection.Cut();
                continue;
            }

            // Listed before it runs, so that it is there to be taken off the list when it ends at once.
            var run = new Task<Task>(async () =>
            {
                await connection.RunAsync(_host, _port);
                _connections.TryRemove(connection, out _);
            });
            _connections[connection] = run.Unwrap();
            run.Start(TaskScheduler.Default);
        }
    }
}
