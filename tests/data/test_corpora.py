"""Which files are read, and in what order; named corpora; the text that is always there."""

import ast
import functools
import hashlib
import http.server
import sysconfig
import threading
from pathlib import Path

import pytest

from tflm.data import corpora, named, python_docs
from tflm.data.corpora import DataConfig
from tflm.errors import UserError


def resolve(path, cache, **fields):
    return corpora.resolve(DataConfig(corpus=str(path), **fields), cache)


def test_folder_is_read_in_order_of_names(tmp_path):
    for name in (
        "b.txt",
        "a/z.MD",
        "a/b.jsonl.gz",
        "a.csv.zst",
        ".hidden.txt",
        ".git/x.txt",
        "p.png",
    ):
        path = tmp_path / "text" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    corpus = resolve(tmp_path / "text", tmp_path)["train"]
    found = [(file.name, file.format, file.compression) for file in corpus.files]
    assert found == [
        ("a.csv.zst", ".csv", ".zst"),
        ("a/b.jsonl.gz", ".jsonl", ".gz"),
        ("a/z.MD", ".md", ""),
        ("b.txt", ".txt", ""),
    ]
    assert corpus.skipped == 1


def test_given_corpora(tmp_path):
    for name in ("train.txt", "held.log"):
        (tmp_path / name).write_bytes(b"x")
    found = resolve(tmp_path / "train.txt", tmp_path, validation_corpus=str(tmp_path / "held.log"))
    assert {split: corpus.files[0].path.name for split, corpus in found.items()} == {
        "train": "train.txt",
        "validation": "held.log",
    }


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"corpus": "no/such"}, "No such corpus: 'no/such'.*python_docs, shakespeare"),
        ({"documents": "page"}, "Choose one of: file, line, section"),
        ({"on_bad_file": "ignore"}, "Choose one of: error, skip"),
        ({"encoding": "utf-99"}, "utf-99"),
        ({"encoding": "base64"}, "base64"),
        ({"section_bytes": 10}, "section_bytes must be in .64, .*Received: 10"),
        ({"validation_fraction": 0.5, "test_fraction": 0.5}, "Received: 0.5, 0.5"),
        ({"test_fraction": -0.1}, "must not be negative"),
        ({"workers": -1}, "workers must not be negative"),
        ({"folds": 1}, "folds must be 2 or more.*Received: folds=1, fold=0"),
        ({"folds": 3, "fold": 3}, "Received: folds=3, fold=3"),
        ({"folds": 3, "validation_corpus": "x"}, "Leave out --config.data.validation_corpus"),
    ],
)
def test_mistakes_in_the_configuration(tmp_path, fields, said):
    with pytest.raises(UserError, match=said) as error:
        corpora.resolve(DataConfig(**fields), tmp_path)
    assert "\n" not in str(error.value)


