using System.Diagnostics;
using Kv.Benchmarks.Systems;

namespace Kv.Benchmarks;

/// <summary>Asks all systems, each question in a process of its own, round by round: one after the other, or in turns.</summary>
public sealed class Runner(Settings settings)
{
    private const int Starts = 6;
    private readonly List<Measurement> _measurements = [];
    private readonly string _folder = Directory.CreateTempSubdirectory("efkv-bench-").FullName;

    /// <returns>Whether every system that could be asked has answered.</returns>
    public async Task<bool> RunAsync()
    {
        var failed = 0;
        try
        {
            foreach (var database in settings.Databases)
            {
                if (database == "postgres" && Target.Server is null)
                {
                    Console.Error.WriteLine("PostgreSQL is left out: set EFKV_BENCH_POSTGRES to a connection string of a server whose databases efkv_bench_* may be dropped.");
                    continue;
                }

                var systems = await ReadyAsync(database);
                var cases = Plan.Cases(settings, database).ToList();
                if (!Directory.Exists(Path.Combine(_folder, "startup")) && cases.Any(@case => @case.Operation == "startup" && systems.Any(system => Answers(system, @case))))
                {
                    await Programs.PublishAsync(_folder);
                }

                failed += await SetUpAsync(systems, cases);
                using var resident = new Resident(Directory.EnumerateFiles(_folder, "*.db"));

                // All rounds of the reads come first: a table of PostgreSQL is longer to read for the system that has written to it thirty times as often.
                foreach (var part in cases.GroupBy(static @case => @case.OnlyReads).OrderByDescending(static part => part.Key))
                {
                    for (var round = 0; round < settings.Rounds; round++)
                    {
                        failed += await RoundAsync(round, systems, [.. part]);
                    }
                }
            }
        }
        finally
        {
            Directory.Delete(_folder, recursive: true);
            if (Target.Server is not null && settings.Databases.Contains("postgres"))
            {
                await Target.DropAllAsync();
            }
        }

        if (settings.Results is { } file)
        {
            await File.WriteAllLinesAsync(file, _measurements.Select(static m => m.ToLine()));
        }

        Table.Print(_measurements);
        if (!settings.Small)
        {
            Console.WriteLine();
            Goals.Print(_measurements, all: false);
        }

        if (failed > 0)
        {
            Console.Error.WriteLine($"{failed} processes failed.");
        }

        return failed == 0;
    }

    private async Task<List<string>> ReadyAsync(string database)
    {
        var ready = new List<string>();
        foreach (var system in Plan.Systems.Where(system => system.Value.Contains(database)).Select(static system => system.Key))
        {
            if (!(settings.Systems?.Contains(system) ?? true))
            {
                continue;
            }

            var missing = Plan.IsOurs(system) || settings.Peers ? await Programs.PrepareAsync(system) : "peers take --peers in a small run";
            if (missing is null)
            {
                ready.Add(system);
            }
            else
            {
                Console.Error.WriteLine($"{system} is left out: {missing}");
            }
        }

        return ready;
    }

    private async Task<int> SetUpAsync(List<string> systems, List<Case> cases)
    {
        var failed = 0;
        foreach (var rows in cases.Where(static @case => @case.In.Rows > 0).GroupBy(static @case => @case.In.Rows))
        {
            foreach (var system in systems.Where(system => rows.Any(@case => Answers(system, @case))))
            {
                failed += await AskAsync(system, [rows.First(@case => Answers(system, @case))], "--setup") ? 0 : 1;
            }
        }

        return failed;
    }

    private async Task<int> RoundAsync(int round, List<string> systems, List<Case> cases)
    {
        var failed = 0;
        foreach (var question in cases.GroupBy(QuestionOf))
        {
            failed += TakesTurns(question.First())
                ? await AskInTurnsAsync(round, [.. systems.Where(Plan.TakesTurns).SelectMany(system => question.Where(@case => Answers(system, @case)).Select(@case => (system, @case)))])
                    + await AskAsync([.. systems.Where(static system => !Plan.TakesTurns(system))], [.. question])
                : await AskAsync(systems, [.. question]);
        }

        return failed;
    }

    /// <summary>
    /// What is asked together. The same in fewer and in more rows takes turns, too: growth is a ratio like others. A small run has no time for a
    /// process for each of the rest; the start is one by nature.
    /// </summary>
    private object QuestionOf(Case @case) => TakesTurns(@case) ? @case with { In = @case.In with { Rows = 0 } } : settings.Small ? @case.Operation == "startup" : @case;

