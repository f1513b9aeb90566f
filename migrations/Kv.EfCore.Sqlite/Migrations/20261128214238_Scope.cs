using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Kv.Sqlite.Migrations
{
    /// <inheritdoc />
    public partial class Scope : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<byte[]>(
                name: "scope",
                table: "queue_running",
                type: "BLOB",
                nullable: true);

            migrationBuilder.AddColumn<byte[]>(
                name: "scope",
                table: "queue",
                type: "BLOB",
                nullable: true);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropColumn(
                name: "scope",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "scope",
                table: "queue");
        }
    }
}
