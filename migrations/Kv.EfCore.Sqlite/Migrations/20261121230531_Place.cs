using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Kv.Sqlite.Migrations
{
    /// <inheritdoc />
    public partial class Place : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<long>(
                name: "ts",
                table: "queue_running",
                type: "INTEGER",
                nullable: true);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropColumn(
                name: "ts",
                table: "queue_running");
        }
    }
}
