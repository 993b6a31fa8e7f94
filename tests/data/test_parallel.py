"""Pairs of texts in the forms in which data sets are published."""

import bz2
import gzip
import lzma
import os

import pytest

from tflm.data.corpora import DataConfig
from tflm.data.corpora import resolve as resolve_texts
from tflm.data.parallel import ParallelText
from tflm.data.parallel_corpora import (
    absolute,
    parallel_training_texts,
    read_parallel,
    resolve,
)
from tflm.errors import UserError

PAIRS = [("Ein Haus.", "A house."), ("Zwei Häuser.", "Two houses."), ("Nein", "No")]
COMPRESS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def read(path, **fields):
    return [(pair.source, pair.target) for pair in read_parallel(path, DataConfig(**fields))]


@pytest.mark.parametrize("compression", COMPRESS)
def test_two_files(write, compression):
    sides = ["\n".join(side) + "\n" for side in zip(*PAIRS, strict=True)]
    names = [
        write(f"train.{language}{compression}", COMPRESS[compression](side.encode()))
        for language, side in zip(("de", "en"), sides, strict=True)
    ]
    assert read(",".join(names)) == PAIRS
    assert read(f"{names[1]}, {names[0]}") == [(target, source) for source, target in PAIRS]


def test_lines_of_two_files(write):
    source = write("a.tsv", "\ufeff eins\tzwei \r\n\n\u2028\nfünf\x0bsechs")
    target = write("b.md", "one two\r\nnothing\n three\nfive\n")
    config = DataConfig(corpus=f"{source},{target}")
    assert read_parallel(config.corpus, config) == [
        ParallelText("eins\tzwei", "one two", 1),
        ParallelText("fünf\x0bsechs", "five", 4),
    ]


TSV = "".join(f"{source}\t{target}\n" for source, target in PAIRS)
TATOEBA = "".join(f"{target}\t{source}\tCC-BY 2.0 #1 & #2\n" for source, target in PAIRS)
JSONL = (
    '{"source": "Ein Haus.", "target": "A house."}\n\n'
    '{"target": "Two houses.", "source": "Zwei H\\u00e4user."}\n{"source": "Nein", "target": "No"}\n'
)


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("pairs.tsv", TSV, ()),
        ("pairs.txt", TSV.replace("\n", "\r\n\r\n"), ()),
        ("pairs.csv", "\n".join(f'"{s}",{t}' for s, t in PAIRS), ()),
        ("pairs.tsv", "id\tTarget\tSource\n" + "".join(f"7\t{t}\t{s}\n" for s, t in PAIRS), ()),
        ("cmn.txt", TATOEBA, ("1", "0")),
        ("rows.csv", "de,id,en\n" + "".join(f"{s},1,{t}\n" for s, t in PAIRS), ("de", "en")),
        ("rows.csv", "de,id,en\n" + "".join(f"{s},1,{t}\n" for s, t in PAIRS), ("0", "en")),
        ("pairs.jsonl", JSONL, ()),
        ("pairs.jsonl", JSONL.replace("source", "de").replace("target", "en"), ("de", "en")),
    ],
)
def test_tables(write, name, content, columns):
    fields = dict(zip(("source_column", "target_column"), columns, strict=False))
    assert read(write(name, content), **fields) == PAIRS
    assert read(write(f"{name}.xz", lzma.compress(content.encode())), **fields) == PAIRS


def test_csv_with_lines_in_a_text(write):
    path = write("samsum.csv", 'id,dialogue,summary\r\n1,"A: hi, B\r\nB: ""bye""",Both part.\r\n')
    pairs = read_parallel(path, DataConfig(source_column="dialogue", target_column="summary"))
    assert pairs == [ParallelText('A: hi, B\r\nB: "bye"', "Both part.", 3)]


def test_a_folder_of_tables(write, tmp_path):
    write("b.tsv", "Nein\tNo\n")
    write("a.jsonl.gz", gzip.compress(b'{"source": "Ja", "target": "Yes"}'))
    write("LICENSE", "none")
    assert read(str(tmp_path)) == [("Ja", "Yes"), ("Nein", "No")]


def test_a_comma_in_a_name_of_a_file(write):
    assert read(write("a,b.tsv", TSV)) == PAIRS


