using Kv.Benchmarks;
using Kv.Benchmarks.Micro;

const string Usage = """
    run      asks every system in turn, each question in a process of its own, and prints the tables
             [--small] [--wide] [--goals] [--peers] [--rounds N] [--turns N] [--seconds S] [--warmup-seconds S] [--idle-seconds S] [--results FILE]
             [--databases sqlite,postgres] [--systems efkv,raw,...] [--ops get,set,...] [--callers 1,64,256]
             [--values 100,10240] [--rows 100000,1000000] [--messages 10000,50000] [--waiting 10000,1000000]
    goals    FILE ...: the tables of the results of some runs together, held against the goals
    micro    the micro-benchmarks, with the arguments of BenchmarkDotNet: --filter *Codec* --job dry
    soak     full load for a long time: [--minutes M] [--databases sqlite]
    """;
var settings = new Settings(args);
if (args is ["run" or "soak" or "measure" or "produce" or "hold", ..] && settings.Unknown is { } unknown)
{
    Console.Error.WriteLine($"'{unknown}' is no option, or has no value.\n{Usage}");
    return 2;
}

switch (args.FirstOrDefault())
{
    case "run":
        return await new Runner(settings).RunAsync() ? 0 : 1;
    case "goals" when args.Length > 1:
        var measured = new List<Measurement>();
        foreach (var file in args[1..])
        {
            measured.AddRange(await Measurement.ReadAsync(file));
        }

        Table.Print(measured);
        Console.WriteLine();
        Goals.Print(measured, all: true);
        return 0;
    case "micro":
        return MicroBenchmarks.Run(args[1..]);
    case "soak":
        await new Soak(settings).RunAsync();
        return 0;
    case "measure":
        await new Measuring(settings).RunAsync();
        return 0;
    case "produce" or "hold":
        await new Measuring(settings).AssistAsync(args[0]);
        return 0;
    default:
        Console.Error.WriteLine(Usage);
        return 2;
}
