using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Kv.Sqlite.Migrations
{
    /// <inheritdoc />
    public partial class Initial : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            // By hand, for what EF Core has no words for: WITHOUT ROWID, and a column declared BLOB that holds TEXT, both as in Deno's files.
            migrationBuilder.Sql("""
                CREATE TABLE data_version (
                    k INTEGER PRIMARY KEY NOT NULL,
                    version INTEGER NOT NULL
                );
                CREATE TABLE kv (
                    k BLOB PRIMARY KEY NOT NULL,
                    v BLOB NOT NULL,
                    v_encoding INTEGER NOT NULL,
                    version INTEGER NOT NULL
                ) WITHOUT ROWID;
                CREATE TABLE queue (
                    ts INTEGER NOT NULL,
                    id TEXT NOT NULL,
                    data BLOB NOT NULL,
                    backoff_schedule TEXT NOT NULL,
                    keys_if_undelivered BLOB NOT NULL,
                    PRIMARY KEY (ts, id)
                );
                CREATE TABLE queue_running (
                    deadline INTEGER NOT NULL,
                    id TEXT NOT NULL,
                    data BLOB NOT NULL,
                    backoff_schedule TEXT NOT NULL,
                    keys_if_undelivered BLOB NOT NULL,
                    PRIMARY KEY (deadline, id)
                );

                -- Deno keeps the number of its last schema step here, and would make the tables again without it.
                CREATE TABLE migration_state (
                    k INTEGER PRIMARY KEY NOT NULL,
                    version INTEGER NOT NULL
                );
                INSERT INTO migration_state (k, version) VALUES (0, 2);
                """);

            migrationBuilder.InsertData(
                table: "data_version",
                columns: new[] { "k", "version" },
                values: new object[] { 0L, 0L });
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "data_version");

            migrationBuilder.DropTable(
                name: "kv");

            migrationBuilder.DropTable(
                name: "queue");

            migrationBuilder.DropTable(
                name: "queue_running");

            migrationBuilder.DropTable(
                name: "migration_state");
        }
    }
}
