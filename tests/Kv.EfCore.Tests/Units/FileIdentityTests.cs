using Kv.Platform;

namespace Kv.Tests.Units;

public sealed class FileIdentityTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("efkv-identity-").FullName;

    [Fact]
    public void A_file_is_itself_by_every_path_and_no_other()
    {
        var (file, other, moved) = (PathOf("a"), PathOf("b"), PathOf("c"));
        File.WriteAllText(file, "");
        File.WriteAllText(other, "");
        var identity = FileIdentity.Of(file);

        Assert.NotNull(identity);
        Assert.NotEqual(identity, FileIdentity.Of(other));
        Assert.Equal(identity, FileIdentity.Of(Path.Combine(_folder, ".", "a")));
        File.Move(file, moved);
        Assert.Equal((null, identity), (FileIdentity.Of(file), FileIdentity.Of(moved)));
    }

    [Fact]
    public void A_file_is_there_until_it_is_deleted()
    {
        File.WriteAllText(PathOf("a"), "");

        Assert.True(FileIdentity.IsThere(PathOf("a")));
        File.Delete(PathOf("a"));
        Assert.False(FileIdentity.IsThere(PathOf("a")));
    }

    [Fact]
    public void A_file_that_is_opened_alone_is_refused_to_another_opener_until_it_is_closed()
    {
        using (Folders.OpenAlone(PathOf("a"), FileMode.CreateNew))
        {
            Assert.Throws<IOException>(() => Folders.OpenAlone(PathOf("a"), FileMode.Open));
        }

        Folders.OpenAlone(PathOf("a"), FileMode.Open).Dispose();
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string PathOf(string name) => Path.Combine(_folder, name);
}
