"""What `open_artifact.py` is for other artifacts, for one that translates: `python open_translator.py REQUEST.json`.

One source after the other, as on a phone: the source is read by `encode` (by a model without an encoder as the
beginning of the text), then `decode` goes token by token through what the held-out target says, or what is most likely.

Shapes: N tokens of all targets, T tokens of one, V vocabulary.
"""

import sys
import time
from pathlib import Path

# What lies beside this file is found, and hides no package of the same name.
_FOLDER = Path(__file__).resolve().parent
sys.path = [p for p in sys.path if Path(p or ".").resolve() != _FOLDER] + [str(_FOLDER)]

import numpy as np  # noqa: E402
import open_artifact  # noqa: E402

SPEED_TOKENS = 64
WARM_UP_TOKENS = 2


def translator(artifact, request, arrays):
    """Logits along held-out targets, greedy translations by ids, texts where it takes strings, and speeds."""
    reader = (Prompted if request["prompted"] else Encoded)(artifact, request)
    answer = reader.speeds()
    answer["peak_memory_mb"] = open_artifact.peak_megabytes()
    sources, targets = _rows(arrays, "source"), _rows(arrays, "target")
    kept, nats, choices, scored = [], [], [], []
    for i, (source, target) in enumerate(zip(sources, targets, strict=True)):
        if i == request["num_forced"]:
            break
        logits = reader.along(source, target)
        if i < request["num_kept"]:
            kept.append(logits)
            if "score" in request["ask"]:
                scored.append(reader.score(source, target))
        nats.append(open_artifact.negative_log_likelihood(logits, np.asarray(target)))
        choices.append(logits.argmax(-1))
    results = {
        "logits": np.concatenate(kept),
        "nats": np.concatenate(nats),
        "choices": np.concatenate(choices),
    }
    if scored:
        results["score_logits"] = np.concatenate(scored)
    start = time.perf_counter()
    greedy = [reader.greedily(source) for source in sources]
    seconds = time.perf_counter() - start
    results["greedy"] = np.asarray([token for row in greedy for token in row], "int32")
    results["greedy_lengths"] = np.asarray([len(row) for row in greedy])
    # Reading the source included; eos, which ends a row, is a step too.
    answer["greedy_tokens_per_second"] = (len(results["greedy"]) + len(greedy)) / seconds
    if "translate" in request["ask"]:
        answer |= _translations(artifact, request)
    return answer, results


def _translations(artifact, request):
    """What `translate` makes of strings, by the beam that is in the graph."""
    texts, size = request["texts"], request["texts_at_once"]

    def translate(some, max_tokens):
        found = artifact.call("translate", text=some, max_tokens=np.int32(max_tokens))
        return [text.decode() for text in found["text"].numpy()]

    translate(texts[:size], WARM_UP_TOKENS)
    start, found = time.perf_counter(), []
    for first in range(0, len(texts), size):
        found += translate(texts[first : first + size], request["new_tokens"])
    return {
        "translations": found,
        "texts_per_second": len(texts) / (time.perf_counter() - start),
    }


class Encoded:
    """A source goes through `encode`."""

    def __init__(self, artifact, request):
        self.artifact, self.request = artifact, request
        self.max_length = request["max_length"]

    def begin(self, source):
        """The state behind the source, the token to go on from, and its position."""
        return self.artifact.encode(source, self.max_length), self.request["bos_id"], 0

    def score(self, source, target):
        """(T, V): the logits of every token of the target at once."""
        token_ids = np.asarray([[self.request["bos_id"], *target[:-1]]], "int32")
        source_ids = np.asarray([source], "int32")
        answer = self.artifact.call("score", source_ids=source_ids, token_ids=token_ids)
        return answer["logits"][0].numpy()

    def advance(self, state, token, position):
        """The logits (V,) behind a token, and the state: a step hands out only what it changed."""
        changed = dict(open_artifact.decode(self.artifact, token, position, state))
        return np.asarray(changed.pop("logits"))[0, 0], {**state, **changed}

    def along(self, source, target):
        """(T, V): the logits of every token of the target, step by step."""
        state, token, position = self.begin(source)
        logits = []
        for i, following in enumerate(target):
            row, state = self.advance(state, token, position + i)
            logits.append(row)
            token = following
        return np.stack(logits)

    def greedily(self, source):
        """The most likely tokens, ended before eos."""
        state, token, position = self.begin(source)
        tokens = []
        for i in range(self.request["new_tokens"]):
            logits, state = self.advance(state, token, position + i)
            token = int(logits.argmax())
            if token == self.request["eos_id"]:
                break
            tokens.append(token)
        return tokens

    def speeds(self):
        """Tokens per second of reading a source of the longest kind, and of steps behind it."""
        source = [5] * self.request["source_length"]
        steps = min(self.max_length, SPEED_TOKENS)
        state, token, position = self.begin(source)

        def encode():
            self.begin(source)
            return len(source)

        def decode():
            after = state
            for i in range(steps):
                _, after = self.advance(after, token, position + i)
            return steps

        return {
            "encode_tokens_per_second": open_artifact.rate(encode),
            "encode_length": len(source),
            "decode_tokens_per_second": open_artifact.rate(decode),
        }


class Prompted(Encoded):
    """A source is the beginning of a text, BOS first."""

    def begin(self, source):
        empty = self.artifact.initial_state(self.max_length)
        return self.artifact.read(source[:-1], empty), source[-1], len(source) - 1

    def score(self, source, target):
        row = np.asarray([[*source, *target[:-1]]], "int32")
        return self.artifact.call("score", token_ids=row)["logits"][0, len(source) - 1 :].numpy()

    def speeds(self):
        return open_artifact.speeds(self.artifact, self.max_length)


def _rows(arrays, name):
    ends = np.cumsum(arrays[f"{name}_lengths"])
    return [row.tolist() for row in np.split(arrays[f"{name}_ids"], ends[:-1])]


if __name__ == "__main__":
    open_artifact.main({"translator": translator})
