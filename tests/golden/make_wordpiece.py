"""Makes the golden files of tests/text/test_wordpiece.py: the ids of Hugging Face's two BertTokenizers.

In an environment of its own, with nothing of this project but this file and nasty_strings.py:

    pip install "transformers<5"
    PYTHONPATH=tests/text python tests/golden/make_wordpiece.py

`transformers` 4 still has the slow tokenizer in Python beside the fast one of `tokenizers`.
"""

import json
import pathlib
import unicodedata

import transformers
from nasty_strings import NASTY_STRINGS, random_strings

FOLDER = pathlib.Path(__file__).parent / "wordpiece"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
BERT_STRINGS = (
    "UNwant\u00e9d,running",
    "\tHeLLo!how  \n Are yoU?  ",
    "H\u00e9llo \u00c5ngstr\u00f6m na\u00efve co\u00f6perate",
    "e\u0301 vs \u00e9, o\u0308\u0304 and a\u0328\u0301",
    "\u1100\u1161\u11a8 \uac01 \ud55c\uad6d\uc5b4",
    "ah\u535a\u63a8zz \U00020000\U0002a6df\u4e00\u9fff\uf900 \u3007 \u3400",
    "\u3042\u3044\u30a2\u30a4 \u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8\u3002",
    "[SEP]",
    "[CLS] a [MASK] b [SEP] [PAD] [UNK] [unused1]",
    "a[MASK]b [MASK [SEP]] ##a ## # ##",
    "zero\u200bwidth\u200djoin\ufeffbom\u00adsoft\u2060word",
    "x" * 100,
    "x" * 101,
    "\u00e9" * 100 + " " + "\u00e9" * 101 + " " + "e\u0301" * 60,
    "\u4e2d" * 130,
    "$1,000.50 100% a_b^c~d`e|f<g>h=i+j \u20ac5 \u00a35 \u2014 \u2026 \u00b7 \u00bf",
    "\u3000\u00a0\u2003\u202f\u1680 spaces \x0b\x0c\x1c\x85 and\u2028lines\u2029",
    "\u01c5 \u0130I\u0131i \u00df\u1e9e \u03a3\u03c3\u03c2 \u039f\u0394\u039f\u03a3",
    "\ue000private\uf8ff \U000f0000\U0010fffd unassigned \u0378\u05ff \U0001f923 \U0001fae0",
    "\u0915\u094d\u0937\u093f \u0e01\u0e33 \u0ba8\u0bbf \u0f40\u0f72",
    "\u302e\u302f \uac00\u302f\u302e \U0001d15f\U0001d165\U0001d16e",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f \U0001f1e9\U0001f1ea",
)


def main():
    # Short ones: a megabyte of ids would show nothing more.
    texts = [text for text in (*BERT_STRINGS, *NASTY_STRINGS) if len(text) <= 250]
    texts += random_strings(40, seed=11, max_length=30)
    result = {"transformers": transformers.__version__, "unicode": unicodedata.unidata_version}
    result["texts"] = texts
    for name, lowercase in (("cased", False), ("uncased", True)):
        vocabulary = FOLDER / f"{name}.txt"
        pieces = _pieces(texts, lowercase)
        vocabulary.write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
        options = {"vocab_file": str(vocabulary), "do_lower_case": lowercase}
        fast = transformers.BertTokenizerFast(**options)
        slow = transformers.BertTokenizer(**options)
        for kind, tokenizer in (("fast", fast), ("slow", slow)):
            rows = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
            result[f"{name}_{kind}"] = rows
    text = json.dumps(result, separators=(",", ":"))
    (FOLDER / "ids.json").write_text(text + "\n", encoding="utf-8")


def _pieces(texts, lowercase):
    """Google's order: [PAD], unused ones, the other special ones, then pieces: characters, and some that are longer."""
    basic = transformers.models.bert.tokenization_bert.BasicTokenizer(do_lower_case=lowercase)
    words = [word for text in texts for word in basic.tokenize(text)]
    forms = [form for word in words for form in (word, unicodedata.normalize("NFD", word))]
    characters = {char for word in forms for char in word}
    # A part of the characters is unknown, and half of the others are so inside of words.
    known = sorted(char for char in characters if ord(char) < 0x250 or ord(char) % 7)
    inner = [char for char in known if ord(char) < 0x250 or ord(char) % 2]
    longer = {word[:n] for word in forms for n in (2, 3, 5) if n <= len(word) < 30}
    longer |= {"##" + word[-n:] for word in forms for n in (2, 3) if n < len(word) < 30}
    unused = [f"[unused{i}]" for i in range(9)]
    return [SPECIAL[0], *unused, *SPECIAL[1:], *known, *("##" + c for c in inner), *sorted(longer)]


if __name__ == "__main__":
    main()
