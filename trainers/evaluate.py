"""Score a run on a split of its own text, or on any other text; and word vectors, of a run or of a file.

python -m trainers.evaluate --run_dir=runs/gpt --split=test
python -m trainers.evaluate --run_dir=runs/gpt --file=novel.txt --output=novel.json
python -m trainers.evaluate --run_dir=runs/word2vec --similarity=wordsim353.tsv,men.txt --analogies=questions-words.txt
python -m trainers.evaluate --run_dir=runs/de_en --split=test --beam_size=5 --average_checkpoints=5
python -m trainers.evaluate --run_dir=runs/a,runs/b --file=flickr2016.de,flickr2016.en
python -m trainers.evaluate --vectors=vectors.bin --nearest=king,queen --probe_train=train.tsv --probe_test=test.tsv

A run that translates or summarises is scored by what it writes, too: BLEU and chrF with their signatures, or ROUGE.
Several such runs with commas between them speak as an ensemble.

With a task of word vectors (--similarity, --analogies, --nearest, --probe_train) a run's text is only scored where
--split or --file is given.
"""

from absl import flags

from tflm import program
from tflm.errors import UserError
from trainers import output_file

_RUN_DIR = flags.DEFINE_string(
    "run_dir",
    None,
    "Folder of the run; its best checkpoint is scored. Of runs that translate also several, an ensemble.",
)
_VECTORS = flags.DEFINE_string(
    "vectors", None, "A file of word vectors instead of a run: word2vec, GloVe or fastText."
)
_SPLIT = flags.DEFINE_enum(
    "split", "validation", ["train", "validation", "test"], "A split of the text it was trained on."
)
_FILE = flags.DEFINE_string("file", None, "A text file or folder to score instead of a split.")
_BEAM_SIZE = flags.DEFINE_integer(
    "beam_size", 4, "Hypotheses of the beam search of a run that translates; 1 is greedy.", 1
)
_LENGTH_PENALTY = flags.DEFINE_float(
    "length_penalty", 0.6, "Of that beam search; larger prefers longer texts.", lower_bound=0.0
)
_AVERAGE = flags.DEFINE_integer(
    "average_checkpoints", 1, "Score the mean weights of so many of the last checkpoints.", 1
)
_OUTPUT = flags.DEFINE_string("output", None, "A JSON file to write the numbers to.")
_SIMILARITY = flags.DEFINE_list(
    "similarity", None, "Similarity sets, one file each: word, word, score. Spearman's correlation."
)
_ANALOGIES = flags.DEFINE_list(
    "analogies", None, "Analogy sets, one file each, as questions-words.txt. 3CosAdd and 3CosMul."
)
_NEAREST = flags.DEFINE_list("nearest", None, "Words whose nearest words are shown.")
_PROBE_TRAIN = flags.DEFINE_string(
    "probe_train", None, "Labelled texts that a linear classifier on mean vectors learns from."
)
_PROBE_TEST = flags.DEFINE_string("probe_test", None, "Labelled texts that it is tested on.")
_LIMIT = flags.DEFINE_integer(
    "limit", 300_000, "Only so many of the first words, the most frequent, count.", lower_bound=1
)
_IGNORE_CASE = flags.DEFINE_bool(
    "ignore_case", True, "Whether words of the sets find words that differ in case alone."
)
_WORD_SPLIT = flags.DEFINE_enum(
    "word_split",
    "words",
    ["words", "whitespace", "jieba"],
    "How texts of the probe are cut into words for --vectors; a run has its tokenizer.",
)


