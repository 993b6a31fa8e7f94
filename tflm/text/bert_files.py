"""The tokenizer files of published BERTs: `vocab.txt`, and what Hugging Face keeps beside it.

A folder has `vocab.txt`, a piece a line, or `tokenizer.json`, or both. `tokenizer_config.json` may say how the text is
made ready. Where nothing does, the vocabulary is taken for uncased if no piece of it has a capital letter.
"""

import json
import pathlib

from tflm.errors import UserError
from tflm.text.tokenizer import FILE_NAME, Tokenizer, read_file, read_json, write_file

VOCABULARY = "vocab.txt"
SETTINGS = "tokenizer_config.json"
SPECIAL = "special_tokens_map.json"
HUGGING_FACE_NAMES = {
    "pad": "pad_token",
    "unk": "unk_token",
    "bos": "cls_token",
    "eos": "sep_token",
    "mask": "mask_token",
}
# They cut words by other programs before WordPiece begins.
OTHER_SPLITTERS = ("BertJapaneseTokenizer", "RoFormerTokenizer", "HerbertTokenizer")


def pieces_of(data: bytes, path) -> list[str]:
    """The pieces of a `vocab.txt`, in the order of their ids; UserError, naming it, where it is no text."""
    try:
        lines = data.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be UTF-8, a piece a line ({error.reason}).") from None
    return lines[:-1] if not lines[-1] else lines


def vocabulary(pieces: list[str]) -> bytes:
    """What a `vocab.txt` holds."""
    return "".join(f"{piece}\n" for piece in pieces).encode()


def read_folder(folder) -> Tokenizer:
    """The tokenizer of a published BERT.

    Args:
        folder: with `vocab.txt`, or Hugging Face's `tokenizer.json`; both may have `tokenizer_config.json` beside them.

    Raises:
        UserError: where a file cannot be read, or is that of another kind of tokenizer.
    """
    from tflm.text.wordpiece import SPECIAL_PIECES, WordPieceTokenizer, WordRules

    folder = pathlib.Path(folder)
    settings = {**_settings(folder / SPECIAL), **_settings(folder / SETTINGS)}
    splitter = settings.get("tokenizer_class") or ""
    if (
        splitter.removesuffix("Fast") in OTHER_SPLITTERS
        or settings.get("do_basic_tokenize") is False
    ):
        raise UserError(
            f"{folder / SETTINGS} is of a tokenizer that splits words in another way ({splitter}), which tflm does "
            "not know. Give the folder of a plain BERT."
        )
    path = folder / FILE_NAME
    if path.exists():
        pieces, stored = _of_tokenizer_json(path)
    else:
        path = folder / VOCABULARY
        pieces, stored = pieces_of(read_file(path), path), {}
    special_pieces = {}
    for use, name in HUGGING_FACE_NAMES.items():
        piece = settings.get(name, SPECIAL_PIECES[use])
        special_pieces[use] = piece.get("content") if isinstance(piece, dict) else piece
    if special_pieces["mask"] not in pieces:
        del special_pieces["mask"]
    lowercase = _first(settings.get("do_lower_case"), stored.get("lowercase"))
    if lowercase is None:
        ordinary = (
            piece for piece in pieces if not (piece.startswith("[") and piece.endswith("]"))
        )
        lowercase = not any(piece != piece.lower() for piece in ordinary)
    strip_accents = _first(settings.get("strip_accents"), stored.get("strip_accents"), lowercase)
    split_chinese = _first(
        settings.get("tokenize_chinese_chars"), stored.get("handle_chinese_chars"), True
    )
    rules = WordRules(bool(lowercase), bool(strip_accents), bool(split_chinese))
    try:
        return WordPieceTokenizer(pieces, special_pieces, rules)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def write_folder(tokenizer, folder) -> None:
    """Writes `vocab.txt`, `tokenizer.json` and `tokenizer_config.json` as Hugging Face reads them.

    Its tokenizer then also takes a literal "[SEP]" of a text for the special piece.

    Args:
        tokenizer: a WordPieceTokenizer.
        folder: made where it is not there; not that of a tokenizer of ours, whose `tokenizer.json` it would replace.

    Raises:
        UserError: for a tokenizer with steps of normalization, which have no place in these files.
    """
    if tokenizer.normalization:
        raise UserError(
            "A tokenizer with steps of normalization cannot be written as Hugging Face's. "
            f"Received: normalization={', '.join(tokenizer.normalization)}."
        )
    folder = pathlib.Path(folder)
    rules = tokenizer.rules
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": rules.lowercase,
        "strip_accents": rules.strip_accents,
        "tokenize_chinese_chars": rules.split_chinese,
        **{HUGGING_FACE_NAMES[use]: piece for use, piece in tokenizer.special_pieces.items()},
    }
    write_file(folder / VOCABULARY, vocabulary(tokenizer.pieces))
    write_file(folder / FILE_NAME, _tokenizer_json(tokenizer).encode())
    write_file(
        folder / SETTINGS, (json.dumps(settings, ensure_ascii=False, indent=2) + "\n").encode()
    )


