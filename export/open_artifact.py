"""Opens one artifact as its user would and says what it computes: `python open_artifact.py REQUEST.json`.

Runs in a process of its own, with TensorFlow for a SavedModel, or with ai_edge_litert alone for a .tflite (TensorFlow's
own interpreter where that is not installed), and never with Keras or this project: what it says, a stranger gets.

The request names the artifact, its format, an .npz with token ids, and where to write the answer; see
`fresh_interpreter.py`.
Shapes: W windows, T time, V vocabulary, P prompts.
"""

import json
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    # The folder of this file must not hide packages of the same name as a file in it.
    sys.path = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]

import numpy as np  # noqa: E402

MEASURED_SECONDS = 0.2
ROUNDS = 3
SAVED_MODEL_PREFILL = 64
NEAREST_PRODUCTS = 1 << 22  # cosines that are computed at once


class SavedModelArtifact:
    """Signatures of a SavedModel, batch size 1 for the state."""

    def __init__(self, path):
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self.runtime = f"tensorflow {tf.__version__}"
        self.needs = []
        self.memory_before = resident_megabytes()
        start = time.perf_counter()
        try:
            self.loaded = tf.saved_model.load(path)
        except (tf.errors.OpError, RuntimeError, FileNotFoundError) as error:
            if "Op type not registered" not in str(error):
                raise
            import tensorflow_text  # noqa: F401

            self.needs = ["tensorflow_text"]
            self.memory_before = resident_megabytes()
            start = time.perf_counter()
            self.loaded = tf.saved_model.load(path)
        self.signatures = dict(self.loaded.signatures)
        self.load_seconds = time.perf_counter() - start
        self.tf = tf

    def call(self, name, **inputs):
        # Tensors stay what they are: a state that goes from call to call is never copied.
        inputs = {key: self.tf.convert_to_tensor(value) for key, value in inputs.items()}
        return self.signatures[name](**inputs)

    def describe(self):
        return {
            name: {
                "inputs": {
                    key: [spec.dtype.name, list(spec.shape)]
                    for key, spec in sorted(function.structured_input_signature[1].items())
                },
                "outputs": {
                    key: [tensor.dtype.name, list(tensor.shape)]
                    for key, tensor in sorted(function.structured_outputs.items())
                },
            }
            for name, function in self.signatures.items()
        }

    def initial_state(self, max_length):
        return self.call("initial_state", batch_size=np.int32(1), max_length=np.int32(max_length))

    def encode(self, source, max_length):
        source_ids = np.asarray([source], "int32")
        return self.call("encode", source_ids=source_ids, max_length=np.int32(max_length))

    def prefill_lengths(self, max_length):
        return (min(SAVED_MODEL_PREFILL, max_length),)

    def read(self, ids, state):
        if len(ids):
            token_ids = np.asarray([ids], "int32")
            state = self.call("prefill", token_ids=token_ids, position=np.int32(0), **state)
            del state["logits"]
        return state

    def prefill(self, ids, state):
        return self.call(
            "prefill", token_ids=np.asarray([ids], "int32"), position=np.int32(0), **state
        )

    def scores(self, windows, max_length):
        for window in windows:
            yield self.call("score", token_ids=window[None])["logits"][0].numpy()


