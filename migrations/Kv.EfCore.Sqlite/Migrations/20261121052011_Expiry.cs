using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Kv.Sqlite.Migrations
{
    /// <inheritdoc />
    public partial class Expiry : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<long>(
                name: "expiration_ms",
                table: "kv",
                type: "INTEGER",
                nullable: false,
                defaultValue: -1L);

            migrationBuilder.AddColumn<long>(
                name: "seq",
                table: "kv",
                type: "INTEGER",
                nullable: false,
                defaultValue: 0L);

            migrationBuilder.AddColumn<long>(
                name: "seq",
                table: "data_version",
                type: "INTEGER",
                nullable: false,
                defaultValue: 0L);

            migrationBuilder.CreateIndex(
                name: "kv_expiration_ms_idx",
                table: "kv",
                column: "expiration_ms",
                filter: "expiration_ms >= 0");

            migrationBuilder.Sql("UPDATE migration_state SET version = 3 WHERE k = 0;");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql("UPDATE migration_state SET version = 2 WHERE k = 0;");

            migrationBuilder.DropIndex(
                name: "kv_expiration_ms_idx",
                table: "kv");

            migrationBuilder.DropColumn(
                name: "expiration_ms",
                table: "kv");

            migrationBuilder.DropColumn(
                name: "seq",
                table: "kv");

            migrationBuilder.DropColumn(
                name: "seq",
                table: "data_version");
        }
    }
}
