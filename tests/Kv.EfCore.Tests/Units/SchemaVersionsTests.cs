using Kv.Schema;

namespace Kv.Tests.Units;

/// <summary>A migration names the oldest version that goes on beside it: only older ones are refused.</summary>
public sealed class SchemaVersionsTests
{
    private static readonly string[] Known = ["1_Initial", "2_Expiry", "3_Messages"];

    [Theory]
    [InlineData("4_Tags_Beside_Initial")]
    [InlineData("4_Tags_Beside_Messages")]
    [InlineData("4_Tags_Beside_Messages", "5_Notes_Beside_Expiry")]
    public void Newer_migrations_that_name_one_that_this_version_knows_let_it_go_on(params string[] newer)
    {
        var versions = new SchemaVersions(Known, [.. Known, .. newer]);

        versions.EnsureNotAhead();

        Assert.Equal(newer, versions.Newer);
        Assert.Empty(versions.Missing);
    }

    [Fact]
    public void A_migration_that_names_another_one_can_itself_be_named()
    {
        string[] known = [.. Known, "4_Tags_Beside_Messages"];

        new SchemaVersions(known, [.. known, "5_Notes_Beside_Tags"]).EnsureNotAhead();

        Assert.Throws<KvException>(() => new SchemaVersions(Known, [.. known, "5_Notes_Beside_Tags"]).EnsureNotAhead());
    }

    [Theory]
    [InlineData("5_Notes_Beside_Tags", "Tags")]
    [InlineData("5_Notes_Beside_Message", "Message")]
    public void One_that_names_a_later_one_refuses_it_and_names_the_oldest_that_goes_on(string newer, string oldest)
    {
        var error = Assert.Throws<KvException>(
            () => new SchemaVersions(Known, [.. Known, "4_Tags_Beside_Messages", newer]).EnsureNotAhead());

        Assert.Equal(KvErrorKind.Schema, error.Kind);
        Assert.Contains(
            $": {newer} came from a newer version of EfKv, and only versions that know {oldest} go on beside it; "
            + "the newest that this one knows is Messages. Update",
            error.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void One_that_names_none_refuses_every_older_version_whatever_others_name()
    {
        var error = Assert.Throws<KvException>(
            () => new SchemaVersions(Known, [.. Known, "4_Tags", "5_Notes_Beside_Messages", "6_Last_Beside_Tags"]).EnsureNotAhead());

        Assert.Contains(": 4_Tags, 6_Last_Beside_Tags came", error.Message, StringComparison.Ordinal);
        Assert.Contains("no older version goes on beside", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_newer_migration_where_one_of_this_version_is_missing_is_refused()
    {
        var error = Assert.Throws<KvException>(
            () => new SchemaVersions(Known, ["1_Initial", "2_Expiry", "4_Tags_Beside_Expiry"]).EnsureNotAhead());

        Assert.Contains("4_Tags_Beside_Expiry", error.Message, StringComparison.Ordinal);
        Assert.Contains("3_Messages of this one is not applied", error.Message, StringComparison.Ordinal);
    }
}
