"""A file through a translator: line by line, in order, and the same file after an interruption."""

import json

import pytest

from tflm.errors import UserError
from tflm.generation.beam import BeamConfig
from tflm.generation.translate import Candidate
from trainers.file_translation import lines, translate_file

SEARCH = BeamConfig()
TEXT = "".join(f"text {i}\n" for i in range(23)).replace("text 7\n", "\n")


class Backwards:
    """In place of a Translator: says a text backwards, and fails where it is told to."""

    def __init__(self, fails_at: int | None = None, error=KeyboardInterrupt):
        self.fails_at, self.error, self.calls = fails_at, error, []

    def encode(self, texts, search, first_line):
        for number, text in enumerate(texts, first_line):
            if len(text) > 20:
                raise UserError(f"Line {number} has {len(text)} tokens")
        return [], sum(len(text) > 10 for text in texts)

    def candidates(self, texts, search, first_line, progress):
        self.calls.append((first_line, len(texts)))
        if self.fails_at is not None and first_line >= self.fails_at:
            raise self.error
        progress("translate", len(texts), len(texts))
        return [[Candidate(text[::-1], -0.5), Candidate(text, -1.25)] for text in texts]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "in.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path / "in.txt", tmp_path / "out.txt"


def translate(translator, files, run: str = "a", **options):
    return translate_file(translator, SEARCH, *files, {"run": run}, chunk_lines=5, **options)


def expected() -> str:
    return "".join(line[::-1] + "\n" for line in TEXT.split("\n")[:-1])


def test_one_line_for_each(files):
    seen = []
    done = translate(Backwards(), files, progress=lambda *state: seen.append(state))
    assert files[1].read_text() == expected()
    assert (done.num_lines, done.num_resumed, done.num_truncated) == (23, 0, 0)
    assert seen == [(5, 23), (10, 23), (15, 23), (20, 23), (23, 23)]
    assert sorted(path.name for path in files[0].parent.iterdir()) == ["in.txt", "out.txt"]


@pytest.mark.parametrize("content", ["a\nb", "a\nb\n", "\ufeffa\r\nb\r\n"])
def test_ends_of_lines(content, files):
    files[0].write_bytes(content.encode())
    translate(Backwards(), files)
    assert files[1].read_text() == "a\nb\n"


def test_what_only_looks_like_an_end_of_a_line(files):
    files[0].write_text("a\u2028b\n\x0c\n", encoding="utf-8")
    translate(Backwards(), files)
    assert files[1].read_text(encoding="utf-8") == "b\u2028a\n\x0c\n"


def test_a_target_of_several_lines_is_written_in_one(files):
    class Lines(Backwards):
        def candidates(self, texts, *rest):
            return [[Candidate("a\r\nb\nc\td", -1.0)] for _ in texts]

    files[0].write_text("x\n")
    translate(Lines(), files)
    assert files[1].read_text() == "a b c\td\n"
    translate(Lines(), files, with_scores=True)
    assert files[1].read_text() == "1\t-1.000000\ta b c d\n"


def test_an_empty_file(files):
    files[0].write_text("")
    assert translate(Backwards(), files).num_lines == 0
    assert files[1].read_text() == ""


def test_candidates_with_scores(files):
    translate(Backwards(), files, with_scores=True)
    written = files[1].read_text().split("\n")
    assert written[2:4] == ["2\t-0.500000\t1 txet", "2\t-1.250000\ttext 1"]
    assert len(written) == 2 * 23 + 1


def interrupted(files, at: int, **options):
    with pytest.raises(KeyboardInterrupt):
        translate(Backwards(fails_at=at), files, **options)
    assert not files[1].exists()


def test_an_interrupted_run_goes_on_to_the_identical_file(files):
    interrupted(files, 11)
    again = Backwards()
    done = translate(again, files)
    assert again.calls == [(11, 5), (16, 5), (21, 3)]
    assert (done.num_lines, done.num_resumed) == (23, 10)
    assert files[1].read_text() == expected()
    assert not list(files[0].parent.glob(".*"))


def test_what_a_killed_process_wrote_of_a_chunk_is_taken_back(files):
    interrupted(files, 11)
    with open(files[1].with_name(".out.txt.partial"), "a") as file:
        file.write("half a li")
    translate(Backwards(), files)
    assert files[1].read_text() == expected()


@pytest.mark.parametrize("change", ["run", "input", "scores", "progress", "partial"])
def test_other_work_or_damage_begins_anew(change, files):
    interrupted(files, 11)
    again, options = Backwards(), {}
    progress = files[1].with_name(".out.txt.progress.json")
    assert json.loads(progress.read_text())["lines"] == 10
    if change == "run":
        options["run"] = "b"
    elif change == "input":
        files[0].write_text(TEXT + "one more\n")
    elif change == "scores":
        options["with_scores"] = True
    elif change == "progress":
        progress.write_text('{"lines": 10, ')
    else:
        files[1].with_name(".out.txt.partial").write_text("")
    done = translate(again, files, **options)
    assert again.calls[0] == (1, 5)
    assert done.num_resumed == 0
    if change in ("run", "progress", "partial"):
        assert files[1].read_text() == expected()


def test_a_line_that_is_too_long_is_found_before_anything_is_translated(files):
    files[0].write_text("a\n" * 12 + "b" * 21 + "\n")
    translator = Backwards()
    with pytest.raises(UserError, match=r"in\.txt: Line 13 has 21 tokens"):
        translate(translator, files)
    assert not translator.calls
    assert not files[1].with_name(".out.txt.partial").exists()


def test_cut_lines_are_counted_once_in_an_interrupted_run_too(files):
    files[0].write_text("a\n" * 12 + "b" * 11 + "\n" + "c" * 11 + "\n")
    interrupted(files, 11)
    assert translate(Backwards(), files).num_truncated == 2


def test_files_that_cannot_be(files, tmp_path):
    with pytest.raises(UserError, match="is the input file"):
        translate(Backwards(), (files[0], files[0]))
    with pytest.raises(UserError, match="Cannot read --input_file=.*No such file"):
        translate(Backwards(), (tmp_path / "no.txt", files[1]))
    with pytest.raises(UserError, match="Cannot write .*no/out.txt: No such file"):
        translate(Backwards(), (files[0], tmp_path / "no" / "out.txt"))
    files[0].write_bytes(b"good\nb\xffd\n")
    with pytest.raises(UserError, match="Line 2 of .* is not UTF-8, first at its byte 1"):
        list(lines(files[0]))
