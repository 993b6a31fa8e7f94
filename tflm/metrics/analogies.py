"""Analogies: a is to b as c is to which word?

3CosAdd    argmax over x of cos(x, b) + cos(x, c) - cos(x, a)
           Mikolov, Yih and Zweig 2013, "Linguistic Regularities in Continuous Space Word Representations"
3CosMul    argmax over x of cos'(x, b) cos'(x, c) / (cos'(x, a) + 0.001), where cos' = (cos + 1) / 2
           Levy and Goldberg 2014, "Linguistic Regularities in Sparse and Explicit Word Representations", equation 4

The words of the question are never the answer. A question with a word that has no vector is left out and counted, as
gensim's `evaluate_word_analogies` and word2vec.c's compute-accuracy do it.

Shapes: N words, D hidden, Q questions, U different words of a block of questions.
"""

import numpy as np

from tflm.metrics.similarity import rows_by_word

METHODS = ("3CosAdd", "3CosMul")
EPSILON = 1e-3
# Of cosines held at once, 32 MB: the words of a block of questions, against every word.
BLOCK_COSINES = 1 << 23
SYNTACTIC = "gram"  # how questions-words.txt names its syntactic categories


def analogy_score(
    words,
    table,
    categories: dict,
    restrict_vocabulary: int = 300_000,
    ignore_case: bool = True,
    progress=None,
) -> dict:
    """How many questions are answered rightly, in every category and altogether.

    Args:
        words: (N,) words, the most frequent first.
        table: (N, D) their vectors.
        categories: name -> questions (a, b, c, d).
        restrict_vocabulary: only so many of the first words are known and may be answers.
        ignore_case: whether words that differ in case alone are one word, as in gensim.
        progress: called as progress("analogies", done, total) with counts of questions.

    Returns:
        {"categories": {name: counts}, "total": counts}, and "semantic" and "syntactic" where some category's name
        begins with "gram". `counts` are: questions, found, oov; and for each of METHODS how many found ones are right.
    """
    words, table = words[:restrict_vocabulary], table[:restrict_vocabulary]
    rows = rows_by_word(words, ignore_case)
    groups = np.array([rows[word.upper() if ignore_case else word] for word in words], "int64")
    questions, counts = [], {}
    for name, asked in categories.items():
        keys = ([word.upper() if ignore_case else word for word in question] for question in asked)
        found = [[rows[key] for key in key4] for key4 in keys if all(key in rows for key in key4)]
        questions += found
        counts[name] = {
            "questions": len(asked),
            "found": len(found),
            "oov": len(asked) - len(found),
        }
    questions = np.array(questions, "int64").reshape(-1, 4)
    answers = solve(table, questions[:, :3], groups, progress)  # (Q,) by method
    start = 0
    for values in counts.values():
        end = start + values["found"]
        for method in METHODS:
            right = groups[answers[method][start:end]] == questions[start:end, 3]
            values[method] = int(right.sum())
        start = end
    result = {"categories": counts, "total": _sum(counts.values())}
    syntactic = [values for name, values in counts.items() if name.startswith(SYNTACTIC)]
    if syntactic:
        semantic = [values for name, values in counts.items() if not name.startswith(SYNTACTIC)]
        result |= {"semantic": _sum(semantic), "syntactic": _sum(syntactic)}
    return result


def solve(table, questions, groups=None, progress=None) -> dict[str, np.ndarray]:
    """The answers to a is to b as c is to ?, by each of METHODS.

    Args:
        table: (N, D) vectors.
        questions: (Q, 3) rows of the table: a, b, c.
        groups: (N,) for every row the first row that counts as the same word; None where all are different.
        progress: called as progress("analogies", done, total) with counts of questions.

    Returns:
        method -> (Q,) rows.
    """
    table = np.array(table, "float32")
    table /= np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
    groups = np.arange(len(table)) if groups is None else groups
    answers = {method: np.zeros(len(questions), "int64") for method in METHODS}
    size = max(
        BLOCK_COSINES // max(len(table), 1) // 3, 1
    )  # a question has at most three words of its own
    for start in range(0, len(questions), size):
        block = questions[start : start + size]
        asked, places = np.unique(block, return_inverse=True)
        cosines = table[asked] @ table.T  # (U, N)
        shifted = (cosines + 1) / 2
        inverse = 1 / (shifted + EPSILON)
        # A question is a few operations on rows that stay in the processor's cache; all at once would not.
        for place, (a, b, c) in enumerate(places.reshape(-1, 3), start):
            words = groups[questions[place]]
            add = cosines[b] + cosines[c]
            add -= cosines[a]
            answers["3CosAdd"][place] = _best(add, words, groups)
            product = shifted[b] * shifted[c]
            product *= inverse[a]
            answers["3CosMul"][place] = _best(product, words, groups)
        if progress is not None:
            progress("analogies", start + len(block), len(questions))
    return answers


def _best(scores, excluded, groups) -> int:
    """The row with the highest score that is not the same word as one of `excluded`; changes `scores`."""
    scores[excluded] = -np.inf
    best = int(scores.argmax())
    while groups[best] in excluded and scores[best] > -np.inf:  # another case of such a word
        scores[best] = -np.inf
        best = int(scores.argmax())
    return best


def _sum(counts) -> dict:
    names = ("questions", "found", "oov", *METHODS)
    return {name: sum(values[name] for values in counts) for name in names}