class TFLiteArtifact:
    """Signature runners of a .tflite."""

    def __init__(self, path):
        try:
            import ai_edge_litert
            from ai_edge_litert.interpreter import Interpreter

            self.runtime = f"ai_edge_litert {getattr(ai_edge_litert, '__version__', '')}".strip()
        except ImportError:
            import tensorflow as tf

            Interpreter = tf.lite.Interpreter  # noqa: N806
            self.runtime = f"tensorflow {tf.__version__}"
        self.needs = []
        self.memory_before = resident_megabytes()
        start = time.perf_counter()
        self.interpreter = Interpreter(model_path=path, num_threads=1)
        self.runners = {
            name: self.interpreter.get_signature_runner(name)
            for name in self.interpreter.get_signature_list()
        }
        self.load_seconds = time.perf_counter() - start

    def call(self, name, **inputs):
        return self.runners[name](**inputs)

    def describe(self):
        def tensors(details):
            return {
                key: [np.dtype(value["dtype"]).name, [int(n) for n in value["shape"]]]
                for key, value in sorted(details.items())
            }

        return {
            name: {
                "inputs": tensors(runner.get_input_details()),
                "outputs": tensors(runner.get_output_details()),
            }
            for name, runner in self.runners.items()
        }

    def initial_state(self, max_length):
        details = self.runners["decode"].get_input_details()
        return {
            name: np.zeros(detail["shape"], detail["dtype"])
            for name, detail in details.items()
            if name not in ("token_ids", "position")
        }

    def encode(self, source, max_length):
        """Padded with 0 to the length that the file has."""
        shape = self.runners["encode"].get_input_details()["source_ids"]["shape"]
        source_ids = np.zeros(shape, "int32")
        source_ids[0, : len(source)] = source
        return self.call("encode", source_ids=source_ids)

    def prefill_lengths(self, max_length):
        lengths = [
            int(n.removeprefix("prefill_")) for n in self.runners if n.startswith("prefill_")
        ]
        return tuple(sorted(lengths, reverse=True))

    def read(self, ids, state):
        """In the largest chunks that fit, then token by token, as every user of such a file must."""
        position = 0
        for length in (*self.prefill_lengths(None), 1):
            name = f"prefill_{length}" if f"prefill_{length}" in self.runners else "decode"
            while position + length <= len(ids):
                chunk = np.asarray([ids[position : position + length]], "int32")
                state = self.call(name, token_ids=chunk, position=np.int32(position), **state)
                state.pop("logits", None)
                position += length
        return state

    def prefill(self, ids, state):
        return self.call(
            f"prefill_{len(ids)}",
            token_ids=np.asarray([ids], "int32"),
            position=np.int32(0),
            **state,
        )

    def scores(self, windows, max_length):
        for window in windows:
            state, logits = self.initial_state(max_length), []
            for position, token in enumerate(window):
                state = decode(self, token, position, state)
                logits.append(np.asarray(state.pop("logits"))[0, 0])
            yield np.stack(logits)


ARTIFACTS = {"saved_model": SavedModelArtifact, "tflite": TFLiteArtifact}


def decode(artifact, token, position, state):
    return artifact.call(
        "decode", token_ids=np.asarray([[token]], "int32"), position=np.int32(position), **state
    )


def language_model(artifact, request, arrays):
    """Logits, the sum of nats, greedy continuations and speeds."""
    max_length = request["max_length"]
    answer = speeds(artifact, max_length)
    if "generate" in request["ask"]:
        answer["generate_tokens_per_second"] = rate(lambda: generate(artifact, ["a"], 64)[1])
    answer["peak_memory_mb"] = peak_megabytes()
    windows, labels = arrays["windows"][:, :-1], arrays["windows"][:, 1:]
    kept, nats, choices = [], [], []
    for row, logits in enumerate(artifact.scores(windows, max_length)):
        if row < request["logits_of_windows"]:
            kept.append(logits)
        nats.append(negative_log_likelihood(logits, labels[row]))
        choices.append(logits.argmax(-1))
    forced = []
    for row in artifact.scores(arrays["continuations"], max_length):
        forced.append(row.argmax(-1))
    results = {
        "logits": np.stack(kept),
        "nats": np.stack(nats),
        "choices": np.stack(choices),
        "forced_choices": np.stack(forced),
    }
    for i, prompt in enumerate(request["prompt_ids"]):
        results[f"continuation_{i}"], results[f"first_logits_{i}"] = continue_greedily(
            artifact, prompt, request["new_tokens"], request["eos_id"], max_length
        )
    if "generate" in request["ask"]:
        completed, _ = generate(artifact, request["prompts"], request["new_tokens"])
        completed = {name: value.numpy() for name, value in completed.items()}
        answer["completions"] = [text.decode() for text in completed["completion"]]
        results["generated"] = completed["token_ids"]
        results["num_generated"] = completed["num_tokens"]
    return answer, results


