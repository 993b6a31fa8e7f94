"""Text that arrives token by token: characters in pieces, stop strings over the borders of tokens."""

import pytest

from tflm.generation.sampling import SamplingConfig
from tflm.generation.text import TextStream, continue_texts
from tflm.text import tokenizer as tokenizers

BYTES = tokenizers.train(tokenizers.TokenizerConfig(kind="byte"), [])
WORDS = tokenizers.train(
    tokenizers.TokenizerConfig(kind="word"), ["the cat sat, and the dog ran. stop here"]
)


def pushed(text: str, stop=(), tokenizer=BYTES, prompt="") -> list[str]:
    """What is shown after every token, and at the end."""
    stream = TextStream(tokenizer, stop, tokenizer.encode(prompt))
    return [*map(stream.push, tokenizer.encode(text)), stream.finish()]


@pytest.mark.parametrize(
    "text", ["", "a", "hello world", "naïve café", "你好，世界", "👩‍👩‍👧 family", "\r\n\t x"]
)
def test_all_of_the_text_is_shown(text):
    assert "".join(pushed(text)) == text


def test_a_character_is_shown_when_it_is_whole():
    assert pushed("é你👍") == ["", "é", "", "", "你", "", "", "", "👍", ""]
    assert pushed("ab") == ["a", "b", ""]


def test_a_character_that_is_never_finished_is_replaced_at_the_end():
    stream = TextStream(BYTES)
    assert [stream.push(token) for token in BYTES.encode("a你")[:-1]] == ["a", "", ""]
    assert stream.finish() == "\ufffd"
    assert stream.finish() == ""


def test_stray_bytes_do_not_hold_the_rest_back():
    stream = TextStream(BYTES)
    tokens = [4 + 0xE4, *BYTES.encode("ab")]
    assert [stream.push(token) for token in tokens] == ["", "\ufffda", "b"]


@pytest.mark.parametrize(
    ("text", "stop", "shown"),
    [
        ("one END two", ("END",), "one "),
        ("END", ("END",), ""),
        ("one EN two", ("END",), "one EN two"),  # a beginning of it that did not go on
        ("EEND", ("END",), "E"),
        ("aabaabaaab", ("aabaaa",), "aab"),  # its beginning inside itself
        ("one two", ("two", "e t"), "on"),  # the one that comes first
        ("你好世界", ("世",), "你好"),
        ("line\n\nnext", ("\n\n",), "line"),
        ("x", ("",), "x"),  # an empty stop string is none
    ],
)
def test_the_text_ends_before_a_stop_string(text, stop, shown):
    stream = TextStream(BYTES, stop)
    pieces = [stream.push(token) for token in BYTES.encode(text)]
    assert stream.ended == any(s and s in text for s in stop)
    assert "".join(pieces) + stream.finish() == shown


def test_what_may_begin_a_stop_string_is_held_back():
    assert pushed("a EN b", ("END",)) == ["a", " ", "", "", "EN ", "b", ""]


def test_nothing_is_shown_after_the_end():
    stream = TextStream(BYTES, ("b",))
    assert [stream.push(token) for token in BYTES.encode("abcd")] == ["a", "", "", ""]
    assert stream.finish() == ""


def test_a_stop_string_over_the_border_of_words():
    """Tokens are whole words here, and the spaces between them belong to none."""
    assert "".join(pushed("the cat sat", ("t s",), WORDS)) == "the ca"


def test_a_continuation_goes_on_from_its_prompt():
    """The space before a word is there because of the word before it."""
    shown = "".join(pushed("cat sat", (), WORDS, prompt="the"))
    assert "the" + shown == WORDS.decode(WORDS.encode("the cat sat"))


class Script:
    """A decoder that says what it was told to, a list of tokens a step."""

    def __init__(self, *rows):
        self.rows, self.steps = rows, 0

    def generate(self, prompts, max_tokens, sampling, stop_ids):
        self.prompts, self.stop_ids = prompts, stop_ids
        for tokens in zip(*self.rows, strict=True):
            self.steps += 1
            yield list(tokens)


def test_prompts_are_continued_side_by_side():
    script = Script([None, *BYTES.encode("ab")], [*BYTES.encode("é"), None])
    pieces = list(continue_texts(script, BYTES, ["x", ""], 9, SamplingConfig()))
    assert pieces == [["", ""], ["a", "é"], ["b", ""], ["", ""]]
    assert script.prompts == [[2, *BYTES.encode("x")], [2]]  # BOS begins every text
    assert script.stop_ids == (3,)  # and EOS ends it


def test_it_stops_when_all_have_ended():
    script = Script(BYTES.encode("a.bbbb"), BYTES.encode("cc.ddd"))
    pieces = list(continue_texts(script, BYTES, ["", ""], 9, SamplingConfig(), (".",)))
    assert script.steps == 3
    assert ["".join(row) for row in zip(*pieces, strict=True)] == ["a", "cc"]