def _settings(path: pathlib.Path) -> dict:
    values = read_json(path) if path.exists() else {}
    if not isinstance(values, dict):
        raise UserError(f"{path} must hold settings by name. Received: {values!r:.80}.")
    return values


def _first(*values):
    """The first that is not None."""
    return next((value for value in values if value is not None), None)


def _of_tokenizer_json(path: pathlib.Path) -> tuple[list[str], dict]:
    """The pieces, and the settings of the BertNormalizer."""
    from tflm.text.wordpiece import MAX_WORD_CHARACTERS, PREFIX

    values = read_json(path)
    model = values["model"]
    normalizer = values.get("normalizer") or {}
    wanted = {
        "model.type": (model.get("type"), "WordPiece"),
        "model.continuing_subword_prefix": (model.get("continuing_subword_prefix"), PREFIX),
        "model.max_input_chars_per_word": (
            model.get("max_input_chars_per_word"),
            MAX_WORD_CHARACTERS,
        ),
        "normalizer.type": (normalizer.get("type"), "BertNormalizer"),
        "normalizer.clean_text": (normalizer.get("clean_text"), True),
        "pre_tokenizer.type": ((values.get("pre_tokenizer") or {}).get("type"), "BertPreTokenizer"),
    }
    for name, (found, known) in wanted.items():
        if found != known:
            raise UserError(
                f"{path} must have {name}={known!r}, as a BERT has. Received: {found!r:.80}."
            )
    ids = model.get("vocab")
    if not isinstance(ids, dict) or sorted(ids.values()) != list(range(len(ids))):
        raise UserError(f"{path} must have in model.vocab the ids 0, 1, 2, ... of its pieces.")
    added = [t["content"] for t in values.get("added_tokens", []) if t["id"] >= len(ids)]
    if added:
        raise UserError(
            f"{path} has {len(added)} tokens that were added behind its vocabulary, which tflm does not know, such "
            f"as {added[0]!r}. Give the tokenizer without them."
        )
    return sorted(ids, key=ids.__getitem__), normalizer


def _tokenizer_json(tokenizer) -> str:
    import tokenizers

    special = tokenizer.special_pieces
    ids = {piece: i for i, piece in enumerate(tokenizer.pieces)}
    theirs = tokenizers.Tokenizer(tokenizers.models.WordPiece(ids, unk_token=special["unk"]))
    theirs.normalizer = tokenizer.rules.normalizer()
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    theirs.decoder = tokenizers.decoders.WordPiece()
    theirs.post_processor = tokenizers.processors.BertProcessing(
        (special["eos"], tokenizer.eos_id), (special["bos"], tokenizer.bos_id)
    )
    theirs.add_special_tokens(list(special.values()))
    return theirs.to_str(pretty=True)
