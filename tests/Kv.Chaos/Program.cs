using System.Data.Common;
using System.Net.Sockets;
using Kv.Chaos;

// What cannot be done is said in one line and an exit code. Anything else that ends this program is a bug, and shows where.
try
{
    return args switch
    {
        ["worker", .. var rest] => await WorkerVerb.RunAsync(rest),
        ["writer", .. var rest] => await WriterVerb.RunAsync(rest),
        ["units"] => await UnitsVerb.RunAsync(),
        ["changer", .. var rest] => await ChangerVerb.RunAsync(rest),
        ["follower"] => await FollowerVerb.RunAsync(),
        ["child"] => await ChildVerb.RunAsync(),
        ["run", .. var rest] => await ChaosRun.RunAsync(ChaosOptions.Parse(rest)),
        _ => throw new UsageException("Say what to do: worker [--migrate], writer [--migrate], units, changer N, follower, or run [--provider sqlite|postgres] [--messages N] [--seconds S] [--workers W] [--kills K] [--seed X]. See README.md."),
    };
}
catch (Exception error) when (error is UsageException or Microsoft.Extensions.Options.OptionsValidationException or Kv.KvException or NotSupportedException
    or DbException or SocketException or IOException)
{
    await Console.Error.WriteLineAsync(error.Message.ReplaceLineEndings(" "));
    return 2;
}
