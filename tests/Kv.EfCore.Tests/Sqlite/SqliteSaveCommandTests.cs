using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Sqlite;

/// <summary>Commands of <c>SaveChanges</c> that take messages along, whose statements SQLite runs one after the other.</summary>
public sealed class SqliteSaveCommandTests(SqliteDatabase database) : IClassFixture<SqliteDatabase>
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_error_of_the_messages_does_not_hide_that_the_entity_was_changed_by_others(bool isAsync)
    {
        var commands = new SaveCommands();
        await using var shop = await Saves.OpenAsync(database, commands);
        await using var db = shop.Open();
        var first = await Saves.FirstAsync(db, commands);
        await using (var other = shop.Open())
        {
            await other.Orders.ExecuteDeleteAsync();
        }

        await Saves.RefuseMessagesAsync(database, db);
        first.Name = "changed";
        db.Kv().Enqueue("m");

        await Assert.ThrowsAsync<DbUpdateConcurrencyException>(() => Saves.SaveAsync(db, isAsync));
        Assert.Equal(1, commands.Appended);
    }
}
