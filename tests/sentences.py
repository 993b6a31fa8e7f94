"""Text for tests: sentences of a small grammar, so that a model has something to learn in a few steps."""

import random

SUBJECTS = ("the cat", "a small dog", "my neighbour", "the old captain", "nobody", "你好世界")
VERBS = ("sees", "follows", "remembers", "paints", "forgets", "hears")
OBJECTS = ("the sea", "a red house", "every letter", "the naïve café", "two birds", "the road home")


def paragraphs(count: int, seed: int, sentences: int = 6) -> list[str]:
    """`count` different paragraphs of about 200 bytes, a pure function of the arguments."""
    source = random.Random(seed)
    return [
        f"{number}. "
        + " ".join(
            f"{source.choice(SUBJECTS)} {source.choice(VERBS)} {source.choice(OBJECTS)}."
            for _ in range(sentences)
        )
        for number in range(count)
    ]
