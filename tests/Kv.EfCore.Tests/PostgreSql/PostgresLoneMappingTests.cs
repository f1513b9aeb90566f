using System.Data;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.PostgreSql;

/// <summary>However an entity is mapped, it is saved with its message or not at all.</summary>
public sealed class PostgresLoneMappingTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    private static readonly Dictionary<string, (Action<Mapped> Add, Func<Mapped, Task<int>> Count)> Mappings = new()
    {
        ["key"] = Of(static () => new Keyed()),
        ["defaults"] = Of(static () => new Defaults()),
        ["odd"] = Of(static () => new Odd()),
        ["dollar"] = Of(static () => new Dollar()),
        ["derived"] = Of(static () => new Derived()),
        ["joined"] = Of(static () => new Joined()),
        ["document"] = Of(static () => new Documented { Text = new Document { Title = "t" } }),
        ["owner"] = Of(static () => new Owner { Home = new Home { Town = "t" } }),
        ["owned"] = (
            static db =>
            {
                var owner = db.Set<Owner>().First(static o => o.Home == null);
                owner.Home = new Home { Town = "t" };
                db.Entry(owner).Reference(static o => o.Home).TargetEntry!.State = EntityState.Added;
            },
            static db => db.Set<Owner>().CountAsync(static o => o.Home != null)),
        ["procedure"] = Of(static () => new Stored()),
    };

    [Theory]
    [InlineData("key", true)]
    [InlineData("defaults", true)]
    [InlineData("odd", true)]
    [InlineData("dollar", false)]
    [InlineData("derived", true)]
    [InlineData("joined", false)]
    [InlineData("document", false)]
    [InlineData("owner", false)]
    [InlineData("owned", false)]
    [InlineData("procedure", false)]
    public async Task An_entity_is_saved_with_its_message(string what, bool isAlone)
    {
        var log = new SaveLog();
        await using var test = await OpenAsync(log);
        await using var db = await FirstAsync(test);
        db.AddRange(Enumerable.Range(0, 8).Select(static _ => new Owner()));
        await db.SaveChangesAsync();
        db.ChangeTracker.Clear();
        var before = await Mappings[what].Count(db);
        log.Reset();
        for (var i = 0; i < 8; i++)
        {
            Mappings[what].Add(db);
            db.Kv().Enqueue("m");
            await db.SaveChangesAsync();
            Assert.Single(db.Kv().LastCommit!.MessageIds);
            Assert.Equal(0, db.Kv().PendingCount);
            db.ChangeTracker.Clear();
        }

        Assert.Equal(isAlone ? 0 : 8, log.Transactions);
        Assert.Equal(8, await Mappings[what].Count(db) - before);
        await using var context = test.CreateContext();
        Assert.Equal(9, await context.QueuedMessages.CountAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_refused_message_takes_back_an_entity_of_which_nothing_is_read(bool isAsync)
    {
        var log = new SaveLog();
        await using var test = await OpenAsync(log);
        await using var db = await FirstAsync(test);
        log.Reset();
        db.Add(new Keyed());
        db.Kv().Enqueue("m");
        await db.SaveChangesAsync();
        await db.Database.ExecuteSqlRawAsync("alter table queue add constraint refuses check (topic <> 'bad')");
        var added = db.Add(new Keyed());
        db.Kv().Enqueue("m", new() { Topic = "bad" });

        var error = await Assert.ThrowsAsync<DbUpdateException>(SaveAsync);
        Assert.Contains("refuses", error.GetBaseException().Message, StringComparison.Ordinal);
        Assert.Equal(EntityState.Added, added.State);
        Assert.Equal(1, db.Kv().PendingCount);
        Assert.Equal(1, await db.Set<Keyed>().CountAsync());

        await db.Database.ExecuteSqlRawAsync("alter table queue drop constraint refuses");
        await SaveAsync();
        Assert.Equal(0, log.Transactions);
        Assert.Equal(2, await db.Set<Keyed>().CountAsync());
        await using var context = test.CreateContext();
        Assert.Equal(3, await context.QueuedMessages.CountAsync());

        Task SaveAsync() => isAsync ? db.SaveChangesAsync() : Task.Run(() => db.SaveChanges());
    }

    [Fact]
    public async Task A_new_entity_that_is_left_and_a_change_that_is_not_looked_for_yet_are_saved_as_ever()
    {
        var log = new SaveLog();
        await using var test = await OpenAsync(log);
        await using var db = await FirstAsync(test);
        var parent = db.Add(new Parent()).Entity;
        await db.SaveChangesAsync();
        var child = new Child();
        parent.Children.Add(child);
        db.ChangeTracker.DetectChanges();
        parent.Children.Remove(child);
        parent.Note = "changed";
        db.Kv().Enqueue("m");

        await db.SaveChangesAsync();

        Assert.Equal("changed", await db.Set<Parent>().AsNoTracking().Select(static p => p.Note).SingleAsync());
        await using var context = test.CreateContext();
        Assert.Equal(2, await context.QueuedMessages.CountAsync());
    }

    [Fact]
    public async Task What_fails_while_changes_are_looked_for_leaves_no_connection_open()
    {
        var log = new SaveLog();
        await using var test = await OpenAsync(log);
        await using (var first = await FirstAsync(test))
        {
        }

        await using var db = test.Services.GetRequiredService<IDbContextFactory<Mapped>>().CreateDbContext();
        var parent = db.Add(new Parent()).Entity;
        await db.SaveChangesAsync();
        db.Add(new Defaults());
        parent.Children.Add(new Child { Id = 5 });
        parent.Children.Add(new Child { Id = 5 });
        db.Kv().Enqueue("m");

        await Assert.ThrowsAsync<InvalidOperationException>(() => db.SaveChangesAsync());

        Assert.Equal(ConnectionState.Closed, db.Database.GetDbConnection().State);
        Assert.Equal(AutoTransactionBehavior.WhenNeeded, db.Database.AutoTransactionBehavior);
        Assert.Equal(1, db.Kv().PendingCount);
    }

    [Fact]
    public async Task What_the_driver_cannot_send_is_an_error_of_the_entities_and_known_not_to_be_committed()
    {
        var log = new SaveLog();
        await using var test = await OpenAsync(log);
        await using var db = await FirstAsync(test);
        log.Reset();
        for (var i = 0; i < 8; i++)
        {
            db.Add(new Stamped { At = DateTime.UnixEpoch });
            db.Kv().Enqueue("m");
            await db.SaveChangesAsync();
            Assert.True(await db.Kv().WasCommittedAsync());

            var added = db.Add(new Stamped { At = DateTime.UnixEpoch.ToLocalTime() });
            db.Kv().Enqueue("m");
            await Assert.ThrowsAsync<DbUpdateException>(() => db.SaveChangesAsync());
            Assert.False(await db.Kv().WasCommittedAsync());
            Assert.Equal(1, db.Kv().PendingCount);
            added.State = EntityState.Detached;
            db.Kv().Clear();
        }

        Assert.Equal(0, log.Transactions);
        await using var context = test.CreateContext();
        Assert.Equal(9, await context.QueuedMessages.CountAsync());
    }

    private static (Action<Mapped> Add, Func<Mapped, Task<int>> Count) Of<T>(Func<T> create)
        where T : class => (db => db.Add(create()), static db => db.Set<T>().CountAsync());

    private async Task<KvTestStore> OpenAsync(SaveLog log)
    {
        var connectionString = await database.CreateMigratedAsync();
        var test = await database.CreateStoreAsync(connectionString: connectionString, services: services =>
        {
            services.AddDbContextFactory<Mapped>(options =>
            {
                database.Configure(options, connectionString);
                log.Listen(options);
                options.UseKv();
            });
            services.AddKvStore<Mapped>();
        });
        await using var db = test.Services.GetRequiredService<IDbContextFactory<Mapped>>().CreateDbContext();
        await db.GetService<IRelationalDatabaseCreator>().CreateTablesAsync();
        await db.Database.ExecuteSqlRawAsync(
            "create procedure put(inout p int) language plpgsql as "
            + "'begin insert into \"Stored\" default values returning \"Id\" into p; end'");
        return test;
    }

    // The first messages of a session go by themselves.
    private static async Task<Mapped> FirstAsync(KvTestStore test)
    {
        var db = test.Services.GetRequiredService<IDbContextFactory<Mapped>>().CreateDbContext();
        await db.Database.OpenConnectionAsync();
        await using var transaction = await db.Database.BeginTransactionAsync();
        db.Kv().Enqueue("m");
        await transaction.CommitAsync();
        return db;
    }

    private sealed class Mapped(DbContextOptions<Mapped> options) : DbContext(options)
    {
        protected override void OnModelCreating(ModelBuilder modelBuilder)
        {
            modelBuilder.Entity<Keyed>().Property(static k => k.Id).ValueGeneratedNever();
            modelBuilder.Entity<Defaults>();
            modelBuilder.Entity<Parent>();
            modelBuilder.Entity<Stamped>();
            modelBuilder.Entity<Odd>().ToTable("a \"b\".c';--", "odd schema");
            modelBuilder.Entity<Dollar>().ToTable("d$1");
            modelBuilder.Entity<Base>().UseTphMappingStrategy();
            modelBuilder.Entity<Derived>();
            modelBuilder.Entity<Root>().UseTptMappingStrategy();
            modelBuilder.Entity<Joined>();
            modelBuilder.Entity<Documented>().OwnsOne(static d => d.Text, static d => d.ToJson());
            modelBuilder.Entity<Owner>().OwnsOne(static o => o.Home);
            modelBuilder.Entity<Stored>().InsertUsingStoredProcedure(
                "put", static p => p.HasParameter(static s => s.Id, static q => q.IsOutput()));
        }
    }

    private sealed class Keyed
    {
        public Guid Id { get; init; } = Guid.NewGuid();
    }

    private sealed class Defaults
    {
        public int Id { get; init; }
    }

    private sealed class Parent
    {
        public int Id { get; init; }

        public string? Note { get; set; }

        public List<Child> Children { get; } = [];
    }

    private sealed class Child
    {
        public int Id { get; init; }

        public int ParentId { get; init; }
    }

    private sealed class Stamped
    {
        public int Id { get; init; }

        public DateTime At { get; init; }
    }

    private sealed class Odd
    {
        public int Id { get; init; }
    }

    private sealed class Dollar
    {
        public int Id { get; init; }
    }

    private class Base
    {
        public int Id { get; init; }
    }

    private sealed class Derived : Base
    {
        public string? Note { get; init; }
    }

    private class Root
    {
        public int Id { get; init; }
    }

    private sealed class Joined : Root
    {
        public string? Note { get; init; }
    }

    private sealed class Documented
    {
        public int Id { get; init; }

        public required Document Text { get; init; }
    }

    private sealed class Document
    {
        public required string Title { get; init; }
    }

    private sealed class Owner
    {
        public int Id { get; init; }

        public Home? Home { get; set; }
    }

    private sealed class Home
    {
        public required string Town { get; init; }
    }

    private sealed class Stored
    {
        public int Id { get; init; }
    }
}
