"""Label the words of a file by a trained tagger: word, tab, tag a line, and an empty line after each sentence.

python -m trainers.tag --run_dir=runs/entities --input_file=sentences.txt --output=tagged.conll
python -m trainers.tag --run_dir=runs/weibo --input_file=sentences.txt --words=characters
python -m trainers.tag --run_dir=runs/entities --input_file=test.conll --words=columns --scheme=bioes
echo "Ada went to London" | python -m trainers.tag --run_dir=runs/entities --input_file=-
"""

from absl import flags

from tflm import program
from tflm.data.tag_schemes import CONVERSIONS, convert
from tflm.errors import UserError
from trainers.input_file import read_lines

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the run; its best checkpoint is used.")
_INPUT_FILE = flags.DEFINE_string(
    "input_file", None, "A UTF-8 file with one sentence a line; - for stdin."
)
_WORDS = flags.DEFINE_enum(
    "words",
    "spaces",
    ["spaces", "characters", "columns"],
    "What the words of a line are: what white space separates, or every character. Or the file has the form of the "
    "text that the run was trained on, a word a line; its tags are not looked at.",
)
_SCHEME = flags.DEFINE_enum(
    "scheme", "", CONVERSIONS, "The scheme to write entities in; the default is that of the run."
)
_OUTPUT = flags.DEFINE_string("output", None, "A file to write to instead of the terminal.")


def tags_of(run, sentences: list[list[str]]) -> list[list[str]]:
    """The tags of the words of each sentence, of which some may have none.

    Args:
        run: a tflm.run.Run of a tagger.
    """
    from tflm.data.tagged_split import untagged_split
    from trainers import experiment as experiments
    from trainers import objectives

    experiment = experiments.from_dict(run.experiment)
    objective = objectives.build(experiment.objective)
    objective.read_tokenizers(run.tokenizer, run.tokenizer)
    with_words = [words for words in sentences if words]
    if not with_words:
        return [[] for _ in sentences]
    split = untagged_split(with_words, run.tokenizer, experiment.objective.reading)
    found = iter(objective.tags(run.model, split, experiment.train))
    return [next(found) if words else [] for words in sentences]


def read_sentences(path: str, words: str, data: dict) -> list[list[str]]:
    """The words of each sentence of a file.

    Args:
        words: how they are found, see --words.
        data: of the run, a DataConfig as plain values: which column has the word.
    """
    if words == "columns":
        from tflm import config as configs
        from tflm.data.corpora import DataConfig
        from tflm.data.tagged import read_tagged

        config = configs.from_dict(DataConfig, data, "data")
        return [list(sentence.words) for sentence in read_tagged(path, config)]
    lines = read_lines(path, "--input_file", "sentence")
    if words == "spaces":
        return [line.split() for line in lines]
    return [[char for char in line if not char.isspace()] for line in lines]


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. Everything is a flag, see --help.")
    for flag, example in ((_RUN_DIR, "runs/entities"), (_INPUT_FILE, "sentences.txt")):
        if not flag.value:
            raise UserError(f"--{flag.name} is missing. Give one, for example {example}.")
    from tflm.run import RunFolder
    from trainers import output_file

    experiment = RunFolder(_RUN_DIR.value).read_experiment()
    if experiment["objective"]["kind"] != "tag":
        raise UserError(
            f"{_RUN_DIR.value} tags no words but is a run of {experiment['model']['family']}. Give one that was "
            "trained with the objective tag."
        )
    if _OUTPUT.value:
        output_file.check(_OUTPUT.value, "--output")
    sentences = read_sentences(_INPUT_FILE.value, _WORDS.value, experiment["data"])
    program.load_backend()
    from tflm import run as runs
    from trainers.terminal import warn

    found = tags_of(runs.load(_RUN_DIR.value, say=warn), sentences)
    lines = []
    for words, tags in zip(sentences, found, strict=True):
        tags = convert(tags, _SCHEME.value)
        lines += [*("\t".join(pair) for pair in zip(words, tags, strict=True)), ""]
    if _OUTPUT.value:
        output_file.write(_OUTPUT.value, "\n".join(lines) + "\n", "--output")
        print(f"Wrote {len(sentences):,} sentences to {_OUTPUT.value}.")
    else:
        print("\n".join(lines))
    return 0


def run():
    program.run(main)


if __name__ == "__main__":
    run()
