"""Strings that break tokenizers, and seeded random ones; import as `from nasty_strings import ...`."""

import random

NASTY_STRINGS = (
    "",
    "a",
    " ",
    "  ",
    "   runs   of    spaces   ",
    "\n",
    "\n\n\n",
    "\t\t",
    "line one\r\nline two\r\n\r\n",
    "old mac\rlines\r",
    "  indented\n\tcode():\n\t\treturn  1  # two\n",
    "\0",
    "a\0b\0\0",
    "\x01\x02\x07\x08\x0b\x0c\x1a\x1b\x1c\x1e\x1f\x7f\x80\x85\x9f",
    "\x1a",
    "\x1a0",
    "\x1a1",
    "\x1a\x1a01\x1a",
    "\u2581",
    "\u2581a \u2581\u2581 b\u2581",
    "\x1a\u25811\x1a0\u2581",
    "\u2585 \u2588",
    "<s>",
    "</s>",
    "<unk>",
    "<pad>",
    "<s>hello</s> <unk><pad> <s> <unk>",
    "<0x41><0x0A>",
    "\u2047 \u2047",
    "é",
    "e\u0301 a\u0300\u0301\u0316 \u0301",
    "ﬁ Ⅷ ① ㎏ ２０２４ Ｆｕｌｌ　ｗｉｄｔｈ",
    "ΣΑΣ ΟΔΟΣ İstanbul IĞDIR ẞ Ǆ",
    "日本語のテキスト、句読点。",
    "中文分词很难，是吗？“是的”。混合 English 2024年",
    "한국어 텍스트 \u1112\u1161\u11ab",
    "ภาษาไทย हिन्दी العربية עברית",
    "👨‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇩🇪",
    "\u200b\u200d\u200e\u202e\ufeffbom",
    "\u2028line\u2029paragraph\u00a0nbsp\u3000ideographic",
    "\ufffd \ufffe \uffff",
    "\ud7ff\ue000\U00010000\U0010ffff",
    "\U0001ccd6\U0001e030 unassigned in old versions of Unicode \U000105d2\u0307",
    "don't \"quote\" (brackets) [x]{y}: a, b; c. d! e? it's 3.14% off…",
    "snake_case CamelCase x1y2 1234567890",
    "-" * 100,
    "=" * 57 + "\n" + "*" * 33,
    "ab" * 3000,
    " " * 5000 + "x",
    "a long line " * 1000 + "\n" + "more " * 2000,
)

# A megabyte on one line, and the same in Chinese without a space.
LONG_STRINGS = ("x" * 1_000_000, "To be, or not to be: " * 48_000, "天地玄黄宇宙洪荒" * 42_000)

INVALID_UTF8 = (
    b"\xff",
    b"a\x80b",
    b"\xe4\xb8",
    b"\xe4\xb8\xe4\xb8\xad",
    b"\xed\xa0\x80",  # a surrogate
    b"\xf0\x9f\x98",
    b"\xc0\x80",  # overlong
    b"\xf5\x80\x80\x80",
    b"ok \xe2\x96 \xe2\x96\x81 \xfe\n\xff",
)


def random_strings(count: int, seed: int, max_length: int = 120) -> list[str]:
    """Strings of characters from all over Unicode, ASCII and white space more often."""
    generator = random.Random(seed)
    ranges = (
        (0x20, 0x7F),
        (0x20, 0x7F),
        (0x00, 0x20),
        (0x80, 0x800),
        (0x800, 0x3000),
        (0x3000, 0xA000),
        (0xA000, 0xD800),
        (0xE000, 0x10000),
        (0x10000, 0x20000),
        (0x20000, 0x110000),
    )
    strings = []
    for _ in range(count):
        few = generator.sample(ranges, 3)
        length = generator.randrange(max_length)
        strings.append(
            "".join(
                " "
                if generator.random() < 0.1
                else chr(generator.randrange(*generator.choice(few)))
                for _ in range(length)
            )
        )
    return strings