def word_vectors(artifact, request, arrays):
    """Every vector, the nearest neighbours of some tokens, and the vectors of texts where it takes strings."""
    ids, words = arrays["token_ids"], arrays["neighbours_of"]
    results = {}
    if request["format"] == "saved_model":
        vectors = artifact.call("embed", token_ids=ids[None])["vectors"][0]
        at_once = max(NEAREST_PRODUCTS // len(ids), 1)
        rows = [
            artifact.call("nearest", token_ids=words[i : i + at_once], k=np.int32(request["k"]))
            for i in range(0, len(words), at_once)
        ]
        for name in {"embed_text", "embed_split_text"} & artifact.signatures.keys():
            results["text_vectors"] = artifact.call(name, text=request["texts"])["vectors"]
    else:
        rows = [artifact.call("embed", token_ids=i[None, None])["vectors"][0] for i in ids]
        vectors = np.concatenate(rows)
        rows = [artifact.call("nearest", token_ids=i[None]) for i in words]
    results |= {
        "vectors": vectors,
        "neighbours": np.concatenate([row["token_ids"] for row in rows]),
        "similarity": np.concatenate([row["similarity"] for row in rows]),
    }
    return {"peak_memory_mb": peak_megabytes()}, results


ANSWERS = {"language_model": language_model, "word_vectors": word_vectors}


def negative_log_likelihood(logits, labels):
    """(T, V) and (T,) -> nats (T,), in float64."""
    logits = logits.astype("float64")
    highest = logits.max(-1, keepdims=True)
    normalizer = np.log(np.exp(logits - highest).sum(-1)) + highest[:, 0]
    return normalizer - logits[np.arange(len(labels)), labels]


def generate(artifact, texts, max_tokens):
    """The outputs of the signature `generate`, greedy, and the number of new tokens."""
    completed = artifact.call(
        "generate",
        text=texts,
        max_tokens=np.int32(max_tokens),
        temperature=np.float32(0),
        top_k=np.int32(0),
        top_p=np.float32(1),
        min_p=np.float32(0),
        repetition_penalty=np.float32(1),
        seed=np.int32(0),
    )
    return completed, int(np.sum(completed["num_tokens"]))


def continue_greedily(artifact, prompt, new_tokens, eos_id, max_length):
    """The tokens behind a prompt, and the logits of the first of them."""
    state = artifact.read(prompt[:-1], artifact.initial_state(max_length))
    token, tokens, first = prompt[-1], [], None
    for position in range(len(prompt) - 1, len(prompt) - 1 + new_tokens):
        state = decode(artifact, token, position, state)
        logits = np.asarray(state.pop("logits"))[0, 0]
        first = logits if first is None else first
        token = int(logits.argmax())
        if token == eos_id:
            break
        tokens.append(token)
    return np.asarray(tokens, "int32"), first


def speeds(artifact, max_length):
    """Tokens per second of decode and prefill on one thread: the best of some rounds, the first call not counted."""
    state = artifact.initial_state(max_length)

    def decode_all():
        nonlocal state
        steps = min(max_length, 64)
        for position in range(steps):
            state = decode(artifact, 5, position, state)
            del state["logits"]
        return steps

    answer = {"decode_tokens_per_second": rate(decode_all)}
    lengths = artifact.prefill_lengths(max_length)
    if lengths:
        ids = [5] * lengths[0]
        empty = artifact.initial_state(max_length)

        def prefill_once():
            artifact.prefill(ids, empty)
            return len(ids)

        answer["prefill_tokens_per_second"] = rate(prefill_once)
        answer["prefill_length"] = lengths[0]
    return answer


def rate(function):
    function()
    best = 0.0
    for _ in range(ROUNDS):
        count, start = 0, time.perf_counter()
        while (passed := time.perf_counter() - start) < MEASURED_SECONDS:
            count += function()
        best = max(best, count / passed)
    return best


def resident_megabytes():
    return _status("VmRSS:")


def peak_megabytes():
    """Of this program alone: what getrusage says counts the process it was started from."""
    return _status("VmHWM:")


def _status(key):
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux
        return None
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def main(answers=ANSWERS):
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    artifact = ARTIFACTS[request["format"]](request["path"])
    with np.load(request["arrays"], allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    answer, results = answers[request["kind"]](artifact, request, arrays)
    foreign = {"tflm", "export", "trainers"} & {name.split(".")[0] for name in sys.modules}
    answer |= {
        "runtime": artifact.runtime,
        "needs": artifact.needs,
        "load_ms": 1000 * artifact.load_seconds,
        "memory_of_runtime_mb": artifact.memory_before,
        "signatures": artifact.describe(),
        "modules_of_this_project": sorted(foreign),
    }
    np.savez(request["results"], **results)
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
