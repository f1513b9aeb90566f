using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Kv.PostgreSql.Migrations
{
    /// <inheritdoc />
    public partial class Messages : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<int>(
                name: "attempt",
                table: "queue_running",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.AddColumn<long>(
                name: "claim",
                table: "queue_running",
                type: "bigint",
                nullable: false,
                defaultValue: 0L);

            migrationBuilder.AddColumn<int>(
                name: "crashes",
                table: "queue_running",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.AddColumn<int>(
                name: "encoding",
                table: "queue_running",
                type: "integer",
                nullable: false,
                defaultValue: 1);

            migrationBuilder.AddColumn<long>(
                name: "enqueued_at",
                table: "queue_running",
                type: "bigint",
                nullable: false,
                defaultValue: 0L);

            migrationBuilder.AddColumn<string>(
                name: "owner",
                table: "queue_running",
                type: "text",
                nullable: false,
                defaultValue: "");

            migrationBuilder.AddColumn<string>(
                name: "topic",
                table: "queue_running",
                type: "text",
                nullable: false,
                defaultValue: "");

            migrationBuilder.AddColumn<string>(
                name: "trace",
                table: "queue_running",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "type",
                table: "queue_running",
                type: "text",
                nullable: false,
                defaultValue: "");

            migrationBuilder.AddColumn<int>(
                name: "attempt",
                table: "queue",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.AddColumn<long>(
                name: "claim",
                table: "queue",
                type: "bigint",
                nullable: false,
                defaultValue: 0L);

            migrationBuilder.AddColumn<int>(
                name: "crashes",
                table: "queue",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.AddColumn<int>(
                name: "encoding",
                table: "queue",
                type: "integer",
                nullable: false,
                defaultValue: 1);

            migrationBuilder.AddColumn<long>(
                name: "enqueued_at",
                table: "queue",
                type: "bigint",
                nullable: false,
                defaultValue: 0L);

            migrationBuilder.AddColumn<string>(
                name: "topic",
                table: "queue",
                type: "text",
                nullable: false,
                defaultValue: "");

            migrationBuilder.AddColumn<string>(
                name: "trace",
                table: "queue",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "type",
                table: "queue",
                type: "text",
                nullable: false,
                defaultValue: "");

            migrationBuilder.CreateIndex(
                name: "queue_running_id_idx",
                table: "queue_running",
                column: "id",
                unique: true);

            migrationBuilder.CreateIndex(
                name: "queue_topic_idx",
                table: "queue",
                columns: new[] { "topic", "ts", "id" });
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropIndex(
                name: "queue_running_id_idx",
                table: "queue_running");

            migrationBuilder.DropIndex(
                name: "queue_topic_idx",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "attempt",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "claim",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "crashes",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "encoding",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "enqueued_at",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "owner",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "topic",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "trace",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "type",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "attempt",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "claim",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "crashes",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "encoding",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "enqueued_at",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "topic",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "trace",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "type",
                table: "queue");
        }
    }
}
