using Kv.Chaos;

// kill -9, a stop signal and a cut cable are for the driver to send; this program's own errors are one line and an exit code.
try
{
    return args switch
    {
        ["worker", .. var rest] => await WorkerVerb.RunAsync(rest),
        ["writer"] => await WriterVerb.RunAsync(),
        ["child"] => await ChildVerb.RunAsync(),
        ["run", .. var rest] => await ChaosRun.RunAsync(ChaosOptions.Parse(rest)),
        _ => throw new UsageException("Say what to do: worker [--migrate], writer, or run [--provider sqlite|postgres] [--messages N] [--seconds S] [--workers W] [--kills K] [--seed X]. See README.md."),
    };
}
catch (Exception error) when (error is UsageException or Microsoft.Extensions.Options.OptionsValidationException or Kv.KvException or NotSupportedException)
{
    await Console.Error.WriteLineAsync(error.Message);
    return 2;
}
