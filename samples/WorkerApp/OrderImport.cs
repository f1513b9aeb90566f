using Kv;

namespace WorkerApp;

/// <summary>How far an input has been imported: it moves in the commits that enqueue the orders.</summary>
/// <param name="Line">The last line that was taken.</param>
/// <param name="Orders">The orders among the lines.</param>
/// <param name="Finished">Whether the input has no more lines.</param>
internal sealed record ImportPosition(int Line, int Orders, bool Finished)
{
    public static readonly ImportPosition Start = new(0, 0, false);
}

/// <summary>Enqueues the orders of an input, each exactly once, however often it is started and wherever it was killed.</summary>
internal sealed class OrderImport(IKvStore store, OrderInput input, Report report)
{
    private const int BatchSize = 100;

    private readonly ImportKeys _keys = new(input.Fingerprint);
    private ImportPosition _position = ImportPosition.Start;
    private KvVersionstamp? _version;

    /// <returns>What the input says must come out.</returns>
    public async Task<Expected> RunAsync(CancellationToken cancellationToken)
    {
        var expected = new Expected();
        await ReadPositionAsync(cancellationToken);
        Report.Begin(_position);
        await foreach (var lines in input.ReadAsync(cancellationToken).Chunk(BatchSize).WithCancellation(cancellationToken))
        {
            foreach (var line in lines)
            {
                expected.Add(line);
                report.Rejected(line);
            }

            await TakeAsync(lines, finished: false, cancellationToken);
        }

        await TakeAsync([], finished: true, cancellationToken);
        return expected;
    }

    private async Task TakeAsync(OrderLine[] lines, bool finished, CancellationToken cancellationToken)
    {
        while (!_position.Finished && (finished || lines[^1].Number > _position.Line))
        {
            var orders = lines.Where(line => line.Number > _position.Line && line.Order is not null).Select(line => line.Order!).ToList();
            var position = new ImportPosition(finished ? _position.Line : lines[^1].Number, _position.Orders + orders.Count, finished);
            var write = store.Atomic().Check(_keys.Position, _version).Set(_keys.Position, position);
            foreach (var order in orders)
            {
                write.Enqueue(new OrderPlaced(input.Fingerprint, order), Delivery(order));
            }

            var result = await write.CommitAsync(cancellationToken);
            if (result.Succeeded)
            {
                (_position, _version) = (position, result.Versionstamp);
                report.Imported(position);
            }
            else
            {
                // Another process imports the same input: go on from where it is.
                await ReadPositionAsync(cancellationToken);
            }
        }
    }

    private async Task ReadPositionAsync(CancellationToken cancellationToken)
    {
        var entry = await store.GetAsync(_keys.Position, cancellationToken);
        _version = entry?.Versionstamp;
        _position = entry?.As<ImportPosition>() ?? _position;
    }

    private KvEnqueueOptions Delivery(Order order) => new()
    {
        BackoffSchedule = Order.Retries,
        KeysIfUndelivered = [_keys.Undelivered.Append(order.Id), _keys.LastUndelivered],
    };
}
