import html.parser
import re
import xml.etree.ElementTree

import pytest

from tests.trainers.summaries import comparison, summary
from trainers.comparison.artifacts import Artifact
from trainers.comparison.report import charts, curves, numbers
from trainers.comparison.report.markup import Markup, element, joined, table
from trainers.comparison.report.page import page

HOSTILE = "<script>alert('x')</script>&\"你好"
VOID = {"meta", "br", "path", "use"}


class Structure(html.parser.HTMLParser):
    """Every element must end, in its place; collects ids, texts and addresses."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.tags, self.texts, self.addresses = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self._attributes(attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self._attributes(attributes)

    def _attributes(self, attributes):
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "data", "srcset"):
                self.addresses.append(value)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def text() -> str:
    artifacts = [Artifact("SavedModel", 9_000_000, 100, 50.0, 1.0, 0.0), Artifact("other", 5)]
    return page(
        comparison(
            summary("lstm", 2.0, artifacts=artifacts, samples=["sea <b>", "two"]),
            summary(HOSTILE, 1.5, samples=["一二三", "four"]),
            summary("vectors", nearest=[("海洋", [("</td>", 0.5)])]),
            prompts=("Once ", HOSTILE),
        )
    )


def test_the_page_is_well_formed_and_ids_are_unique(text):
    structure = Structure(text)
    assert structure.open == []
    assert len(set(structure.ids)) == len(structure.ids)
    assert structure.tags.count("svg") == 3 + 3 + 2 + 3


def test_the_page_needs_nothing_from_elsewhere(text):
    structure = Structure(text)
    assert structure.addresses and all(address.startswith("#") for address in structure.addresses)
    assert not {"script", "link", "img", "iframe", "object"} & set(structure.tags)
    outside = re.findall(r"(?:https?:)?//[a-z][^\s\"<]*", text)
    assert set(outside) <= {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []


def test_what_runs_are_called_and_say_is_shown_not_interpreted(text):
    texts = Structure(text).texts
    for shown in (HOSTILE, "sea <b>", "一二三", "海洋", "</td>"):
        assert any(shown in part for part in texts)
    assert "<script" not in text


def test_references_inside_charts_are_to_what_is_there(text):
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(
        re.findall(r'xlink:href="#([^"]+)"', text)
    )
    assert used and used <= set(Structure(text).ids)


def test_the_page_has_the_numbers(text):
    texts = " ".join(Structure(text).texts)
    for number in ("1.5000", "2.0000", "9 MB", "99.99 %", "1 min 15 s", "3.5 KB"):
        assert number in texts
    assert texts.index("1.5000") < texts.index("2.0000")


def test_the_card_of_the_corpus(text):
    body = text[text.index("<h2>The text</h2>") :]
    rows = re.findall(r"<tr><td>train</td>(.*?)</tr>", body)
    assert re.findall(r"<td[^>]*>(.*?)</td>", rows[0]) == ["10", "3.5 KB", "3,400", "600", "7", "3"]
    assert "4 files, 1 of unknown kind and 2 unreadable" in body


def test_a_page_of_word_vectors_alone():
    text = page(comparison(summary("vectors"), prompts=()))
    assert Structure(text).open == []
    assert "<h2>Samples</h2>" not in text and "<h2>Nearest words</h2>" in text


def test_a_page_of_one_model_that_was_not_exported():
    text = page(comparison(summary("gpt", 1.0, artifacts=[], nearest=[])))
    assert "<figcaption>Quality against parameters</figcaption>" in text
    assert "Quality against size" not in text and "Settings that differ" not in text


def test_charts_take_their_colours_from_the_page():
    lines = [
        {"series": i, "x": (1, 2), "y": (3.0, i / 10), "is_training": i % 2 == 0} for i in range(10)
    ]
    text = charts.curves("A & B", "steps", "loss", lines)
    xml.etree.ElementTree.fromstring(text)
    for i in range(charts.NUM_COLOURS):
        assert f"var(--series-{i})" in text
    assert "var(--grid)" in text and "var(--muted)" in text
    # Besides the page's variables nothing but what draws nothing.
    assert set(re.findall(r"(?:stroke|fill): ([^;\"]+)", text)) <= {
        "none",
        "var(--grid)",
        "var(--muted)",
        *(f"var(--series-{i})" for i in range(charts.NUM_COLOURS)),
    }
    assert "A &amp; B" in text


def test_equal_charts_are_drawn_equally():
    points = [
        {"series": 0, "x": 10, "y": 1.0, "marker": 0},
        {"series": 1, "x": 99, "y": 2.0, "marker": 2},
    ]
    first = charts.scatter("title", "size", "bits", points, numbers.size)
    assert first == charts.scatter("title", "size", "bits", points, numbers.size)
    assert "10 B" in first


def test_panels_are_left_out_where_there_is_nothing_to_draw():
    assert curves.bits_per_byte([(0, summary("vectors"))]) == []
    assert len(curves.loss([(0, summary("vectors"))])) == 2  # no operations
    run = summary("nan", 1.0, validation=[], training=[{"step": 1, "loss": float("inf")}])
    assert curves.loss([(0, run)]) == []


def test_one_run_against_tokens_time_and_operations():
    """64 tokens and half a second a step, 3 MFLOP a token, 100 steps: 6,400 tokens, 50 s, 19.2 GFLOP."""
    tokens, time, operations = curves.bits_per_byte([(0, summary("gpt", 1.0))])
    for panel, title, tick in (
        (tokens, "tokens seen", "6,000"),
        (time, "time in training steps", "45 s"),
        (operations, "operations in training steps", "15 GFLOP"),
    ):
        assert f"<title>Bits per byte against {title}</title>" in panel
        assert f">{tick}</text>" in panel


def test_time_has_round_numbers_of_its_unit():
    line = {"series": 0, "x": (0, 900), "y": (1.0, 2.0), "is_training": False}
    assert ">4 min</text>" in charts.curves("a", "x", "y", [line], numbers.clock)


def test_long_curves_keep_their_average():
    points = [(float(i), float(i % 7)) for i in range(1000)]
    thin = curves.thinned(points)
    assert len(thin) <= curves.MAX_POINTS
    assert thin[0] == (1.5, 1.5) and thin[-1][0] == 997.5  # groups of four
    assert curves.thinned(points[:10]) == points[:10]


def test_markup_escapes_all_but_markup():
    assert element("b", "<", Markup("<i>"), class_='"') == '<b class="&quot;">&lt;<i></b>'
    assert joined(["&", ["a", 1]]) == "&amp;a1"
    assert element("b", title=Markup("<x>")) == '<b title="&lt;x&gt;"></b>'
    assert table(["<h>"], [["a<b"]]).count("&lt;") == 2


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (numbers.count, 9876, "9,876"),
        (numbers.count, 12_345, "12.3K"),
        (numbers.count, 999_999, "1M"),
        (numbers.count, 2.5e12, "2,500B"),
        (numbers.size, 999_999, "1 MB"),
        (numbers.size, 0, "0 B"),
        (numbers.count, 1_234_567, "1.23M"),
        (numbers.size, 999, "999 B"),
        (numbers.size, 1_234_567, "1.23 MB"),
        (numbers.operations, 1.234e15, "1.23 PFLOP"),
        (numbers.operations, 0, "0 FLOP"),
        (numbers.operations, 5e20, "500 EFLOP"),
        (numbers.operations, None, "–"),
        (numbers.clock, 90, "1.5 min"),
        (numbers.duration, 59.4, "59 s"),
        (numbers.duration, 59.6, "1 min 00 s"),
        (numbers.duration, 3665, "1 h 01 min"),
        (numbers.perplexity, 12.34, "12.3"),
        (numbers.perplexity, 123_456, "123,456"),
        (numbers.perplexity, 1.54e8, "1.5e8"),
        (numbers.perplexity, float("inf"), "∞"),
        (numbers.share, 0.0, "0 %"),
        (numbers.share, 0.999999, "99.99 %"),
        (numbers.share, 1.0, "100 %"),
        (numbers.share, None, "–"),
        (numbers.setting, ["a", "b"], "a, b"),
        (numbers.setting, [], "none"),
        (numbers.bits, 1.23456, "1.2346"),
    ],
)
def test_numbers_as_people_read_them(function, value, expected):
    assert function(value) == expected
