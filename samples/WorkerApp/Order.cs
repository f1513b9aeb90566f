namespace WorkerApp;

/// <summary>An order, as a line of the input has it and as its message carries it.</summary>
/// <param name="Cents">The amount in the smallest unit of the currency: totals are exact.</param>
/// <param name="Flaky">How many attempts at this order fail before one succeeds.</param>
internal sealed record Order(long Id, DateOnly Day, string Customer, string Item, long Cents, string Currency, int Flaky = 0)
{
    public static readonly IReadOnlyList<string> Currencies = ["CHF", "EUR", "GBP", "USD"];

    /// <summary>The waits before an order is tried again; short, so that the whole run takes seconds.</summary>
    public static readonly IReadOnlyList<TimeSpan> Retries =
        [TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(200)];

    /// <summary>Why an attempt at this order fails, from the first, 1, on; null if it succeeds.</summary>
    public string? Problem(int attempt) =>
        Cents < 0 ? $"The amount of order {Id} is negative: {Cents} cents."
        : !Currencies.Contains(Currency) ? $"The currency of order {Id} is unknown: '{Currency}'."
        : attempt <= Flaky ? $"The payment of order {Id} did not answer."
        : null;

    /// <summary>Whether some attempt succeeds: what the summary expects of the handler.</summary>
    public bool IsDeliverable() => Problem(attempt: 1 + Retries.Count) is null;
}
