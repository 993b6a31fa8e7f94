"""Continue text with any run; translate or summarise with a run that has learnt to.

python -m trainers.generate --run_dir=runs/gpt --prompt="The function returns"
python -m trainers.generate --run_dir=runs/gpt --prompt_file=prompts.txt --temperature=0
echo -n "Once upon" | python -m trainers.generate --run_dir=runs/gpt --prompt=-
python -m trainers.generate --run_dir=runs/gpt --interactive
python -m trainers.generate --run_dir=runs/de_en --prompt="Ein Hund schläft."
python -m trainers.generate --run_dir=runs/de_en --input_file=in.txt --output_file=out.txt --beam_size=5
python -m trainers.generate --run_dir=runs/a,runs/b --average_checkpoints=5 --input_file=in.txt --output_file=out.txt
"""

import sys

from absl import flags

from tflm import program
from tflm.errors import UserError
from trainers.input_file import read_lines

_RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "Folder of the run; several with commas between them speak as an ensemble."
)
_STEP = flags.DEFINE_integer(
    "step", None, "Checkpoint to use; the best one by default.", lower_bound=0
)
_AVERAGE = flags.DEFINE_integer(
    "average_checkpoints", 1, "Use the mean weights of so many of the last checkpoints.", 1
)
_PROMPT = flags.DEFINE_multi_string(
    "prompt", None, "Text to continue; - reads it from stdin. May be repeated."
)
_PROMPT_FILE = flags.DEFINE_string(
    "prompt_file", None, "File with one prompt a line, continued side by side."
)
_INTERACTIVE = flags.DEFINE_bool("interactive", False, "Ask for prompts until end of input.")
_INPUT_FILE = flags.DEFINE_string(
    "input_file", None, "A UTF-8 file; each line gives one line of --output_file."
)
_OUTPUT_FILE = flags.DEFINE_string(
    "output_file", None, "Written beside and renamed at the end; a killed run goes on where it was."
)
_MAX_TOKENS = flags.DEFINE_integer(
    "max_tokens", None, "Length at most; 100 for a continuation, 256 for a translation.", 1
)
_BEAM_SIZE = flags.DEFINE_integer(
    "beam_size",
    None,
    "Hypotheses of the beam search; 1 is greedy. A translation's default is 4.",
    1,
)
_LENGTH_PENALTY = flags.DEFINE_float(
    "length_penalty", 0.6, "Of the beam search; larger prefers longer texts, 0 counts nothing.", 0
)
_N_BEST = flags.DEFINE_integer(
    "n_best", 1, "Give so many candidates of the beam: line, score and text, tabs between them.", 1
)
_MIN_TOKENS = flags.DEFINE_integer("min_tokens", 0, "Of the beam search: length at least.", 0)
_NO_REPEAT = flags.DEFINE_integer(
    "no_repeat_ngram", 0, "Of the beam search: no so many tokens come twice in a text; 0: may.", 0
)
_TRUNCATE = flags.DEFINE_bool(
    "truncate", False, "Cut a source that is longer than the model's limit, instead of an error."
)
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
        return read_lines(_PROMPT_FILE.value, "--prompt_file", "prompt")
    try:
        return [sys.stdin.read() if prompt == "-" else prompt for prompt in _PROMPT.value or []]
    except UnicodeDecodeError as error:
        raise UserError(
            f"The prompt on stdin is not UTF-8, first at byte {error.start}."
        ) from error


def search_of(reads_sources: bool):
    """The BeamConfig or DrawConfig that the flags ask for; a continuation is drawn unless they name a beam."""
    from tflm.generation.beam import BeamConfig
    from tflm.generation.sampling import SamplingConfig
    from tflm.generation.translate import DrawConfig

    beam, drawn = (
        next((flag.name for flag in some if flags.FLAGS[flag.name].present), None)
        for some in (
            (_BEAM_SIZE, _LENGTH_PENALTY, _N_BEST, _MIN_TOKENS, _NO_REPEAT),
            (_TEMPERATURE, _TOP_K, _TOP_P, _MIN_P, _PENALTY, _STOP),
        )
    )
    if beam and drawn:
        raise UserError(
            f"--{beam} is of the beam search, --{drawn} of sampling. Leave one of them out."
        )
    max_tokens = _MAX_TOKENS.value or (256 if reads_sources else 100)
    if beam or (reads_sources and not drawn):
        return BeamConfig(
            beam_size=_BEAM_SIZE.value or max(4, _N_BEST.value),
            num_best=_N_BEST.value,
            length_penalty=_LENGTH_PENALTY.value,
            max_length=max_tokens,
            min_length=_MIN_TOKENS.value,
            no_repeat_ngram=_NO_REPEAT.value,
        )
    sampling = SamplingConfig(
        temperature=_TEMPERATURE.value,
        top_k=_TOP_K.value,
        top_p=_TOP_P.value,
        min_p=_MIN_P.value,
        repetition_penalty=_PENALTY.value,
        seed=_SEED.value,
    )
    return DrawConfig(sampling, max_tokens)


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. A prompt is given as --prompt=TEXT.")
    if not _RUN_DIR.value:
        raise UserError("--run_dir is missing. Give the folder of a trained run.")
    prompts = read_prompts()
    if not (prompts or _INTERACTIVE.value or _INPUT_FILE.value):
        raise UserError(
            "There is nothing to continue. Give --prompt, --prompt_file, --interactive, or --input_file."
        )
    if bool(_INPUT_FILE.value) != bool(_OUTPUT_FILE.value):
        raise UserError("--input_file and --output_file belong together. Give both.")
    if _INPUT_FILE.value and (prompts or _INTERACTIVE.value or _STOP.value):
        raise UserError("--input_file takes neither prompts nor --stop. Leave them out.")
    program.load_backend()
    from trainers import answers, output_file, speakers
    from trainers.terminal import warn

    if _OUTPUT_FILE.value:
        output_file.check(_OUTPUT_FILE.value, "--output_file")
    speaker = speakers.load(_RUN_DIR.value, _STEP.value, _PRECISION.value, _AVERAGE.value, say=warn)
    search = search_of(speaker.reads_sources)
    if _INPUT_FILE.value:
        answers.to_file(
            speaker,
            search,
            _INPUT_FILE.value,
            _OUTPUT_FILE.value,
            _N_BEST.value > 1,
            _TRUNCATE.value,
        )
        return
    stop = tuple(text.replace("\\n", "\n") for text in _STOP.value)
    answer = answers.to_terminal(
        speaker, search, prompts, stop, _INTERACTIVE.value, _TRUNCATE.value
    )
    if prompts:
        answer(prompts)
    while _INTERACTIVE.value:
        try:
            prompt = input("> ")
        except (EOFError, KeyboardInterrupt):
            print()
            break
        answer([prompt])


def run():
    program.run(main)


if __name__ == "__main__":
    run()
