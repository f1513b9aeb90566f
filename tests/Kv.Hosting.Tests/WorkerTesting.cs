using Kv.Diagnostics;
using Kv.Store;
using Kv.TestKit;
using Kv.Worker;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Kv.Tests;

/// <summary>A worker that runs when the test says.</summary>
internal static class WorkerTesting
{
    /// <summary>Only a hang waits for so long.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static readonly KvEnqueueOptions Once = new() { BackoffSchedule = [] };

    /// <summary>A store with a worker that has not started.</summary>
    public static Task<KvTestStore> CreateWorkerAsync(
        this KvDatabase database,
        Action<KvWorkerBuilder> handlers,
        TimeProvider? time = null,
        Action<KvWorkerOptions>? options = null,
        KvTestStore? beside = null,
        LogCollector? logs = null,
        Action<KvStoreOptions>? storeOptions = null,
        string? connectionString = null) =>
        database.CreateStoreAsync(time, storeOptions, connectionString ?? beside?.ConnectionString, services =>
        {
            if (logs is not null)
            {
                services.AddSingleton(_ => logs.CreateProvider());
            }

            handlers(services.AddKvWorker(options));
        });

    public static KvWorker Worker(this KvTestStore test) => test.Services.GetServices<IHostedService>().OfType<KvWorker>().Single();

    public static Engine.KvEngine Engine(this KvTestStore test) => test.Services.GetRequiredService<KvStore>().Engine;

    public static FailPoints FailPoints(this KvTestStore test) => test.Services.GetRequiredService<FailPoints>();

    /// <summary>Runs rounds until nothing is due, and lets every handler end.</summary>
    public static async Task SettleAsync(this KvTestStore test)
    {
        while (await test.Worker().RunRoundAsync(CancellationToken.None) == TimeSpan.Zero)
        {
            await test.Worker().WhenIdleAsync().WaitAsync(Patience);
        }
    }

    /// <summary>Has the worker claim what is due, and leaves the handlers running.</summary>
    public static Task ClaimAsync(this KvTestStore test) => test.Worker().RunRoundAsync(CancellationToken.None);

    public static Task IdleAsync(this KvTestStore test) => test.Worker().WhenIdleAsync().WaitAsync(Patience);

    public static Task StartAsync(this KvTestStore test) => test.Worker().StartAsync(CancellationToken.None);

    /// <summary>Waits until the commits of other processes are heard of.</summary>
    public static async Task WhenListeningAsync(this KvTestStore test)
    {
        var listener = test.Engine().Listener;
        var hears = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        listener.ListeningChanged += Look;
        Look();
        await hears.Task.WaitAsync(Patience);
        listener.ListeningChanged -= Look;

        void Look()
        {
            if (listener.IsListening)
            {
                hears.TrySetResult();
            }
        }
    }

    public static Task StopAsync(this KvTestStore test) => test.Worker().StopAsync(CancellationToken.None);
}

/// <summary>A handler that says when it has begun and goes on when the test says.</summary>
internal sealed class Gate
{
    private readonly TaskCompletionSource<KvMessageContext> _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _open = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public CancellationToken Token { get; private set; }

    public Task<KvMessageContext> Begun => _begun.Task.WaitAsync(WorkerTesting.Patience);

    public void Open() => _open.TrySetResult();

    /// <summary>Waits until the test opens it, or the token is cancelled.</summary>
    public async Task PassAsync(KvMessageContext context, CancellationToken token)
    {
        Token = token;
        _begun.TrySetResult(context);
        await _open.Task.WaitAsync(token);
    }

    /// <summary>Waits until the test opens it, whatever the token says.</summary>
    public async Task PassStubbornlyAsync(KvMessageContext context, CancellationToken token)
    {
        Token = token;
        _begun.TrySetResult(context);
        await _open.Task;
    }
}
