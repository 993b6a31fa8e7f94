"""What word vectors are worth: similarity, analogies, nearest words, and what a linear classifier makes of them."""

import dataclasses

import numpy as np

from tflm.data import word_sets
from tflm.data.labelled import read_labelled
from tflm.errors import UserError
from tflm.metrics import analogies, linear_probe, similarity
from tflm.text import normalize
from tflm.text import tokenizer as tokenizers
from tflm.text.tokenizer import TokenizerConfig
from tflm.vectors import WordVectors

NUM_NEIGHBOURS = 10


@dataclasses.dataclass
class LabelledTexts:
    """Texts and their labels, as many of the one as of the other."""

    texts: list[str]
    labels: list[str]


@dataclasses.dataclass
class WordTasks:
    """What is asked of word vectors.

    Attributes:
        similarity: file -> pairs (word, word, score).
        analogies: file -> category -> questions of four words.
        nearest: words.
        probe: the texts to learn from and those to be tested on, or None.
        limit: only so many of the first words count.
        ignore_case: whether words that differ in case alone are one word, as in gensim.
        word_split: how the probe's texts are cut into words where no tokenizer belongs to the vectors, see
            tflm.text.word.
    """

    similarity: dict[str, list] = dataclasses.field(default_factory=dict)
    analogies: dict[str, dict] = dataclasses.field(default_factory=dict)
    nearest: list[str] = dataclasses.field(default_factory=list)
    probe: tuple[LabelledTexts, LabelledTexts] | None = None
    limit: int = 300_000
    ignore_case: bool = True
    word_split: str = "words"


def read_tasks(
    similarity_files=(), analogy_files=(), probe_files: tuple[str, str] | None = None, **settings
) -> WordTasks:
    """The tasks with their sets read.

    Args:
        similarity_files, analogy_files: paths, see tflm.data.word_sets.
        probe_files: labelled texts to learn from and to be tested on.
        settings: the other attributes of WordTasks.

    Raises:
        UserError: for a file that cannot be read or has a wrong row, and for a test label that cannot be learned.
    """
    probe = None
    if probe_files is not None:
        probe = tuple(LabelledTexts(*read_labelled(path)) for path in probe_files)
        unknown = sorted(set(probe[1].labels) - set(probe[0].labels))
        if unknown:
            raise UserError(
                f"{probe_files[1]} has labels that {probe_files[0]} has not: {', '.join(unknown[:5])}. "
                "Give two parts of one set."
            )
    return WordTasks(
        similarity={str(path): word_sets.read_similarity(path) for path in similarity_files},
        analogies={str(path): word_sets.read_analogies(path) for path in analogy_files},
        probe=probe,
        **settings,
    )


def evaluate(vectors, tasks: WordTasks, run=None, progress=None) -> dict:
    """The numbers of word vectors.

    Args:
        vectors: tflm.vectors.WordVectors, the most frequent word first.
        tasks: what to measure.
        run: the tflm.run.Run that the vectors are of, or None. The words of the sets are then normalised as its
            tokenizer does it, and the probe's texts are its tokens.
        progress: called as progress("analogies", done, total) with counts of questions.

    Returns:
        words, known_words: how many are used, of how many. dim. And where it was asked for:
        similarity: file -> what `similarity_score` says.
        analogies: file -> what `analogy_score` says.
        nearest: word -> [word, cosine] of its neighbours, the nearest first; None for a word without a vector.
        probe: what `probe_score` says.
    """
    known_words = len(vectors.words)
    vectors = limited(vectors, tasks.limit)
    steps = run.tokenizer.normalization if run is not None else ()
    result = {"words": len(vectors.words), "known_words": known_words}
    result["dim"] = int(vectors.table.shape[1])
    if tasks.similarity:
        result["similarity"] = {
            name: similarity.similarity_score(
                vectors, [(*_normal(pair[:2], steps), pair[2]) for pair in pairs], tasks.ignore_case
            )
            for name, pairs in tasks.similarity.items()
        }
    if tasks.analogies:
        result["analogies"] = {
            name: analogies.analogy_score(
                vectors.words,
                vectors.table,
                {category: [_normal(q, steps) for q in asked] for category, asked in sets.items()},
                restrict_vocabulary=tasks.limit,
                ignore_case=tasks.ignore_case,
                progress=progress,
            )
            for name, sets in tasks.analogies.items()
        }
    if tasks.nearest:
        words = dict(zip(tasks.nearest, _normal(tasks.nearest, steps), strict=True))
        result["nearest"] = _nearest(vectors, words, tasks.ignore_case)
    if tasks.probe is not None:
        result["probe"] = _probe(vectors, tasks, run)
    return result


def _normal(words, steps) -> tuple[str, ...]:
    return tuple(normalize.normalize(word, steps) for word in words)


def limited(vectors, limit: int):
    """The first words alone, where there are more than `limit`."""
    if len(vectors.words) <= limit:
        return vectors
    return WordVectors(
        vectors.words[:limit], vectors.table[:limit], subword_rows=vectors.subword_rows
    )


def _nearest(vectors, words: dict[str, str], ignore_case: bool) -> dict:
    rows, table = similarity.rows_by_word(vectors.words, ignore_case), vectors.table
    lengths = np.maximum(np.sqrt(np.einsum("nd,nd->n", table, table)), 1e-12)  # (N,)
    found = {}
    for asked, word in words.items():
        # As it is written where that is a word: "us" is not "US".
        row = vectors.ids.get(word, rows.get(word.upper() if ignore_case else word))
        if row is None and word not in vectors:
            found[asked] = None
            continue
        vector = table[row] if row is not None else vectors.vector(word)
        cosines = table @ vector / (lengths * max(np.linalg.norm(vector), 1e-12))
        best = np.argsort(-cosines, kind="stable")[: NUM_NEIGHBOURS + 1]
        others = [i for i in best if i != row][:NUM_NEIGHBOURS]
        found[asked] = [[vectors.words[i], float(cosines[i])] for i in others]
    return found


def _probe(vectors, tasks: WordTasks, run) -> dict:
    train, test = tasks.probe
    if run is not None:
        tokenizer, table = run.tokenizer, np.asarray(run.model.embeddings(), "float32")
        known = np.ones(len(table), bool)
        known[list(tokenizer.special_ids)] = False
    else:
        tokenizer, table, known = _words_of_texts(
            vectors, train.texts + test.texts, tasks.word_split, tasks.ignore_case
        )
    return linear_probe.probe_score(
        tokenizer.encode_batch(train.texts),
        train.labels,
        tokenizer.encode_batch(test.texts),
        test.labels,
        table,
        known,
    )


def _words_of_texts(vectors, texts: list[str], split: str, ignore_case: bool):
    """A tokenizer that has every word of the texts as a token; the tokens' vectors (V, D); which have one (V,)."""
    config = TokenizerConfig(kind="word", split=split, vocabulary_size=1 << 30)
    tokenizer = tokenizers.train(config, texts)
    vector_of = similarity.lookup(vectors, ignore_case)
    table = np.zeros((tokenizer.vocabulary_size, vectors.table.shape[1]), "float32")
    known = np.zeros(len(table), bool)
    for token_id in range(len(tokenizer.special_ids), len(table)):
        vector = vector_of(tokenizer.piece(token_id))
        if vector is not None:
            table[token_id], known[token_id] = vector, True
    return tokenizer, table, known
