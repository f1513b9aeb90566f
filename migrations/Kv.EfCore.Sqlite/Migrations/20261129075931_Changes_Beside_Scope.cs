using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Kv.Sqlite.Migrations
{
    /// <inheritdoc />
    public partial class Changes_Beside_Scope : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "kv_changes",
                columns: table => new
                {
                    version = table.Column<long>(type: "INTEGER", nullable: false),
                    k = table.Column<byte[]>(type: "BLOB", nullable: false),
                    deleted = table.Column<int>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_kv_changes", x => new { x.version, x.k });
                });

            migrationBuilder.CreateTable(
                name: "kv_feed",
                columns: table => new
                {
                    at = table.Column<long>(type: "INTEGER", nullable: false),
                    version = table.Column<long>(type: "INTEGER", nullable: false),
                    keep_ms = table.Column<long>(type: "INTEGER", nullable: true),
                    keep_versions = table.Column<long>(type: "INTEGER", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_kv_feed", x => x.at);
                });
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            // They are there while the feed is on.
            migrationBuilder.Sql("""
                DROP TRIGGER IF EXISTS kv_changes_insert;
                DROP TRIGGER IF EXISTS kv_changes_update;
                DROP TRIGGER IF EXISTS kv_changes_delete;
                DROP TRIGGER IF EXISTS kv_changes_expire;
                """);

            migrationBuilder.DropTable(
                name: "kv_changes");

            migrationBuilder.DropTable(
                name: "kv_feed");
        }
    }
}
