using Kv.Connections;

namespace Kv.Tests.Units;

public sealed class PlacesTests
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Who_finds_no_place_gets_the_next_one_in_order()
    {
        var places = new Places(1);
        Assert.True(await places.TakeAsync(Long, default));
        var first = places.TakeAsync(Long, default).AsTask();
        var second = places.TakeAsync(Long, default).AsTask();
        Assert.False(first.IsCompleted || second.IsCompleted);

        places.GiveBack();
        Assert.True(await first);
        Assert.False(second.IsCompleted);

        places.GiveBack();
        Assert.True(await second);
    }

    [Fact]
    public async Task Who_gives_up_leaves_the_place_to_the_next()
    {
        var places = new Places(1);
        Assert.True(await places.TakeAsync(Long, default));
        using var cancellation = new CancellationTokenSource();
        var cancelled = places.TakeAsync(Long, cancellation.Token).AsTask();
        Assert.False(await places.TakeAsync(TimeSpan.FromMilliseconds(1), default));
        await cancellation.CancelAsync();
        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        Assert.Equal(cancellation.Token, error.CancellationToken);

        places.GiveBack();
        var next = places.TakeAsync(Long, default);
        Assert.True(next.IsCompleted);
        Assert.True(await next);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await places.TakeAsync(Long, cancellation.Token));
    }

    [Fact]
    public async Task A_place_on_its_way_to_who_gives_up_goes_on_to_the_next()
    {
        var places = new Places(1);
        for (var turn = 0; turn < 1000; turn++)
        {
            Assert.True(await places.TakeAsync(Long, default));
            using var cancellation = new CancellationTokenSource();
            var waiting = places.TakeAsync(Long, cancellation.Token).AsTask();
            CancelAndGiveBack(cancellation, places);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);

            Assert.True(places.TakeAsync(Long, default).AsTask().IsCompletedSuccessfully);
            places.GiveBack();
        }
    }

    [Fact]
    public async Task Many_who_take_give_back_and_give_up_lose_no_place_and_make_none()
    {
        const int Size = 3;
        const int Takers = 16;
        var places = new Places(Size);
        var (taken, most, given, begun) = (0, 0, 0, 0);

        // All are taken when it begins, so that everybody waits once, and every other one gives up.
        for (var i = 0; i < Size; i++)
        {
            Assert.True(await places.TakeAsync(Long, default));
        }

        var takers = Enumerable.Range(0, Takers).Select(taker => Task.Run(async () =>
        {
            var random = new Random(taker);
            for (var turn = 0; turn < 2000; turn++)
            {
                using var cancellation = new CancellationTokenSource();
                var place = places.TakeAsync(Long, cancellation.Token).AsTask();
                if (turn == 0 ? taker % 2 == 0 : random.Next(2) == 0)
                {
                    // At the moment, often, at which another gives back.
                    await cancellation.CancelAsync();
                }

                if (turn == 0)
                {
                    Interlocked.Increment(ref begun);
                }

                try
                {
                    Assert.True(await place);
                }
                catch (OperationCanceledException)
                {
                    Interlocked.Increment(ref given);
                    continue;
                }

                var now = Interlocked.Increment(ref taken);
                InterlockedMax(ref most, now);
                await Task.Yield();
                Interlocked.Decrement(ref taken);
                places.GiveBack();
            }
        })).ToList();
        while (Volatile.Read(ref begun) < Takers)
        {
            await Task.Yield();
        }

        for (var i = 0; i < Size; i++)
        {
            places.GiveBack();
        }

        await Task.WhenAll(takers);
        Assert.InRange(most, 1, Size);
        Assert.InRange(given, Takers / 2, int.MaxValue);
        for (var i = 0; i < Size; i++)
        {
            Assert.True(places.TakeAsync(Long, default).AsTask().IsCompletedSuccessfully);
        }

        Assert.False(await places.TakeAsync(TimeSpan.FromMilliseconds(1), default));
    }

    // At once: before the one who waits has come to leave.
    private static void CancelAndGiveBack(CancellationTokenSource cancellation, Places places)
    {
        cancellation.Cancel();
        places.GiveBack();
    }

    private static void InterlockedMax(ref int most, int now)
    {
        for (var before = Volatile.Read(ref most); now > before; before = Volatile.Read(ref most))
        {
            Interlocked.CompareExchange(ref most, now, before);
        }
    }
}
