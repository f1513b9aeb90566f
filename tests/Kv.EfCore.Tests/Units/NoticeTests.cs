using Kv.Changes;

namespace Kv.Tests.Units;

public sealed class NoticeTests
{
    [Fact]
    public void What_is_told_is_heard()
    {
        foreach (var what in Enumerable.Range(0, (int)ChangeKinds.All + 1))
        {
            var notice = new Notice(long.MaxValue - what, (ChangeKinds)what, 42 + what, IsProbe: what % 2 == 0);
            Assert.Equal(notice, Notice.Parse(notice.ToString()));
        }

        Assert.Equal("2a 7 vm", new Notice(42, ChangeKinds.Version | ChangeKinds.Messages, 7).ToString());
    }

    [Fact]
    public void What_a_newer_program_tells_besides_is_passed_over() =>
        Assert.Equal(new Notice(42, ChangeKinds.Version, 7), Notice.Parse("2a 7 vz"));

    [Theory]
    [InlineData("")]
    [InlineData("hello")]
    [InlineData("x 7 v")]
    [InlineData("2a -7 v")]
    [InlineData("2a 7 v more")]
    public void What_nobody_understands_has_everybody_look(string text) => Assert.Equal(Notice.LookAtAll, Notice.Parse(text));
}
