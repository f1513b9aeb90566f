using Kv.Joined;
using Microsoft.EntityFrameworkCore;

namespace Kv;

/// <summary>The store as a part of a context.</summary>
public static class KvDbContextExtensions
{
    /// <summary>What this context commits of the store together with its entities.</summary>
    /// <remarks>
    /// Writes are collected, without a round trip, and committed by <c>SaveChanges</c>, or by the transaction that the context has open.
    /// The context is configured with <c>UseKv()</c>, and the store is on its database: <c>services.AddKvStore&lt;TContext&gt;()</c>.
    /// </remarks>
    /// <param name="context">The context.</param>
    /// <returns>Its unit of work: the same one until the context is disposed of, or goes back to its pool.</returns>
    /// <exception cref="InvalidOperationException">The context has no <c>UseKv()</c>, or there is no store.</exception>
    public static KvUnitOfWork Kv(this DbContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return ContextUnits.Require(context).Unit;
    }
}
