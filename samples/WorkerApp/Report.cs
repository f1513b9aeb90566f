namespace WorkerApp;

/// <summary>What the program says while it works: plain lines, good for a terminal and for a file.</summary>
internal sealed class Report(Settings settings, TimeProvider time)
{
    private const int ShownDefects = 20;

    private long? _spokeAt;
    private int _defects;

    public static void Begin(string database, OrderInput input) =>
        Console.WriteLine($"Import {input.Fingerprint}: {input.Name}, into {database}.");

    public static void Resume(ImportPosition position)
    {
        if (position.Finished)
        {
            Console.WriteLine($"All {position.Orders:N0} orders were imported before.");
        }
        else if (position.Line > 0)
        {
            Console.WriteLine($"Lines up to {position.Line:N0} were imported before.");
        }
    }

    public void Rejected(OrderLine line)
    {
        if (line.Defect is not null && ++_defects <= ShownDefects)
        {
            Console.Error.WriteLine($"Line {line.Number} is not an order and is left out: {line.Defect}");
        }
    }

    public void Imported(ImportPosition position)
    {
        if (_spokeAt is null || time.GetElapsedTime(_spokeAt.Value) >= settings.Progress)
        {
            _spokeAt = time.GetTimestamp();
            Console.WriteLine($"Imported {position.Orders:N0} orders.");
        }
    }
}