    /// <summary>A small run tries with one operation whether turns work.</summary>
    private bool TakesTurns(Case @case) => @case.TakesTurns && (!settings.Small || @case is { Operation: "get", In.Callers: 1 });

    private async Task<int> AskAsync(List<string> systems, List<Case> question)
    {
        var failed = 0;
        foreach (var system in systems)
        {
            var answered = question.Where(@case => Answers(system, @case)).ToList();
            failed += answered.Count == 0 || await (answered[0].Operation == "startup" ? StartAsync(system, answered[0]) : AskAsync(system, answered)) ? 0 : 1;
        }

        return failed;
    }

    /// <summary>Each gets warm by itself; then they measure in turns, so that each meets the machine in the same moods. Who is first changes with the round, and with the turn.</summary>
    private async Task<int> AskInTurnsAsync(int round, List<(string System, Case Case)> questions)
    {
        if (questions.Count > 0)
        {
            var first = round % questions.Count;
            questions = [.. questions[first..], .. questions[..first]];
        }

        List<TurnTaker> takers = [];
        try
        {
            foreach (var (system, @case) in questions)
            {
                var taker = new TurnTaker(Programs.Start(Programs.Measuring(system, [.. settings.ForProcess(system, _folder, [@case]), "--in-turns"]), input: true));
                takers.Add(taker);
                await taker.WarmUpAsync();
            }

            for (var turn = 0; turn < settings.Turns; turn++)
            {
                for (var i = 0; i < takers.Count; i++)
                {
                    // Forwards and backwards, so that nobody always comes after the same one.
                    await takers[(turn + (turn % 2 == 0 ? i : takers.Count - i)) % takers.Count].TakeAsync();
                }
            }

            var failed = 0;
            for (var i = 0; i < takers.Count; i++)
            {
                var measurement = await takers[i].EndAsync();
                if (measurement is not null)
                {
                    Add(measurement);
                }

                failed += await EndAsync(takers[i].Process, questions[i].System, [questions[i].Case]) && measurement is not null ? 0 : 1;
            }

            return failed;
        }
        finally
        {
            takers.ForEach(static taker => taker.Dispose());
        }
    }

    private bool Answers(string system, Case @case) =>
        Plan.Answers(system, @case)
        && (!settings.GoalsOnly || Goals.Need(system, @case, grown: settings.Rows.Count > 1 && @case.In.Rows == settings.Rows[^1]));

    private async Task<bool> AskAsync(string system, IReadOnlyList<Case> cases, params string[] more)
    {
        using var process = Programs.Start(Programs.Measuring(system, [.. settings.ForProcess(system, _folder, cases), .. more]));
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (Measurement.TryParse(line) is { } measurement)
            {
                Add(measurement);
            }
        }

        return await EndAsync(process, system, cases);
    }

    /// <summary>
    /// Only from outside can it be seen how long a process takes to start: until its first line. The first start reads its files from the disk,
    /// and is not measured.
    /// </summary>
    private async Task<bool> StartAsync(string system, Case @case)
    {
        List<double> times = [];
        for (var start = 0; start < (settings.Small ? 1 : Starts); start++)
        {
            var started = Stopwatch.GetTimestamp();
            using var process = Programs.Start(Programs.Starting(system, @case, _folder, settings.ForProcess(system, _folder, [@case])));
            var answered = await process.StandardOutput.ReadLineAsync() is not null;
            var elapsed = Stopwatch.GetElapsedTime(started);
            if (!await EndAsync(process, system, [@case]) || !answered)
            {
                return false;
            }

            times.Add(elapsed.TotalMicroseconds);
        }

        times.RemoveRange(0, times.Count > 1 ? 1 : 0);
        times.Sort();
        var median = times[times.Count / 2];
        Add(new Measurement(system, @case.Operation, @case.In, Math.Round(1e6 / median, 2), median, times[^1], null));
        return true;
    }

    private void Add(Measurement measurement)
    {
        _measurements.Add(measurement);
        Console.Error.WriteLine(measurement.ToLine());
    }

    private static async Task<bool> EndAsync(Process process, string system, IReadOnlyList<Case> cases)
    {
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
        {
            Console.Error.WriteLine($"{system} ended with {process.ExitCode} at {string.Join(", ", cases.Select(static @case => $"{@case.Operation} ({@case.In})"))}.");
        }

        return process.ExitCode == 0;
    }
}