def test_folder_without_text(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(UserError, match=r"\.txt, \.md, \.jsonl.*1 files end in something else"):
        resolve(tmp_path, tmp_path)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server on this machine, and the named corpus "served" on it."""
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "served.txt").write_bytes(b"to be or not")

    class Handler(http.server.SimpleHTTPRequestHandler):
        requests = []

        def log_message(self, *args):
            self.requests.append(self.path)

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    ) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{web.server_port}/served.txt"
        digest = hashlib.sha256(b"to be or not").hexdigest()
        file = named.PublicFile(url, digest, 12)
        monkeypatch.setitem(named.NAMED, "served", {"train": file, "test": file})
        monkeypatch.setenv("no_proxy", "*")
        yield Handler.requests
        web.shutdown()
        thread.join()


def test_named_corpus_is_downloaded_once(tmp_path, server):
    reports = []
    config = DataConfig(corpus="served")
    found = corpora.resolve(config, tmp_path / "cache", lambda *report: reports.append(report))
    assert list(found) == ["train", "test"]  # Published splits are used.
    assert found["train"].files[0].path.read_bytes() == b"to be or not"
    assert reports == [("download served", 12, 12)]
    assert len(server) == 1
    corpora.resolve(config, tmp_path / "cache")
    assert len(server) == 1
    found["train"].files[0].path.write_bytes(b"cut off")
    corpora.resolve(config, tmp_path / "cache")
    assert len(server) == 2 and found["train"].files[0].path.read_bytes() == b"to be or not"


def test_changed_download_is_refused(tmp_path, server, monkeypatch):
    file = named.NAMED["served"]["train"]
    wrong = named.PublicFile(file.url, "0" * 64, 12)
    monkeypatch.setitem(named.NAMED, "served", {"train": wrong})
    with pytest.raises(UserError, match=f"expected SHA-256 {'0' * 64}. Received: {file.sha256}"):
        corpora.resolve(DataConfig(corpus="served"), tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.*"))


def test_no_network_and_no_cache(tmp_path, server, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="Cannot keep .*Not a directory"):
        corpora.resolve(DataConfig(corpus="served"), tmp_path / "file")
    nobody = named.PublicFile("http://127.0.0.1:1/x.txt", "0" * 64, 12)
    monkeypatch.setitem(named.NAMED, "served", {"train": nobody})
    with pytest.raises(UserError, match="Cannot download .*refused.*corpus=PATH") as error:
        corpora.resolve(DataConfig(corpus="served"), tmp_path / "cache")
    assert "\n" not in str(error.value)


def test_checksums_are_complete():
    for name, files in named.NAMED.items():
        assert "train" in files
        for file in files.values():
            assert len(bytes.fromhex(file.sha256)) == 32 and file.size > 0, name


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TFLM_CACHE", str(tmp_path))
    assert corpora.cache_folder() == tmp_path
    assert corpora.cache_folder("x") == Path("x")
    monkeypatch.delenv("TFLM_CACHE")
    assert corpora.cache_folder() == Path.home() / ".cache" / "tflm"


def test_python_docs(tmp_path):
    config = DataConfig()
    corpus = corpora.resolve(config, tmp_path)["train"]
    names = [file.name for file in corpus.files]
    assert len(names) == len(set(names)) and "json/decoder.py" in names
    assert not {"test", "tests", "site-packages"} & {part for n in names for part in n.split("/")}
    wanted = {"json/decoder.py", "textwrap.py", "pydoc_data/topics.py"}
    texts = {
        file.name: [document.text for document in corpora.documents(file, config)]
        for file in corpus.files
        if file.name in wanted
    }
    import textwrap

    (text,) = texts["textwrap.py"]
    assert textwrap.wrap.__doc__.split("\n")[0] in text
    assert text.startswith("textwrap\n********\n\nText wrapping and filling.")
    assert "class TextWrapper()" not in text and "class TextWrapper\n" in text
    assert "TextWrapper.wrap(self, text)\n\nwrap(text : string) -> [string]" in text
    assert texts["json/decoder.py"][0].startswith("json.decoder\n")
    topics = Path(sysconfig.get_paths()["stdlib"]) / "pydoc_data" / "topics.py"
    if topics.is_file():
        assert any(
            "with" in text and "context manager" in text for text in texts["pydoc_data/topics.py"]
        )


def test_python_docs_runs_nothing_and_survives_odd_sources():
    source = b'"""Doc \\ud800 end."""\nraise SystemExit\ndef f(a, *, b=1):\n    """Inner."""\n'
    (text,) = python_docs.texts(source, "odd/__init__.py")
    assert text == "odd\n***\n\nDoc ? end.\n\nf(a, *, b=1)\n\nInner.\n"
    assert list(python_docs.texts(b"print 'two'", "old.py")) == []
    assert list(python_docs.texts(b"x = 1", "bare.py")) == []
    topics = b"# made by Sphinx\ntopics = {'b': 'second', 'a': 'first'}"
    assert list(python_docs.texts(topics, "pydoc_data/topics.py")) == ["first", "second"]


def test_python_without_its_source(tmp_path):
    (tmp_path / "os.py").write_text('"""Alone."""')
    with pytest.raises(UserError, match="without its library's source.*config.data.corpus"):
        python_docs.source_files(tmp_path)


def test_no_tensorflow_in_the_room():
    for path in Path(corpora.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [getattr(node, "module", None)] + [alias.name for alias in node.names]
                assert not {"tensorflow", "keras"} & {str(name).split(".")[0] for name in names}
