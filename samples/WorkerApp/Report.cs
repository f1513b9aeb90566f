namespace WorkerApp;

/// <summary>What the import says while it works: plain lines, good for a terminal and for a file.</summary>
internal sealed class Report(Settings settings, TimeProvider time)
{
    private const int ShownDefects = 20;

    private long _spokeAt = time.GetTimestamp();
    private int _defects;

    public static void Begin(ImportPosition position)
    {
        if (position.Line > 0)
        {
            Console.WriteLine($"{position.Orders:N0} orders were imported before.");
        }
    }

    public void Rejected(OrderLine line)
    {
        if (line.Defect is not null && ++_defects <= ShownDefects)
        {
            Console.Error.WriteLine($"Line {line.Number:N0} is not an order and is left out: {line.Defect}");
        }
    }

    public void Imported(ImportPosition position)
    {
        if (position.Finished || time.GetElapsedTime(_spokeAt) >= settings.Progress)
        {
            _spokeAt = time.GetTimestamp();
            Console.WriteLine($"Imported {position.Orders:N0} orders.");
        }
    }
}
