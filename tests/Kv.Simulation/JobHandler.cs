namespace Kv.Simulated;

/// <summary>Handles the jobs of one process.</summary>
/// <param name="process">Which.</param>
/// <param name="model">Hears what it does.</param>
/// <param name="writes">Makes its writes.</param>
/// <param name="clock">The clock of all.</param>
/// <param name="say">Notes what happens.</param>
/// <param name="kill">Ends the worker.</param>
internal sealed class JobHandler(
    int process, Model model, Writes writes, TimeProvider clock, Action<string> say, Func<CancellationToken, Task> kill)
{
    private readonly HashSet<int> _killed = [];

    public async Task HandleAsync(Job job, KvMessageContext context, CancellationToken token)
    {
        say($"{process}: job {job.Number} {job.Kind}, attempt {context.Attempt}");
        model.Note(model.Jobs.Begin(process, job, context.Attempt, clock.GetUtcNow()));
        try
        {
            await ActAsync(job, context, token);
            model.Jobs.Done(job.Number);
        }
        catch
        {
            model.Jobs.Failed(job.Number, context.Attempt);
            throw;
        }
    }

    private async Task ActAsync(Job job, KvMessageContext context, CancellationToken token)
    {
        switch (job.Kind)
        {
            case JobKind.Fail when context.Attempt <= job.Times:
                throw new InvalidOperationException("As asked.");
            case JobKind.Wait:
                await Task.Delay(TimeSpan.FromSeconds(job.Times), clock, token);
                await CompleteAsync(job, context, token);
                break;
            case JobKind.Complete or JobKind.Chain:
                await CompleteAsync(job, context, token);
                break;
            case JobKind.Write:
                var write = writes.Effect();
                var atomic = context.Store.Atomic();
                write.Build(atomic);
                await RunAsync(write, () => atomic.CommitAsync(token).AsTask());
                break;
            case JobKind.Kill when _killed.Add(job.Number):
                await kill(token);
                break;
        }
    }

    private async Task CompleteAsync(Job job, KvMessageContext context, CancellationToken token)
    {
        var write = writes.Completion(job);
        await RunAsync(write, () => context.CompleteAsync(write.Build, token).AsTask());
        model.Note(model.Jobs.Completed(process, job.Number));
    }

    private async Task RunAsync(Write write, Func<Task<KvCommitResult>> commit)
    {
        await write.RunAsync(commit, clock);
        model.Took(write);
        if (write.Told != Answer.Committed)
        {
            throw new InvalidOperationException($"The write was not committed: {write}");
        }
    }
}
