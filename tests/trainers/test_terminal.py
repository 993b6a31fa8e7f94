"""What programs show while they work, where there is no terminal to draw on."""

from trainers import terminal


def test_lines_now_and_then_instead_of_a_bar(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    bar = terminal.Bar("train", 2000, "steps")
    for done in range(1, 41):
        now[0] += 1
        bar.update(done, f"loss {done}")
    bar.close()
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "train: 16 of 2,000 steps  loss 16  33:04 left",
        "train: 32 of 2,000 steps  loss 32  32:48 left",
    ]


def test_progress_starts_a_bar_for_every_description(monkeypatch):
    bars = []

    class Bar:
        def __init__(self, *arguments):
            self.arguments, self.done, self.closed = arguments, [], False
            bars.append(self)

        def update(self, done):
            self.done.append(done)

        def close(self):
            self.closed = True

    monkeypatch.setattr(terminal, "Bar", Bar)
    progress = terminal.Progress("bytes")
    for call in (("read", 1, 2), ("read", 2, 2), ("write", 1, None)):
        progress(*call)
    progress.close()
    progress.close()
    assert [bar.arguments for bar in bars] == [("read", 2, "bytes"), ("write", None, "bytes")]
    assert [bar.done for bar in bars] == [[1, 2], [1]]
    assert all(bar.closed for bar in bars)


def test_lines_and_warnings_go_to_their_streams(capsys):
    terminal.say("hello")
    terminal.warn("careful")
    captured = capsys.readouterr()
    assert captured.out == "hello\n"
    assert captured.err == "warning: careful\n"
