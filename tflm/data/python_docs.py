"""The text that is always there: the documentation that ships with Python, about 2 MB.

The topics of the language reference (`pydoc_data/topics.py`) and the docstrings of the standard
library, each topic and each module one text. They are gathered from the source files with `ast`:
nothing is imported, so nothing runs. The text differs a little between versions of Python.
"""

import ast
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from tflm.errors import UserError

_LEFT_OUT = {
    "__pycache__",
    "dist-packages",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "test",
    "tests",
    "turtledemo",
}
# Below this the installation has no more than stubs of its library's source.
_LEAST_BYTES = 4_000_000


def standard_library_folder() -> Path:
    """Where the source of this Python's standard library lies."""
    return Path(sysconfig.get_paths()["stdlib"])


def source_files(library: Path) -> list[Path]:
    """The files to read, in order: the topics (where installed), then the library's modules by name.

    Raises:
        UserError: where this Python came without the source of its library.
    """
    modules = []
    for path in library.rglob("*.py"):
        parts = path.relative_to(library).parts
        if not any(part in _LEFT_OUT or part.startswith((".", "config-")) for part in parts):
            modules.append((parts, path))
    files = [path for _, path in sorted(modules)]
    if sum(path.stat().st_size for path in files) < _LEAST_BYTES:
        raise UserError(
            f"This Python came without its library's source in {library}, which the corpus "
            "'python_docs' is made of. Give a file or a folder of text with --config.data.corpus."
        )
    topics = library / "pydoc_data" / "topics.py"
    return [topics, *files] if topics.is_file() else files


def texts(source: bytes, name: str) -> Iterator[str]:
    """The texts in one source file: every topic, or the docstrings of one module (if it has any)."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return  # A template, or written for another version: no documentation to be had.
    if name.endswith("pydoc_data/topics.py"):
        yield from _topics(tree)
    elif docstrings := list(_docstrings(tree, "")):
        module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        text = f"{module}\n{'*' * len(module)}\n\n" + "\n\n".join(docstrings) + "\n"
        # A docstring about Unicode may hold half a surrogate pair, which no file can.
        yield text.encode("utf-8", "replace").decode("utf-8")


def _topics(tree: ast.Module) -> Iterator[str]:
    for statement in tree.body:
        value = getattr(statement, "value", None)
        if isinstance(value, ast.Dict):
            yield from (text for _, text in sorted(ast.literal_eval(value).items()))


def _docstrings(node, prefix: str) -> Iterator[str]:
    if docstring := ast.get_docstring(node):
        yield _heading(node, prefix) + docstring
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inside = isinstance(node, ast.ClassDef)
            yield from _docstrings(child, f"{prefix}{node.name}." if inside else prefix)


def _heading(node, prefix: str) -> str:
    if isinstance(node, ast.Module):
        return ""
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        return (
            f"class {prefix}{node.name}({bases})\n\n" if bases else f"class {prefix}{node.name}\n\n"
        )
    return f"{prefix}{node.name}({ast.unparse(node.args)})\n\n"
