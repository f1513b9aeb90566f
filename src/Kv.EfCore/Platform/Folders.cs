namespace Kv.Platform;

/// <summary>Where a system has what, and paths as it writes them.</summary>
internal static class Folders
{
    private const string SharedMemory = "/dev/shm";

    /// <summary>For files that nothing needs after a restart: in memory on Linux, else the folder for temporary files.</summary>
    public static string Memory { get; } = OperatingSystem.IsLinux() && Directory.Exists(SharedMemory) ? SharedMemory : Path.GetTempPath();

    /// <summary>
    /// The user's own for data of applications: <c>~/.local/share</c>, <c>%LOCALAPPDATA%</c>, <c>~/Library/Application Support</c>;
    /// empty if the user has none.
    /// </summary>
    public static string UserData =>
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);

    /// <summary>Makes a folder that no other user looks into.</summary>
    /// <remarks>On Windows the folder for temporary files is the user's own, and what is made in it has its rights.</remarks>
    public static void CreatePrivate(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    /// <summary>Takes a file for this process alone, for as long as it is open; that ends with the process, however it ends.</summary>
    /// <exception cref="IOException">Another process has it.</exception>
    /// <remarks>
    /// Windows keeps others from opening it. On Unix .NET takes an advisory lock (<c>flock</c>), which other programs of .NET respect.
    /// </remarks>
    public static FileStream OpenAlone(string path, FileMode mode) => new(path, mode, FileAccess.Write, FileShare.None);

    /// <summary>The full path of a file that the path of a URI names: <c>/C:/app.db</c> is <c>C:\app.db</c> on Windows.</summary>
    public static string OfUri(string path) => Path.GetFullPath(OperatingSystem.IsWindows() ? path.TrimStart('/') : path);
}
