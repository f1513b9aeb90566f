using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Kv.PostgreSql.Migrations
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
                type: "bytea",
                nullable: true);

            migrationBuilder.AddColumn<byte[]>(
                name: "scope",
                table: "queue",
                type: "bytea",
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
