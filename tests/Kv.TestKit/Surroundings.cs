using System.Globalization;
using System.Security.Claims;
using System.Transactions;

namespace Kv.TestKit;

/// <summary>What is around code as it runs: all that an execution context can bring along, and a transaction.</summary>
public sealed record Surroundings(string? Local, string Culture, string UiCulture, string? Principal, bool HasTransaction)
{
    private static readonly AsyncLocal<string?> Ambient = new();

    /// <summary>What a thread has that was given nothing.</summary>
    public static Surroundings None => OnBareThread();

    public static Surroundings Here => new(
        Ambient.Value, CultureInfo.CurrentCulture.Name, CultureInfo.CurrentUICulture.Name, Thread.CurrentPrincipal?.Identity?.Name, IsInTransaction());

    /// <summary>Puts everything around the rest of an async method.</summary>
    public static void Set(string culture = "tr-TR")
    {
        Ambient.Value = "REQ";
        CultureInfo.CurrentCulture = CultureInfo.CurrentUICulture = new CultureInfo(culture);
        Thread.CurrentPrincipal = new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.Name, "alice")], "test"));
    }

    private static bool IsInTransaction()
    {
        try
        {
            return Transaction.Current is not null;
        }
        catch (InvalidOperationException)
        {
            return true;
        }
    }

    private static Surroundings OnBareThread()
    {
        Surroundings? bare = null;
        var thread = new Thread(() => bare = Here);
        thread.UnsafeStart();
        thread.Join();
        return bare!;
    }
}
