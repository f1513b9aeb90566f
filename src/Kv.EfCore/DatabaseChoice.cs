using Microsoft.EntityFrameworkCore;

namespace Kv;

/// <summary>The database that a call of <c>AddKvStore</c> chose. Of several the last one counts.</summary>
internal sealed record DatabaseChoice(Action<IServiceProvider, DbContextOptionsBuilder> Configure);
