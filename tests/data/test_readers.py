"""Every format and compression, and what is said about files that are no text."""

import bz2
import codecs
import csv
import gzip
import io
import json
import lzma

import pytest
import zstandard

from tflm.data import corpora
from tflm.data.corpora import DataConfig
from tflm.data.readers import BadFile, text_blocks
from tflm.errors import UserError

TEXT = "Déjà vu\r\n\r\n中文 👩‍👧 tab\tend\x00\x01 \u2028\n" * 40
COMPRESS = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def read(path, **fields):
    config = DataConfig(corpus=str(path), **fields)
    (corpus,) = corpora.resolve(config, path.parent).values()
    return [document.text for file in corpus.files for document in corpora.documents(file, config)]


def write_csv(rows):
    output = io.StringIO()
    csv.writer(output).writerows(rows)
    return output.getvalue().encode()


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("kind", [".txt", ".md", ".weird"])
def test_plain_text_is_read_as_it_is(tmp_path, kind, compression):
    text = TEXT.replace("\x00", "")
    path = tmp_path / f"file{kind}{compression}"
    path.write_bytes(COMPRESS[compression](text.encode()))
    assert "".join(read(path, section_bytes=256)) == text
    assert read(path, documents="file") == [text]
    assert read(path, documents="line")[:2] == ["Déjà vu", "中文 👩‍👧 tab\tend\x01 \u2028"]


@pytest.mark.parametrize("compression", COMPRESS)
def test_jsonl(tmp_path, compression):
    records = [{"text": TEXT, "n": 1}, {"text": "two"}, {"text": ""}]
    data = "\n\n".join(json.dumps(record) for record in records).encode()
    path = tmp_path / f"file.jsonl{compression}"
    path.write_bytes(COMPRESS[compression](data))
    assert read(path, documents="file") == [TEXT, "two"]
    parts = read(path, section_bytes=512)
    assert "".join(parts) == TEXT + "two" and parts[-1] == "two" and len(parts) > 2
    path.write_bytes(COMPRESS[compression](b'{"body": "hello"}'))
    assert read(path, text_field="body") == ["hello"]


@pytest.mark.parametrize("compression", COMPRESS)
def test_tables(tmp_path, compression):
    rows = [["id", "text"], ["1", 'a "quoted", one'], ["2", "中文\r\nsecond line"]]
    path = tmp_path / f"file.csv{compression}"
    path.write_bytes(COMPRESS[compression](write_csv(rows)))
    assert read(path) == ['a "quoted", one', "中文\r\nsecond line"]
    assert read(path, text_column="1") == ["text", 'a "quoted", one', "中文\r\nsecond line"]
    assert read(path, text_column="-2") == ["id", "1", "2"]
    path = tmp_path / f"file.TSV{compression}"
    path.write_bytes(COMPRESS[compression](b'text\tid\r\n"as is\t1\r\n\r\nlast"\t2'))
    assert read(path) == ['"as is', 'last"']
    assert read(path, text_column="id") == ["1", "2"]


def test_long_csv_field(tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes(write_csv([["text"], ["long " * 100_000]]))
    assert read(path, documents="file") == ["long " * 100_000]


def test_encodings(tmp_path):
    path = tmp_path / "file.txt"
    for encoding in ("utf-16", "gb18030", "utf-32-le", "utf-8-sig"):
        path.write_bytes("中文, é".encode(encoding))
        assert read(path, encoding=encoding) == ["中文, é"]
    path.write_bytes(codecs.BOM_UTF8 + b"\xef\xbb\xbfb")  # Only the first mark is one.
    assert read(path) == ["\ufeffb"]


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 5, 1 << 20])
def test_wrong_byte_is_named_by_its_offset(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr("tflm.data.readers.BLOCK_BYTES", block_bytes)
    path = tmp_path / "latin.txt"
    path.write_bytes("中文é".encode() + b"caf\xe9 au lait")
    with pytest.raises(BadFile, match=r"latin\.txt: byte 11 \(0xe9\) is not utf-8"):
        list(text_blocks(path, "", "utf-8"))
    path.write_bytes("中文".encode()[:-1])
    with pytest.raises(BadFile, match=r"byte 3 \(0xe6\) is not utf-8: unexpected end of data"):
        list(text_blocks(path, "", "utf-8"))
    path.write_bytes("中文".encode("gb18030") + b"\xff\xff")
    with pytest.raises(BadFile, match=r"byte 4 \(0xff\) is not gb18030"):
        list(text_blocks(path, "", "gb18030"))
    path.write_bytes(codecs.BOM_UTF8 + "中".encode())
    assert "".join(text_blocks(path, "", "utf-8")) == "中"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04\x14\x00", "zip archive"),
        (b"%PDF-1.7\n\x00", "a PDF"),
        (gzip.compress(b"text", mtime=0), "gzip data without .gz"),
        (b"\x7fELF\x00", "NUL at byte 4"),
        ("utf-16 text".encode("utf-16"), "encoding=utf-16"),
    ],
)
def test_binary_files_are_refused(tmp_path, data, said):
    path = tmp_path / "file.txt"
    path.write_bytes(data)
    with pytest.raises(BadFile, match=said) as error:
        read(path)
    assert "file.txt" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("compression", [".gz", ".xz", ".bz2", ".zst"])
def test_damaged_compression(tmp_path, compression):
    whole = COMPRESS[compression](bytes(range(32, 127)) * 3000)
    path = tmp_path / f"file.txt{compression}"
    for data in (whole[:-6], b"no such data"):
        path.write_bytes(data)
        with pytest.raises(BadFile, match=rf"file.txt{compression}: "):
            read(path)


def test_zstd_frames_and_bombs(tmp_path):
    compress = COMPRESS[".zst"]
    path = tmp_path / "file.txt.zst"
    path.write_bytes(compress(b"one ") + compress(b"") + compress(b"two"))
    assert read(path, documents="file") == ["one two"]
    path.write_bytes(compress(b"x" * 50_000_000))
    largest = max(len(block) for block in text_blocks(path, ".zst", "utf-8"))
    assert largest <= 33_554_432


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.jsonl", b'{"text": "x"}\n{"text": ', "line 2 is not JSON"),
        ("a.jsonl", b"[1]", "line 1 is not a JSON object"),
        ("a.jsonl", b'{"body": "x"}', "no field 'text' .its fields: body."),
        ("a.jsonl", b'{"text": 3}', "'text' is not a string"),
        ("a.jsonl", b'{"text": "\\ud800"}', "half a surrogate pair"),
        ("a.jsonl", b"[" * 200_000, "line 1 is not JSON"),
        ("a.tsv", b"id\tbody\n1\tx", "no column 'text' in the first row .id, body."),
        ("a.tsv", b"id\ttext\n1\n", "line 2 has 1 columns"),
        ("a.csv", b'text\n"unclosed', "line 2 is not CSV"),
    ],
)
def test_bad_records_are_named(tmp_path, name, data, said):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(BadFile, match=said) as error:
        read(path)
    assert str(path) in str(error.value) and "on_bad_file=skip" in str(error.value)


def test_too_long_line_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tflm.data.documents.MAX_DOCUMENT_CHARACTERS", 100)
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps({"text": "x" * 200}).encode())
    with pytest.raises(UserError, match=r"a\.jsonl: .*longer|a\.jsonl: .*100 characters"):
        read(path)