def check_flags() -> None:
    """Raises UserError for flags that are missing or exclude each other."""
    if not _RUN_DIR.value and not _VECTORS.value:
        raise UserError(
            "--run_dir is missing. Give the folder of a run, for example runs/gpt, or --vectors."
        )
    if _RUN_DIR.value and _VECTORS.value:
        raise UserError("--run_dir and --vectors cannot both be given. Leave one of them out.")
    if _FILE.value is not None and _SPLIT.present:
        raise UserError("--split and --file cannot both be given. Leave one of them out.")
    for flag in (_SIMILARITY, _ANALOGIES, _NEAREST):
        if flag.present and not _listed(flag):
            raise UserError(f"--{flag.name} is empty. Give one or more, with commas between them.")
    for one, other in ((_PROBE_TRAIN, _PROBE_TEST), (_PROBE_TEST, _PROBE_TRAIN)):
        if one.value and not other.value:
            raise UserError(f"--{one.name} needs --{other.name} beside it. Give both.")
    if _VECTORS.value and (_SPLIT.present or _FILE.value is not None):
        flag = "--split" if _SPLIT.present else "--file"
        raise UserError(
            f"{flag} is for a run; --vectors has no text to be scored on. Leave it out."
        )
    if _VECTORS.value and not _wants_words():
        raise UserError(
            "There is nothing to measure of --vectors. Give --similarity, --analogies, --nearest, or --probe_train "
            "with --probe_test."
        )
    if _RUN_DIR.value and _WORD_SPLIT.present:
        raise UserError("--word_split is for --vectors; a run has its own tokenizer. Leave it out.")
    if _OUTPUT.value:
        output_file.check(_OUTPUT.value, "--output")


def _listed(flag) -> list[str]:
    return [item.strip() for item in flag.value or () if item.strip()]


def _wants_words() -> bool:
    return bool(_SIMILARITY.value or _ANALOGIES.value or _NEAREST.value or _PROBE_TRAIN.value)


def read_tasks():
    """The tasks of word vectors that the flags name, or None."""
    from trainers.evaluation import word_vectors

    if not _wants_words():
        return None
    return word_vectors.read_tasks(
        _listed(_SIMILARITY),
        _listed(_ANALOGIES),
        (_PROBE_TRAIN.value, _PROBE_TEST.value) if _PROBE_TRAIN.value else None,
        nearest=_listed(_NEAREST),
        limit=_LIMIT.value,
        ignore_case=_IGNORE_CASE.value,
        word_split=_WORD_SPLIT.value,
    )


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. Everything is a flag, see --help.")
    check_flags()
    tasks = read_tasks()  # a wrong file is told at once, before anything takes time
    if _RUN_DIR.value:
        program.load_backend()
    from trainers.evaluation import results

    if _VECTORS.value:
        result = results.evaluate_vectors(_VECTORS.value, tasks)
    elif _translates():
        result = _evaluate_translation()
    else:
        scores_text = tasks is None or _SPLIT.present
        split = _SPLIT.value if scores_text else None
        result = results.evaluate(_RUN_DIR.value, split, _FILE.value, tasks, _AVERAGE.value)
    for line in results.lines_of(result):
        print(line)
    if tasks is not None:
        _print_words(result["word_vectors"])
    if _OUTPUT.value:
        output_file.write(_OUTPUT.value, results.json_of(result), "--output")
        print(f"Wrote {_OUTPUT.value}.")
    return 0


def _translates() -> bool:
    """Whether the run writes a target for a source.

    Raises:
        UserError: for flags that are for such runs alone, or not for them.
    """
    from tflm.run import RunFolder
    from tflm.run_kind import is_sequence_to_sequence

    folders = _RUN_DIR.value.split(",")
    if is_sequence_to_sequence(RunFolder(folders[0]).read_experiment()):
        if _wants_words():
            raise UserError(f"{folders[0]} translates: it has no word vectors to be measured.")
        return True
    for flag in (_BEAM_SIZE, _LENGTH_PENALTY):
        if flag.present:
            raise UserError(
                f"--{flag.name} is for runs that translate or summarise, which {folders[0]} does not. Leave it out."
            )
    if len(folders) > 1:
        raise UserError(
            f"Several runs are an ensemble where they translate or summarise, which {folders[0]} does not. Give one."
        )
    return False


def _evaluate_translation() -> dict:
    from tflm.generation.beam import BeamConfig
    from trainers.evaluation import translation

    search = BeamConfig(
        beam_size=_BEAM_SIZE.value,
        length_penalty=_LENGTH_PENALTY.value,
        max_length=translation.LONGEST_TARGET,
    )
    return translation.evaluate(_RUN_DIR.value, _SPLIT.value, _FILE.value, search, _AVERAGE.value)


def _print_words(result: dict) -> None:
    from rich.console import Console

    from trainers.evaluation import word_tables

    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width to keep to
        console = Console(width=160)
    for item in word_tables.renderables(result):
        if isinstance(item, str):
            print(item)  # rich would break a long line
        else:
            console.print(item)


def run():
    program.run(main)


if __name__ == "__main__":
    run()
