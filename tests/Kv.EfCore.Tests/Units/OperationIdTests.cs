namespace Kv.Tests.Units;

public sealed class OperationIdTests
{
    [Theory]
    [InlineData(0x1F, 0x2A, 0, "1f-2a-0")]
    [InlineData(long.MinValue, -1, int.MaxValue, "8000000000000000-ffffffffffffffff-7fffffff")]
    [InlineData(long.MaxValue, 1, -1, "7fffffffffffffff-1-ffffffff")]
    public void An_id_is_parsed_from_its_text(long writer, long sequence, int versionOffset, string text)
    {
        var id = new KvOperationId(writer, sequence, versionOffset);

        Assert.Equal(text, id.ToString());
        Assert.Equal(id, KvOperationId.Parse(text));
        Assert.Equal((writer, sequence, versionOffset), (id.Writer, id.Sequence, id.VersionOffset));
    }

    [Theory]
    [InlineData("")]
    [InlineData("1")]
    [InlineData("1-2")]
    [InlineData("1-2-3-4")]
    [InlineData("--")]
    [InlineData("1--3")]
    [InlineData("1-2-g")]
    [InlineData("1- 2-3")]
    [InlineData("11111111111111111-2-3")]
    [InlineData("1-2-123456789")]
    public void Other_text_is_refused(string text)
    {
        var error = Assert.Throws<FormatException>(() => KvOperationId.Parse(text));

        Assert.Contains("not an operation id", error.Message, StringComparison.Ordinal);
        Assert.False(KvOperationId.TryParse(text, out _));
        Assert.False(KvOperationId.TryParse(null, out _));
    }

    [Fact]
    public void An_unknown_commit_names_its_operation()
    {
        var error = new KvCommitUnknownException(new KvOperationId(1, 2, 0), new IOException("gone"));

        Assert.Equal(KvErrorKind.CommitUnknown, error.Kind);
        Assert.Contains("the write 1-2-0 took effect or it did not", error.Message, StringComparison.Ordinal);
        Assert.Equal(KvOperationId.Parse("1-2-0"), error.OperationId);
        Assert.IsType<IOException>(error.InnerException);
    }
}
