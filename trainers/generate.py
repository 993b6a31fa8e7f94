"""Continue text with any run.

python -m trainers.generate --run_dir=runs/gpt --prompt="The function returns"
python -m trainers.generate --run_dir=runs/gpt --prompt_file=prompts.txt --temperature=0
echo -n "Once upon" | python -m trainers.generate --run_dir=runs/gpt --prompt=-
python -m trainers.generate --run_dir=runs/gpt --interactive
"""

import sys
import time
from pathlib import Path

from absl import flags

from tflm import program
from tflm.errors import UserError

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the run.")
_STEP = flags.DEFINE_integer(
    "step", None, "Checkpoint to use; the best one by default.", lower_bound=0
)
_PROMPT = flags.DEFINE_multi_string(
    "prompt", None, "Text to continue; - reads it from stdin. May be repeated."
)
_PROMPT_FILE = flags.DEFINE_string(
    "prompt_file", None, "File with one prompt a line, continued side by side."
)
_INTERACTIVE = flags.DEFINE_bool("interactive", False, "Ask for prompts until end of input.")
_MAX_TOKENS = flags.DEFINE_integer("max_tokens", 100, "Length of the continuation.", lower_bound=1)
_TEMPERATURE = flags.DEFINE_float("temperature", 0.8, "0 takes the most likely token each time.")
_TOP_K = flags.DEFINE_integer(
    "top_k", 0, "Draw from that many of the most likely tokens; 0 for all."
)
_TOP_P = flags.DEFINE_float(
    "top_p", 1.0, "Draw from the most likely tokens that hold this probability."
)
_MIN_P = flags.DEFINE_float(
    "min_p", 0.0, "Draw from tokens at least this likely, relative to the likeliest."
)
_PENALTY = flags.DEFINE_float(
    "repetition_penalty", 1.0, "Above 1 makes tokens already in the text less likely."
)
_STOP = flags.DEFINE_multi_string(
    "stop", [], "End before this string; \\n is a line break. May be repeated."
)
_SEED = flags.DEFINE_integer("seed", 0, "The same seed gives the same text.")
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ["float32", "mixed_bfloat16", "mixed_float16"], "Of the computation."
)


def read_prompts() -> list[str]:
    """The prompts that the flags name."""
    if _PROMPT_FILE.value and _PROMPT.value:
        raise UserError("--prompt and --prompt_file cannot both be given. Leave one of them out.")
    if _PROMPT_FILE.value:
        try:
            text = Path(_PROMPT_FILE.value).read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"Cannot read --prompt_file={_PROMPT_FILE.value}: {error.strerror}."
            ) from error
        except UnicodeDecodeError as error:
            raise UserError(
                f"--prompt_file={_PROMPT_FILE.value} is not UTF-8, first at byte {error.start}."
            ) from error
        if not text.strip():
            raise UserError(f"--prompt_file={_PROMPT_FILE.value} is empty. Give one prompt a line.")
        # Not splitlines(): a prompt may hold U+2028 and its like.
        return text.removesuffix("\n").split("\n")
    try:
        return [sys.stdin.read() if prompt == "-" else prompt for prompt in _PROMPT.value or []]
    except UnicodeDecodeError as error:
        raise UserError(
            f"The prompt on stdin is not UTF-8, first at byte {error.start}."
        ) from error


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. A prompt is given as --prompt=TEXT.")
    if not _RUN_DIR.value:
        raise UserError("--run_dir is missing. Give the folder of a trained run.")
    prompts = read_prompts()
    if not prompts and not _INTERACTIVE.value:
        raise UserError(
            "There is nothing to continue. Give --prompt, --prompt_file or --interactive."
        )
    program.load_backend()
    from tflm import run as runs
    from tflm.generation.decoding import Decoder
    from tflm.generation.sampling import SamplingConfig
    from tflm.generation.text import continue_texts
    from trainers.terminal import warn

    sampling = SamplingConfig(
        temperature=_TEMPERATURE.value,
        top_k=_TOP_K.value,
        top_p=_TOP_P.value,
        min_p=_MIN_P.value,
        repetition_penalty=_PENALTY.value,
        seed=_SEED.value,
    )
    run = runs.load(_RUN_DIR.value, _STEP.value, _PRECISION.value, say=warn)
    if not run.is_language_model:
        raise UserError(f"{_RUN_DIR.value} holds no language model: it has nothing to say.")
    longest = max((len(run.tokenizer.encode(prompt)) for prompt in prompts), default=0)
    if _INTERACTIVE.value:
        longest = max(longest, 512)
    decoder = Decoder(run.model, longest + 1 + _MAX_TOKENS.value)
    stop = tuple(text.replace("\\n", "\n") for text in _STOP.value)

    def complete(batch):
        """Streams a single prompt; several are printed whole, in order."""
        texts, started, count = list(batch), time.perf_counter(), 0
        if len(batch) == 1:
            print(batch[0], end="", flush=True)
        for pieces in continue_texts(
            decoder, run.tokenizer, batch, _MAX_TOKENS.value, sampling, stop
        ):
            count += 1
            texts = [text + piece for text, piece in zip(texts, pieces, strict=True)]
            if len(batch) == 1:
                print(pieces[0], end="", flush=True)
        if len(batch) == 1:
            print(flush=True)
        else:
            for text in texts:
                print(f"{text}\n---")
        speed = count * len(batch) / (time.perf_counter() - started)
        print(f"({speed:,.0f} tokens/s, compilation included)", file=sys.stderr)

    if prompts:
        complete(prompts)
    while _INTERACTIVE.value:
        try:
            prompt = input("> ")
        except (EOFError, KeyboardInterrupt):
            print()
            break
        complete([prompt])


def run():
    program.run(main)


if __name__ == "__main__":
    run()