@pytest.mark.parametrize(
    ("name", "content", "fields", "message"),
    [
        (
            "a.tsv",
            "Ja\tYes\nNein\n",
            {},
            "a.tsv, line 2: wanted 2 columns, as in the first row. Re",
        ),
        ("a.tsv", "Ja\tYes\nNein\tNo\tNo\n", {}, "line 2: wanted 2 columns, .* 'Nein.tNo.tNo'"),
        ("a.tsv", "Ja, Yes\n", {}, "line 1: wanted a source and a target with a tab between them"),
        ("a.csv", "Ja\tYes\n", {}, "line 1: wanted a source and a target with a comma between"),
        ("a.csv", 'Ja,"Yes\n', {}, "line 1 is not CSV"),
        (
            "a.csv",
            "de,en\n",
            {"source_column": "de", "target_column": "fr"},
            r"a.csv, line 1: no column 'fr' \(de, en\). Name the one that holds the target with "
            "--config.data.target_column, or give its number from 0",
        ),
        ("a.csv", "de,en\n", {"source_column": "2", "target_column": "0"}, "no column '2'"),
        (
            "a.jsonl",
            '{"source": "Ja"}',
            {},
            "no field 'target' .* with --config.data.target_column",
        ),
        ("a.jsonl", '{"source": "Ja", "target": 1}', {}, "line 1: 'target' is not a string"),
        ("a.tsv", b"Ja\tYes\nN\xff", {}, "byte 8 .*is not utf-8"),
        ("a.tsv.gz", b"no gzip", {}, "damaged .gz data"),
        (
            "a.tsv",
            "\n\tYes\nJa\t \n",
            {},
            "a.tsv holds no pair of texts. Give two files with as many",
        ),
        (
            "a.tsv",
            TSV,
            {"source_column": "0"},
            "Give both --config.data.source_column and --config",
        ),
    ],
)
def test_what_is_wrong(write, name, content, fields, message):
    with pytest.raises(UserError, match=message):
        read(write(name, content), **fields)


def test_two_files_that_do_not_go_together(write):
    long, short = write("train.de", "a\nb\n" + "c\n" * 1200), write("train.en", "a\nb")
    message = (
        "train.de has 1,202 lines, but .*train.en has 2. Give files with as many lines: line n"
    )
    with pytest.raises(UserError, match=message):
        read(f"{long},{short}")
    with pytest.raises(UserError, match="train.en has 2 lines, but .*train.de has 1,202"):
        read(f"{short},{long}")
    with pytest.raises(UserError, match="Cannot read .*train.fr: there is no such file. Give one"):
        read(f"{long},{long[:-2]}fr")
    with pytest.raises(UserError, match="Parallel files are two, with a comma between them. Rec"):
        read(f"{long},{short},{short}")


def test_corpora_that_cannot_be(write):
    with pytest.raises(UserError, match="python_docs has no pairs of texts. Give two files"):
        resolve(DataConfig(), None)
    message = "--config.data.synthetic_corpus is for pairs of texts, which this objective does not"
    with pytest.raises(UserError, match=message):
        resolve_texts(DataConfig(synthetic_corpus="more.tsv"), None)


def test_paths_that_lead_there_from_everywhere(write, tmp_path, monkeypatch):
    write("a.de", "")
    write("a.en", "")
    monkeypatch.chdir(tmp_path)
    here = os.path.realpath(tmp_path)
    assert absolute("a.de,a.en") == f"{here}/a.de,{here}/a.en"
    assert absolute("a.de") == f"{here}/a.de"
    assert absolute("a.de,b.en") == "a.de,b.en"
    assert absolute("python_docs") == "python_docs"


def test_what_tokenizers_learn_from(write):
    rows = [(f"source {i % 150}", f"target {i}") for i in range(300)] + [("", "lost")]
    path = write("a.tsv", "".join(f"{source}\t{target}\n" for source, target in rows))
    held_out = write("b.tsv", "source 7\tanother target\n")
    synthetic = write("c.tsv", "made\tup\n")
    config = DataConfig(corpus=path, validation_corpus=held_out, synthetic_corpus=synthetic)
    joint = list(parallel_training_texts(config, 10**6, 0))
    sources, targets = (
        list(parallel_training_texts(config, size, 0, side=side))
        for size, side in ((10**6, "source"), (0, "target"))
    )
    assert joint == [f"{s}\n{t}" for s, t in rows if f"{s}\n{t}" in set(joint)]
    trained_on = {text.split("\n")[0] for text in joint}
    assert 110 < len(trained_on) < 150  # the others are in the test split
    assert "source 7" not in trained_on and "" not in trained_on and "made" not in trained_on
    # A source is in one split with all its targets.
    assert len(joint) == 2 * len(trained_on)
    assert sources == sorted(trained_on, key=lambda text: int(text.split()[1]))
    assert sorted(targets) == sorted(text.split("\n")[1] for text in joint)
    with pytest.raises(UserError, match="Unknown side 'left'. Choose one of: both, source"):
        parallel_training_texts(config, 0, 0, side="left")
