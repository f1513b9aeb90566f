using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Kv.PostgreSql.Migrations
{
    /// <inheritdoc />
    public partial class Delivery : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropIndex(
                name: "queue_topic_idx",
                table: "queue");

            migrationBuilder.AddColumn<int>(
                name: "cancelled",
                table: "queue_running",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.AddColumn<byte[]>(
                name: "checkpoint",
                table: "queue_running",
                type: "bytea",
                nullable: true);

            migrationBuilder.AddColumn<int>(
                name: "checkpoint_encoding",
                table: "queue_running",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.AddColumn<string>(
                name: "first_error",
                table: "queue_running",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "group_key",
                table: "queue_running",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<int>(
                name: "group_limit",
                table: "queue_running",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.AddColumn<string>(
                name: "last_error",
                table: "queue_running",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "note",
                table: "queue_running",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<int>(
                name: "priority",
                table: "queue_running",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.AddColumn<double>(
                name: "progress",
                table: "queue_running",
                type: "double precision",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "rate_key",
                table: "queue_running",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<long>(
                name: "rate_turn",
                table: "queue_running",
                type: "bigint",
                nullable: false,
                defaultValue: 0L);

            migrationBuilder.AddColumn<int>(
                name: "topic_retries",
                table: "queue_running",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.AddColumn<string>(
                name: "unique_key",
                table: "queue_running",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<long>(
                name: "unique_until",
                table: "queue_running",
                type: "bigint",
                nullable: false,
                defaultValue: 0L);

            migrationBuilder.AddColumn<int>(
                name: "cancelled",
                table: "queue",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.AddColumn<byte[]>(
                name: "checkpoint",
                table: "queue",
                type: "bytea",
                nullable: true);

            migrationBuilder.AddColumn<int>(
                name: "checkpoint_encoding",
                table: "queue",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.AddColumn<string>(
                name: "first_error",
                table: "queue",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "group_key",
                table: "queue",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<int>(
                name: "group_limit",
                table: "queue",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.AddColumn<string>(
                name: "last_error",
                table: "queue",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<int>(
                name: "priority",
                table: "queue",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.AddColumn<string>(
                name: "rate_key",
                table: "queue",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<long>(
                name: "rate_turn",
                table: "queue",
                type: "bigint",
                nullable: false,
                defaultValue: 0L);

            migrationBuilder.AddColumn<int>(
                name: "state",
                table: "queue",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.AddColumn<int>(
                name: "topic_retries",
                table: "queue",
                type: "integer",
                nullable: false,
                defaultValue: 0);

            migrationBuilder.AddColumn<string>(
                name: "unique_key",
                table: "queue",
                type: "text",
                nullable: true);

            migrationBuilder.AddColumn<long>(
                name: "unique_until",
                table: "queue",
                type: "bigint",
                nullable: false,
                defaultValue: 0L);

            migrationBuilder.AddColumn<long>(
                name: "version",
                table: "queue",
                type: "bigint",
                nullable: false,
                defaultValue: 0L);

            migrationBuilder.CreateIndex(
                name: "queue_running_group_idx",
                table: "queue_running",
                columns: new[] { "topic", "group_key" },
                filter: "group_key is not null");

            migrationBuilder.CreateIndex(
                name: "queue_group_idx",
                table: "queue",
                columns: new[] { "topic", "group_key", "state", "version", "id" },
                filter: "group_key is not null");

            migrationBuilder.CreateIndex(
                name: "queue_id_idx",
                table: "queue",
                column: "id");

            migrationBuilder.CreateIndex(
                name: "queue_topic_idx",
                table: "queue",
                columns: new[] { "topic", "state", "priority", "ts", "id" });
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropIndex(
                name: "queue_running_group_idx",
                table: "queue_running");

            migrationBuilder.DropIndex(
                name: "queue_group_idx",
                table: "queue");

            migrationBuilder.DropIndex(
                name: "queue_id_idx",
                table: "queue");

            migrationBuilder.DropIndex(
                name: "queue_topic_idx",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "cancelled",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "checkpoint",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "checkpoint_encoding",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "first_error",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "group_key",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "group_limit",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "last_error",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "note",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "priority",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "progress",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "rate_key",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "rate_turn",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "topic_retries",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "unique_key",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "unique_until",
                table: "queue_running");

            migrationBuilder.DropColumn(
                name: "cancelled",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "checkpoint",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "checkpoint_encoding",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "first_error",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "group_key",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "group_limit",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "last_error",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "priority",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "rate_key",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "rate_turn",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "state",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "topic_retries",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "unique_key",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "unique_until",
                table: "queue");

            migrationBuilder.DropColumn(
                name: "version",
                table: "queue");

            migrationBuilder.CreateIndex(
                name: "queue_topic_idx",
                table: "queue",
                columns: new[] { "topic", "ts", "id" });
        }
    }
}
