using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Kv.PostgreSql.Migrations
{
    /// <inheritdoc />
    public partial class Initial : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "data_version",
                columns: table => new
                {
                    k = table.Column<long>(type: "bigint", nullable: false),
                    version = table.Column<long>(type: "bigint", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_data_version", x => x.k);
                });

            migrationBuilder.CreateTable(
                name: "kv",
                columns: table => new
                {
                    k = table.Column<byte[]>(type: "bytea", nullable: false),
                    v = table.Column<byte[]>(type: "bytea", nullable: false),
                    v_encoding = table.Column<int>(type: "integer", nullable: false),
                    version = table.Column<long>(type: "bigint", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_kv", x => x.k);
                });

            migrationBuilder.CreateTable(
                name: "queue",
                columns: table => new
                {
                    id = table.Column<string>(type: "text", nullable: false),
                    ts = table.Column<long>(type: "bigint", nullable: false),
                    data = table.Column<byte[]>(type: "bytea", nullable: false),
                    backoff_schedule = table.Column<string>(type: "text", nullable: false),
                    keys_if_undelivered = table.Column<string>(type: "text", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_queue", x => new { x.ts, x.id });
                });

            migrationBuilder.CreateTable(
                name: "queue_running",
                columns: table => new
                {
                    id = table.Column<string>(type: "text", nullable: false),
                    deadline = table.Column<long>(type: "bigint", nullable: false),
                    data = table.Column<byte[]>(type: "bytea", nullable: false),
                    backoff_schedule = table.Column<string>(type: "text", nullable: false),
                    keys_if_undelivered = table.Column<string>(type: "text", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_queue_running", x => new { x.deadline, x.id });
                });

            migrationBuilder.InsertData(
                table: "data_version",
                columns: new[] { "k", "version" },
                values: new object[] { 0L, 0L });

            // The version row changes at every commit and the queues turn over all the time: room on the page keeps updates off the
            // index, and vacuum comes early instead of after a fifth of a table that is mostly dead rows.
            migrationBuilder.Sql("""
                ALTER TABLE data_version SET (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);
                ALTER TABLE queue SET (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.02);
                ALTER TABLE queue_running SET (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.02);
                """);
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
        }
    }
}
