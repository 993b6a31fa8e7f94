"""The files of the three splits of a store while they are written, and what is counted about them."""

import contextlib
import os
from pathlib import Path

import numpy as np

from tflm.data.corpora import SPLITS, Corpus
from tflm.data.encode import COUNTS, EncodedBatch, token_dtype
from tflm.data.splits import TRAIN, SplitRule
from tflm.errors import UserError


class SplitFiles:
    """Files that grow side by side: one of every kind for each split, called <split>.<kind>.

    Args:
        folder: where they are made.
        kinds: for example ("bin", "document_starts.bin").
    """

    def __init__(self, folder: Path, kinds: tuple[str, ...]):
        self._folder, self._kinds = folder, kinds

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self._files = [
                [stack.enter_context(open(folder, "wb")) for folder in self._paths(name)]
                for name in SPLITS
            ]
            self._closing = stack.pop_all()
        return self

    def __exit__(self, *raised):
        """Leaves the files on the disk where all went well."""
        if raised[0] is None:
            for file in (file for files in self._files for file in files):
                file.flush()
                os.fsync(file.fileno())
        self._closing.close()

    def _paths(self, name: str) -> list[Path]:
        return [self._folder / f"{name}.{kind}" for kind in self._kinds]

    def write(self, split: int, *arrays: np.ndarray):
        """Appends an array to each file of a split, in the order of the kinds."""
        for file, values in zip(self._files[split], arrays, strict=True):
            file.write(np.ascontiguousarray(values).data)


class TokenFiles(SplitFiles):
    """Documents as tokens, and where each begins.

    Args:
        folder: where they are made.
        kinds: of the tokens (uint16 or uint32), and of the starts (int64).

    Attributes:
        documents: (3,) int64, so many are in each split.
    """

    def __init__(self, folder: Path, kinds: tuple[str, str] = ("bin", "document_starts.bin")):
        super().__init__(folder, kinds)
        self.documents = np.zeros(len(SPLITS), np.int64)
        self._tokens = np.zeros(len(SPLITS), np.int64)
        self._counts = np.zeros((len(SPLITS), len(COUNTS)), np.int64)

    def append(self, split: int, batch: EncodedBatch, keep: np.ndarray):
        """Writes the documents of a batch that `keep`, bool (n,), says."""
        if not keep.any():
            return
        kept = batch.only(keep)
        starts = self._tokens[split] + np.cumsum(kept.lengths) - kept.lengths
        self.write(split, kept.tokens, starts.astype(np.int64))
        self.documents[split] += len(kept.lengths)
        self._tokens[split] += len(kept.tokens)
        self._counts[split] += kept.counts.sum(axis=0)

    def card(self, split: int, added_tokens: int = 2) -> dict:
        """What was counted about a split whose documents have `added_tokens` (bos and eos) each beside their text's."""
        counts = {name: int(n) for name, n in zip(COUNTS, self._counts[split], strict=True)}
        text_tokens = int(self._tokens[split] - added_tokens * self.documents[split])
        return {
            "documents": int(self.documents[split]),
            "tokens": int(self._tokens[split]),
            **counts,
            "unknown_share": counts["unknown_tokens"] / max(text_tokens, 1),
        }


def card_of(tokenizer, corpora: dict[str, Corpus], num_files: int, problems: list[str]) -> dict:
    """What every store's card says about the tokenizer, the files that were read, and those that were not."""
    return {
        "tokenizer": {
            "kind": tokenizer.kind,
            "vocabulary_size": tokenizer.vocabulary_size,
            "bos_id": tokenizer.bos_id,
            "fingerprint": tokenizer.fingerprint(),
        },
        "dtype": token_dtype(tokenizer.vocabulary_size).name,
        "files": num_files,
        "skipped_files": {
            "unknown_kind": sum(corpus.skipped for corpus in corpora.values()),
            "bad": len(problems),
        },
        "bad_files": problems[:10],
    }


def check_filled(
    documents: np.ndarray,
    rule: SplitRule,
    corpora: dict[str, Corpus],
    problems: list[str],
    thing: str,
    form: str,
    note: str = "",
):
    """Holds a set of examples to what it must have: something in every corpus, and in every split that is wanted.

    Args:
        documents: (3,), of the splits.
        rule: by which they were split.
        corpora: that were read.
        problems: the bad files.
        thing: what an example is called.
        form: the forms of a file of them.
        note: a sentence at the end of the error.

    Raises:
        UserError: for a corpus or a split without one.
    """
    if problems:
        note += f" The first of {len(problems)} bad files: {problems[0]}"
    for split, (name, count) in enumerate(zip(SPLITS, documents, strict=True)):
        if name in corpora and not count and not (split == TRAIN and documents.any()):
            raise UserError(f"{corpora[name].name} holds no {thing}. {form}{note}")
    empty = [SPLITS[split] for split in rule.empty_splits(documents)]
    if empty or not documents[TRAIN]:
        total = int(documents.sum())
        raise UserError(
            f"{corpora['train'].name} has {total} {thing}{'s' * (total != 1)}, too few for the "
            f"{' and '.join(empty) or 'train'} split. Give more, or {rule.advice}.{note}"
        )
