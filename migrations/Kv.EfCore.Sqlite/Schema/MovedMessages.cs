using System.Data.Common;
using Kv.Sql;

namespace Kv.Sqlite;

/// <summary>
/// Triggers that give a message back what Deno does not know of it: Deno takes messages from the queue and puts them back with five
/// columns.
/// </summary>
/// <remarks>
/// SQLite runs them on Deno's connections as well. Deno takes a row out of <c>queue</c> before it puts one into <c>queue_running</c>, so
/// what is taken is kept in a table between the two; it puts one back while the other is still there. This store's own statements put in
/// first and take out then, so none of the triggers does anything for them.
/// </remarks>
internal sealed class MovedMessages(TableNames names)
{
    private const string Kept = "kv_moved_messages";
    private const string Taken = "kv_moved_messages_taken";
    private const string Running = "kv_moved_messages_running";
    private const string PutBack = "kv_moved_messages_put_back";

    private const string Missing =
        $"select 4 - count(*) from sqlite_master where name in ('{Kept}', '{Taken}', '{Running}', '{PutBack}')";

    /// <summary>What was kept of a message that did not come again within the same transaction is of no more use; in seconds.</summary>
    private const int Lifetime = 3600;

    private static readonly string[] Denos = ["id", "data", "keys_if_undelivered", "backoff_schedule"];
    private static readonly string[] Columns = [.. SqlParts.ColumnsOfMessages.Except(Denos, StringComparer.Ordinal)];

    private string Create
    {
        get
        {
            var (queue, running) = (names.Queue, names.Running);
            var all = string.Join(", ", Columns);
            var old = string.Join(", ", Columns.Select(static column => $"old.{column}"));
            var retried = string.Join(", ", Columns.Select(static column => column == "attempt" ? "attempt + 1" : column));
            return $"""
                begin immediate;
                create table if not exists {Kept} (id text primary key not null, at integer not null, {all}) without rowid;
                create trigger if not exists {Taken} after delete on {queue}
                when (old.topic <> '' or old.type <> '' or old.encoding <> 1) and not exists (select 1 from {running} where id = old.id)
                begin
                    delete from {Kept} where at < cast(strftime('%s', 'now') as integer) - {Lifetime};
                    insert or replace into {Kept} (id, at, {all}) values (old.id, cast(strftime('%s', 'now') as integer), {old});
                end;
                create trigger if not exists {Running} after insert on {running}
                when new.topic = '' and new.type = '' and exists (select 1 from {Kept} where id = new.id)
                begin
                    update {running} set ({all}) = (select {all} from {Kept} where id = new.id)
                        where deadline = new.deadline and id = new.id;
                    delete from {Kept} where id = new.id;
                end;
                create trigger if not exists {PutBack} after insert on {queue}
                when new.topic = '' and new.type = '' and exists (select 1 from {running}
                    where id = new.id and (topic <> '' or type <> '' or encoding <> 1))
                begin
                    update {queue} set ({all}) = (select {retried} from {running} where id = new.id limit 1)
                        where ts = new.ts and id = new.id;
                end;
                commit
                """;
        }
    }

    /// <summary>Makes what is missing of them.</summary>
    public async ValueTask EnsureAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        var command = connection.CreateCommand();
        await using (command.ConfigureAwait(false))
        {
            command.CommandText = Missing;
            if (await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) is 0L)
            {
                return;
            }

            command.CommandText = Create;
            try
            {
                await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                command.CommandText = KvSql.Rollback;
                try
                {
                    await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
                }
                catch (DbException)
                {
                    // It has not begun.
                }

                throw;
            }
        }
    }
}
