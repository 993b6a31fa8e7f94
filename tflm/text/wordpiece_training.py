"""Learns the pieces of a wordpiece vocabulary from the words of a text, by Hugging Face's `tokenizers`.

Its trainer merges the most frequent pair of neighbours, as BPE does (Google's own program for WordPiece was never
published). As it comes it gives another vocabulary each time: it numbers the pieces inside of words in the order of a
hash table, and breaks ties by these numbers. Here they are numbered before it begins, and rare characters, which it
would tear out of their words, are left out together with the words that have them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from tflm.errors import UserError
from tflm.text.tokenizer import no_text
from tflm.text.wordpiece import MAX_WORD_CHARACTERS, PREFIX, SPECIAL_PIECES

MIN_VOCABULARY_SIZE = 10
# Part of the training text's characters that get pieces of their own; a word with another one is [UNK].
CHARACTER_COVERAGE = 0.9999
_REPETITIONS = 1 << 14  # of a word, in one string that the trainer is given


def check_size(config) -> None:
    """Raises UserError for a vocabulary that holds next to nothing."""
    if config.vocabulary_size < MIN_VOCABULARY_SIZE:
        raise UserError(
            f"`vocabulary_size` must be at least {MIN_VOCABULARY_SIZE} for a wordpiece tokenizer "
            f"({len(SPECIAL_PIECES)} are special). Received: {config.vocabulary_size}."
        )


def learn_pieces(counts: Mapping[str, int], config) -> list[str]:
    """The vocabulary: special pieces, pieces of one character, and merged ones in the order in which they were found.

    Args:
        counts: how often each word occurs.
        config: a TokenizerConfig.

    Raises:
        UserError: where there are no words, or none without rare characters.
    """
    import tokenizers

    counts = {word: n for word, n in counts.items() if len(word) <= MAX_WORD_CHARACTERS}
    if not counts:
        raise no_text(config.kind)
    alphabet = _alphabet(counts, config)
    counts = {word: n for word, n in counts.items() if alphabet.issuperset(word)}
    inner = sorted({PREFIX + char for word in counts for char in word[1:]})
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token=SPECIAL_PIECES["unk"]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=config.vocabulary_size,
        min_frequency=config.min_count,
        show_progress=False,
        # Whatever stands here is in the vocabulary from the beginning, in this order.
        special_tokens=[*SPECIAL_PIECES.values(), *inner],
        continuing_subword_prefix=PREFIX,
    )
    tokenizer.train_from_iterator(_text_of(counts), trainer)
    ids = tokenizer.get_vocab()
    return sorted(ids, key=ids.__getitem__)


def _alphabet(counts: Mapping[str, int], config) -> set[str]:
    """The characters that are frequent enough, for at most half of the vocabulary."""
    characters, inner = Counter(), set()
    for word, n in counts.items():
        for char in word:
            characters[char] += n
        inner.update(word[1:])
    room = (config.vocabulary_size - len(SPECIAL_PIECES)) // 2
    total, covered, alphabet = characters.total(), 0, set()
    for char, n in sorted(characters.items(), key=lambda item: (-item[1], item[0])):
        room -= 2 if char in inner else 1
        if n < config.min_count or room < 0 or covered >= CHARACTER_COVERAGE * total:
            break
        alphabet.add(char)
        covered += n
    if not any(alphabet.issuperset(word) for word in counts):
        raise UserError(
            f"`min_count`={config.min_count} and `vocabulary_size`={config.vocabulary_size} leave no word: the most "
            f"frequent character occurs {max(characters.values())} times; change them or give more text."
        )
    return alphabet


def _text_of(counts: Mapping[str, int]) -> Iterator[str]:
    """A text of these words, as often as they are counted: what the trainer counts again."""
    for word, n in counts.items():
        for done in range(0, n, _REPETITIONS):
            yield f"{word} " * min(n - done, _REPETITIONS)
