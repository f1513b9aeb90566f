using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace Kv.Benchmarks.Micro;

/// <summary>The questions that have an answer in nanoseconds.</summary>
public static class MicroBenchmarks
{
    /// <summary>Runs them in this process: a project that BenchmarkDotNet generates knows nothing of this repository's feeds and central versions.</summary>
    public static int Run(string[] args)
    {
        var job = Job.Default.WithToolchain(InProcessEmitToolchain.Instance);
        if (Array.IndexOf(args, "--job") is >= 0 and var at && at + 1 < args.Length && args[at + 1] == "dry")
        {
            // Its own --job adds a job, which would not be in process.
            job = Job.Dry.WithToolchain(InProcessEmitToolchain.Instance);
            args = [.. args[..at], .. args[(at + 2)..]];
        }

        var config = DefaultConfig.Instance.AddJob(job).AddDiagnoser(MemoryDiagnoser.Default)
            .WithOptions(ConfigOptions.DisableOptimizationsValidator).WithArtifactsPath(Path.Combine("artifacts", "micro"));
        var summaries = BenchmarkSwitcher.FromAssembly(typeof(MicroBenchmarks).Assembly).Run(args, config).ToList();
        return summaries.Count > 0 && summaries.All(static summary => summary.Reports.Length > 0 && summary.Reports.All(static report => report.Success)) ? 0 : 1;
    }
}
