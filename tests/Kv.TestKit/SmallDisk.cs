namespace Kv.TestKit;

/// <summary>A file system of a few megabytes in memory, which a test can fill to the last byte. Linux lets only root make one.</summary>
public sealed class SmallDisk : IDisposable
{
    private SmallDisk(string folder) => Folder = folder;

    public string Folder { get; }

    /// <summary>A new one. A test that asks for it where none can be made is skipped.</summary>
    public static SmallDisk Require(int megabytes)
    {
        var folder = Directory.CreateTempSubdirectory("efkv-disk-").FullName;
        try
        {
            Shell.Run("mount", "-t", "tmpfs", "-o", $"size={megabytes}m", "efkv", folder);
        }
        catch (Exception error) when (error is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            Directory.Delete(folder);
            Assert.Skip($"A small disk can be made by root on Linux only: {error.Message}");
        }

        return new SmallDisk(folder);
    }

    public void Dispose()
    {
        Shell.Run("umount", Folder);
        Directory.Delete(Folder);
    }
}
