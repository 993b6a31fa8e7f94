"""Answer questions about texts by a run that was trained to: the answers stand in the texts.

python -m trainers.answer --run_dir=runs/answers --input_file=dev-v1.1.json --output=predictions.json
python -m trainers.answer --run_dir=runs/answers --input_file=questions.tsv --top=3
printf 'Who wrote it?\tIt was written by Ada.\n' | python -m trainers.answer --run_dir=runs/answers --input_file=-

A .json file has the form of SQuAD or CMRC 2018; anything else has a question and its context a line, a tab between
them, and is answered by the number of the line. What comes out is one JSON object from the id of a question to the text
of its answer, as the data sets' own programs read it. With --top it is a line for each question: its id, and so many
answers, each with its score, tabs between all of them.
"""

import json
from pathlib import Path

from absl import flags

from tflm import program
from tflm.errors import UserError
from trainers.input_file import read_lines

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the run; its best checkpoint is used.")
_INPUT_FILE = flags.DEFINE_string(
    "input_file",
    None,
    "A .json file of questions, or a question and its context a line; - for stdin.",
)
_TOP = flags.DEFINE_integer(
    "top",
    0,
    "So many of the best answers a line, with their scores; 0 for JSON with the best one.",
    0,
)
_OUTPUT = flags.DEFINE_string("output", None, "A file to write to instead of the terminal.")


def read_input(path: str, config) -> list:
    """The questions of a .json file, or of lines `question<TAB>context`.

    Args:
        config: DataConfig: how to decode a .json file.
    """
    from tflm.data.questions import Question, read_questions

    if ".json" in Path(path).suffixes:
        return read_questions(path, config)
    found = []
    for number, line in enumerate(read_lines(path, "--input_file", "question and context"), 1):
        fields = line.split("\t")
        if len(fields) != 2 or not all(map(str.strip, fields)):
            raise UserError(
                f"{path}, line {number}: wanted a question and its context with a tab between them. "
                f"Received: {line!r:.60}."
            )
        found.append(Question(str(number), *fields, answers=()))
    return found


def answers_of(run, questions: list):
    """Each question with its `tflm.data.passages.FoundAnswers`, in order.

    Args:
        run: a tflm.run.Run that was trained to answer questions.
    """
    from tflm.data.question_store import split_of_questions
    from trainers import experiment as experiments
    from trainers import objectives

    experiment = experiments.from_dict(run.experiment)
    objective = objectives.build(experiment.objective)
    split = split_of_questions(questions, run.tokenizer, experiment.objective.limits)
    return objective.reader(run.model, experiment.train, run.tokenizer)(split)


def line_of(question, found, top: int, threshold: float | None) -> str:
    """A question's id and its best answers with their scores; of two lines of a text one is made.

    Args:
        threshold: None where there always is an answer; else that there is none competes with the answers as "", with
            a score that is lower by it.
    """
    scored = [(answer.score, answer.text) for answer in found.best]
    if threshold is not None:
        scored.append((found.no_answer - threshold, ""))
    scored.sort(key=lambda pair: -pair[0])
    fields = (f"{' '.join(text.split())}\t{score:.4f}" for score, text in scored[:top])
    return "\t".join([question.id, *fields])


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. Everything is a flag, see --help.")
    for flag, example in ((_RUN_DIR, "runs/answers"), (_INPUT_FILE, "dev-v1.1.json")):
        if not flag.value:
            raise UserError(f"--{flag.name} is missing. Give one, for example {example}.")
    from tflm import config as configs
    from tflm.data.corpora import DataConfig
    from tflm.run import RunFolder

    experiment = RunFolder(_RUN_DIR.value).read_experiment()
    settings = experiment["objective"]
    if settings["kind"] != "span":
        raise UserError(
            f"{_RUN_DIR.value} does not answer questions: its objective is {settings['kind']}. Give a run of span."
        )
    questions = read_input(
        _INPUT_FILE.value, configs.from_dict(DataConfig, experiment["data"], "data")
    )
    program.load_backend()
    from tflm import run as runs
    from trainers import output_file
    from trainers.terminal import warn

    if _OUTPUT.value:
        output_file.check(_OUTPUT.value, "--output")
    run = runs.load(_RUN_DIR.value, say=warn)
    threshold = settings["no_answer_threshold"] if settings["no_answer"] else None
    found = answers_of(run, questions)
    if _TOP.value:
        text = "\n".join(line_of(*pair, _TOP.value, threshold) for pair in found)
    else:
        predictions = {question.id: answers.text(threshold) for question, answers in found}
        text = json.dumps(predictions, ensure_ascii=False, indent=1)
    if _OUTPUT.value:
        output_file.write(_OUTPUT.value, text + "\n", "--output")
        print(f"Wrote the answers to {len(questions):,} questions to {_OUTPUT.value}.")
    else:
        print(text)
    return 0


def run():
    program.run(main)


if __name__ == "__main__":
    run()
