"""The rooms import downward only (an ast walk), and what may never appear appears nowhere."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("tflm", "trainers", "export", "benchmarks", "tests")
MAX_LINES = 400

# module prefix -> the modules of this project it may import (prefixes); the longest matching prefix counts.
ALLOWED = {
    "tflm": (),
    "tflm.errors": (),
    "tflm.run_kind": (),
    "tflm.config": ("tflm.errors",),
    "tflm.backend": ("tflm.errors",),
    "tflm.program": ("tflm.errors",),
    "tflm.text": ("tflm.text", "tflm.errors", "tflm.config"),
    "tflm.data": ("tflm.data", "tflm.text", "tflm.errors", "tflm.config"),
    "tflm.vectors": ("tflm.vectors", "tflm.text", "tflm.errors", "tflm.config"),
    "tflm.layers": ("tflm.layers", "tflm.backend", "tflm.errors", "tflm.config"),
    "tflm.models": ("tflm.models", "tflm.layers", "tflm.errors", "tflm.config"),
    "tflm.models.fasttext": ("tflm.models", "tflm.text", "tflm.errors", "tflm.config"),
    "tflm.huggingface": ("tflm.huggingface", "tflm.models", "tflm.errors"),
    "tflm.generation": ("tflm.generation", "tflm.backend", "tflm.errors", "tflm.config"),
    "tflm.metrics": ("tflm.metrics", "tflm.backend", "tflm.errors", "tflm.config"),
    "tflm.metrics.rouge": ("tflm.metrics", "tflm.text", "tflm.errors", "tflm.config"),
    "tflm.checkpoint_mean": ("tflm.errors",),
    "tflm.durable_files": (),
    "tflm.run_stores": ("tflm.data", "tflm.errors", "tflm.config"),
    "tflm.run": (
        "tflm.run_kind",
        "tflm.run_stores",
        "tflm.checkpoint_mean",
        "tflm.durable_files",
        "tflm.models",
        "tflm.data",
        "tflm.text",
        "tflm.errors",
        "tflm.config",
    ),
    "trainers": ("tflm", "trainers"),
    "export": ("tflm", "export"),
    "benchmarks": ("tflm", "trainers", "export", "benchmarks"),
    "tests": ("tflm", "trainers", "export", "benchmarks", "tests"),
}
HEAVY = ("tensorflow", "keras", "keras_hub", "keras_nlp", "jax", "torch")
# module prefix -> the heavy packages it may import, at the top or late.
HEAVY_ALLOWED = {
    "tflm": HEAVY,
    "tflm.text": ("tensorflow",),  # the twins in the graph
    "tflm.data": (),
    "tflm.vectors": (),
    "tflm.layers": ("keras",),
    "tflm.models": ("keras",),
    "tflm.generation": ("keras",),
    "tflm.metrics": ("keras",),
    "tflm.run": ("keras",),
    "trainers": HEAVY,
    "export": HEAVY,
    "benchmarks": HEAVY,
    "tests": HEAVY,
}
# Importing these must stay instant: heavy packages only inside functions.
LIGHT = (
    "tflm",
    "tflm.errors",
    "tflm.config",
    "tflm.program",
    "tflm.run",
    "tflm.text.tokenizer",
    "tflm.data",
    "tflm.vectors",
    "tflm.models",
    "trainers.recipes",
)


def source_files():
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, late: bool = True):
    """Every imported module by its full name; with late=False only those imported with the module."""
    late_nodes = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            late_nodes.update(ast.walk(node))
    for node in ast.walk(tree):
        if node in late_nodes and not late:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def within(module: str, prefixes) -> bool:
    return any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes)


def longest(table: dict, module: str):
    return table[max((prefix for prefix in table if within(module, [prefix])), key=len)]


FILES = list(source_files())
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def test_there_is_something_to_look_at():
    assert len(FILES) > 60
    assert {module_name(path).split(".")[0] for path in FILES} >= {"tflm", "trainers", "export"}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_run_downward(path):
    module = module_name(path)
    allowed = (*longest(ALLOWED, module), module)
    # `from tflm import x` names the module tflm.x; the package itself holds nothing but the version.
    ours = {name for name in imports(TREES[path]) if within(name, ROOMS)}
    packages = {"tflm", "trainers", "export", "benchmarks", "tests"}
    wrong = {name for name in ours if name not in packages and not within(name, allowed)}
    assert not wrong, f"{module} may import {allowed} only"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_heavy_packages_stay_where_they_belong(path):
    module = module_name(path)
    allowed = longest(HEAVY_ALLOWED, module)
    wrong = {
        name for name in imports(TREES[path]) if within(name, HEAVY) and not within(name, allowed)
    }
    assert not wrong, f"{module} may import {allowed} only"
    if module in LIGHT or within(module, ["tflm.data"]):
        eager = {name for name in imports(TREES[path], late=False) if within(name, HEAVY)}
        assert not eager, f"{module} must import these late"


def test_the_walk_sees_a_wrong_import():
    tree = ast.parse("def f():\n    from trainers import fit\nimport keras.ops\n")
    assert {"trainers", "trainers.fit", "keras.ops"} == set(imports(tree))
    assert {"keras.ops"} == set(imports(tree, late=False))
    assert longest(ALLOWED, "tflm.data.store") == ALLOWED["tflm.data"]
    assert not within("tflm.database", ["tflm.data"])


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_file_has_one_subject(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    name = path.stem
    assert name not in ("utils", "util", "common", "helpers", "misc")
    assert not name.startswith("base_")
    assert "common" not in path.relative_to(ROOT).parts


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_nothing_is_pickled_or_evaluated(path):
    """Text from a file never becomes code: no pickle in any disguise, no eval."""
    pickles = ("pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "torch")
    used = {name for name in imports(TREES[path]) if within(name, pickles)}
    if within(module_name(path), ["tests", "benchmarks"]):
        used -= {name for name in used if within(name, ("pickle", "torch"))}
    assert not used
    for node in ast.walk(TREES[path]):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        assert called not in ("eval", "exec", "torch.load", "__import__"), ast.unparse(node)
        if called.endswith((".load", ".save")) and called.startswith(("np.", "numpy.")):
            allow = [k.value for k in node.keywords if k.arg == "allow_pickle"]
            assert not any(getattr(value, "value", True) for value in allow), ast.unparse(node)
        assert not called.endswith("load_model"), "Keras' loader runs code from the file"
