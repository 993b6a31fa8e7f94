"""Score a run on a split of its own text, or on any other text.

python -m trainers.evaluate --run_dir=runs/gpt --split=test
python -m trainers.evaluate --run_dir=runs/gpt --file=novel.txt --output=novel.json
"""

from absl import flags

from tflm import program
from tflm.errors import UserError
from trainers import output_file

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the run; its best checkpoint is scored.")
_SPLIT = flags.DEFINE_enum(
    "split", "validation", ["train", "validation", "test"], "A split of the text it was trained on."
)
_FILE = flags.DEFINE_string("file", None, "A text file or folder to score instead of a split.")
_OUTPUT = flags.DEFINE_string("output", None, "A JSON file to write the numbers to.")


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. Everything is a flag, see --help.")
    if not _RUN_DIR.value:
        raise UserError("--run_dir is missing. Give the folder of a run, for example runs/gpt.")
    if _FILE.value is not None and _SPLIT.present:
        raise UserError("--split and --file cannot both be given. Leave one of them out.")
    if _OUTPUT.value:
        output_file.check(_OUTPUT.value, "--output")
    program.load_backend()
    from trainers.evaluation import results

    result = results.evaluate(_RUN_DIR.value, _SPLIT.value, _FILE.value)
    for line in results.lines_of(result):
        print(line)
    if _OUTPUT.value:
        output_file.write(_OUTPUT.value, results.json_of(result), "--output")
        print(f"Wrote {_OUTPUT.value}.")
    return 0


def run():
    program.run(main)


if __name__ == "__main__":
    run()
