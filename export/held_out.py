"""What an artifact is proved on: text that the run was not trained on.

Shapes: W windows, T time, N tokens of the split.
"""

import dataclasses

import numpy as np

from tflm.errors import UserError

NUM_PROMPTS = 8
PROMPT_TOKENS = 24
NEW_TOKENS = 32
WINDOW_TOKENS = 64
NUM_WINDOWS = 32  # 2,048 tokens: the difference of two models on the same tokens needs no more


@dataclasses.dataclass
class HeldOut:
    """
    Attributes:
        windows: (W, T + 1) int32, read from an empty state: the first T are given, the last T predicted.
        num_bytes: UTF-8 bytes of the text of what is predicted.
        prompts: texts; the model reads BOS and their ids.
        prompt_ids: per prompt a list of ids, BOS first.
        new_tokens: how many are drawn behind each prompt.
    """

    windows: np.ndarray
    num_bytes: int
    prompts: list[str]
    prompt_ids: list[list[int]]
    new_tokens: int


def from_run(run, longest: int | None, progress=None) -> HeldOut:
    """From the test split of the run's own corpus, or its validation split where there is no test text.

    Args:
        run: a tflm.run.Run.
        longest: the most tokens of context that the artifact holds; None for any number.
    """
    store = run.open_store(progress)
    for name in ("test", "validation"):
        split = store.split(name)
        if len(split.tokens) >= 2 * NUM_PROMPTS:
            return from_tokens(split.tokens, split.document_starts, run.tokenizer, longest)
    raise UserError(
        "The corpus of this run has no held-out text to prove an export with. "
        "Train with a larger data.test_fraction."
    )


def from_tokens(tokens, document_starts, tokenizer, longest: int | None) -> HeldOut:
    """Cuts windows and prompts evenly out of a split.

    Args:
        tokens: (N,) integers: bos, ids..., eos of every document.
        document_starts: where each bos stands.
        tokenizer: a tflm tokenizer.
        longest: as in `from_run`.
    """
    length = min(WINDOW_TOKENS, len(tokens) - 1, longest or WINDOW_TOKENS)
    count = max(1, min(NUM_WINDOWS, (len(tokens) - 1) // length))
    starts = np.linspace(0, len(tokens) - 1 - length, count).astype("int64")
    windows = np.stack([np.asarray(tokens[s : s + length + 1]) for s in starts]).astype("int32")
    num_bytes = sum(len(tokenizer.decode(row[1:].tolist()).encode()) for row in windows)

    # A prompt and what follows it stay within the context.
    prompt_tokens, new_tokens = PROMPT_TOKENS, NEW_TOKENS
    if longest is not None:
        prompt_tokens = min(prompt_tokens, max(longest // 2 - 1, 1))
        new_tokens = min(new_tokens, max(longest - prompt_tokens - 2, 1))
    prompts = _prompts(tokens, document_starts, tokenizer, prompt_tokens)
    prompt_ids = [[tokenizer.bos_id, *tokenizer.encode(prompt)] for prompt in prompts]
    return HeldOut(windows, max(num_bytes, 1), prompts, prompt_ids, new_tokens)


def _prompts(tokens, document_starts, tokenizer, prompt_tokens) -> list[str]:
    """Beginnings of documents; places inside them where there are too few. Texts, so that encoding is proved too."""
    if len(document_starts) >= NUM_PROMPTS:
        chosen = np.linspace(0, len(document_starts) - 1, NUM_PROMPTS).astype("int64")
        places = np.asarray(document_starts)[chosen]
    else:
        places = np.linspace(0, max(len(tokens) - prompt_tokens, 0), NUM_PROMPTS).astype("int64")
    prompts = []
    for place in places:
        # As many tokens as are left of one when the text is encoded again: its end may fall into other pieces.
        ids = [int(i) for i in tokens[place : place + prompt_tokens] if i > 3]
        text = tokenizer.decode(ids)
        while ids and len(tokenizer.encode(text)) > prompt_tokens:
            ids = ids[:-1]
            text = tokenizer.decode(ids)
        prompts.append(text)
    return prompts
