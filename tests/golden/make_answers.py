"""Makes answers.json: what the data sets' own programs say of the random questions of tests/random_questions.py.

    python -m tests.golden.make_answers SQUAD_V1.py SQUAD_V2.py CMRC.py

The programs are not committed. Taken were metrics/squad/compute_score.py and metrics/squad_v2/compute_score.py of
Hugging Face's repository `evaluate`, which are evaluate-v1.1.py and evaluate-v2.0.py but for the form of the data, and
baseline/cmrc2018_evaluate.py of the repository of CMRC 2018 (its version 6), with NLTK 3.10 and its model punkt_tab.

Each row holds the sums over a hundred questions.
"""

import importlib.util
import json
import sys
from pathlib import Path

from tests.random_questions import random_no_answer, random_questions

FILE = Path(__file__).resolve().parent / "answers.json"
QUESTIONS, ROW = 10_000, 100
THRESHOLD = 0.5


def load(path: str):
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(values):
    return [values[k : k + ROW] for k in range(0, len(values), ROW)]


def squad(program) -> list:
    predictions, answers = random_questions(QUESTIONS, seed=1)
    table = []
    for texts, golds in zip(rows(predictions), rows(answers), strict=True):
        pairs = [pair for pair in zip(texts, golds, strict=True) if pair[1]]
        qas = [
            {"id": str(k), "answers": [{"text": gold} for gold in each]}
            for k, (_, each) in enumerate(pairs)
        ]
        given = {str(k): text for k, (text, _) in enumerate(pairs)}
        result = program.compute_score([{"paragraphs": [{"qas": qas}]}], given)
        table.append([result[name] * len(pairs) / 100 for name in ("exact_match", "f1")])
    return table


def squad_v2(program) -> list:
    predictions, answers = random_questions(QUESTIONS, seed=2)
    no_answer = random_no_answer(QUESTIONS, seed=3)
    table = []
    for texts, golds, chances in zip(*map(rows, (predictions, answers, no_answer)), strict=True):
        qas = [{"id": str(k), "answers": {"text": gold}} for k, gold in enumerate(golds)]
        data = [{"paragraphs": [{"qas": qas}]}]
        given = {str(k): text for k, text in enumerate(texts)}
        chances = {str(k): chance for k, chance in enumerate(chances)}
        answered = program.make_qid_to_has_ans(data)
        raw = program.get_raw_scores(data, given)
        cut = [program.apply_no_ans_threshold(each, chances, answered, THRESHOLD) for each in raw]
        result = program.make_eval_dict(*cut)
        for name, wanted in (("HasAns", True), ("NoAns", False)):
            chosen = [key for key, value in answered.items() if value is wanted]
            program.merge_eval(result, program.make_eval_dict(*cut, qid_list=chosen), name)
        program.find_all_best_thresh(result, given, *raw, chances, answered)
        table.append({name: value for name, value in result.items() if "total" not in name})
    return table


def cmrc(program) -> list:
    predictions, answers = random_questions(QUESTIONS, seed=4, language="chinese")
    table = []
    for texts, golds in zip(rows(predictions), rows(answers), strict=True):
        pairs = list(zip(golds, texts, strict=True))
        scores = program.calc_em_score, program.calc_f1_score
        table.append([sum(score(*pair) for pair in pairs) for score in scores])
    return table


def main(v1: str, v2: str, chinese: str) -> None:
    golden = {"squad": squad(load(v1)), "squad_v2": squad_v2(load(v2)), "cmrc": cmrc(load(chinese))}
    lines = [
        f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in table) + "\n]"
        for name, table in golden.items()
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
