"""Subwords by SentencePiece (Kudo & Richardson 2018), unigram or BPE, without loss.

Plain SentencePiece loses text in small ways; each is closed inside the model file, so that every
runtime that reads it (sentencepiece, tensorflow_text, LiteRT-LM) does the same:

- It normalises by NFKC, strips spaces and puts one in front: all off. Characters that the training
  text lacked are spelled in bytes (byte fallback), so nothing is ever <unk>.
- It writes a space as U+2581, and turns a U+2581 of the text into a space on the way back. The
  model's own rules write U+2581 as U+001A "1", and U+001A as U+001A "0", and undo it in decoding.
- Line feed and tab are pieces of their own; no other piece contains them.

The unigram search adds float32 scores along the text; where the sums round, two versions of the
library (Python's and the one inside tensorflow_text) break ties differently. Scores are therefore
rounded to 1/128 and a long text is encoded in segments, which keeps every sum exact.
"""

import collections
import hashlib
import io
import pathlib
import tempfile

import numpy as np

from tflm.errors import UserError, unknown_name
from tflm.text.normalize import normalize
from tflm.text.tokenizer import (
    BOS_ID,
    EOS_ID,
    PAD_ID,
    SPECIAL_PIECES,
    UNK_ID,
    Tokenizer,
    check_keys,
    no_text,
    printable,
    read_file,
    write_file,
)

ALGORITHMS = ("unigram", "bpe")
MODEL_FILE = "tokenizer.model"
OWN_PIECES = ("\n", "\t")
NUM_FIXED_PIECES = len(SPECIAL_PIECES) + len(OWN_PIECES) + 256
MIN_VOCABULARY_SIZE = 300
# A segment has at most so many characters: 4096 x the worst score of a character (about -27)
# stays below 2**24 / 128, up to which float32 holds every multiple of 1/128.
SEGMENT_CHARACTERS = 4096
SCORE_STEP = 1 / 128
# Part of the training text's characters that get a piece of their own; the rest is spelled in
# bytes. The value that SentencePiece recommends.
CHARACTER_COVERAGE = 0.9995
TRAINING_LINE_CHARACTERS = 1000
# The trainer's own marks, and what the model has other means for: they only divide lines.
_NOT_LEARNED = dict.fromkeys(map(ord, "\0\t\r\x1a\u2581\u2585"), "\n")
_ESCAPES = "2581\t1A 31\n1A\t1A 30\n"  # code points in hexadecimal: from, tab, to
_UNESCAPES = "1A 31\t2581\n1A 30\t1A\n"


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece model, held as the bytes of its file."""

    kind = "sentencepiece"
    spells_everything = True

    def __init__(self, model: bytes, normalization=()):
        super().__init__(normalization)
        self.model = model
        self._processor = _open(model)

    @classmethod
    def train(cls, config, texts, map_batches, say):
        if config.algorithm not in ALGORITHMS:
            raise unknown_name("sentencepiece algorithm", config.algorithm, ALGORITHMS)
        if config.vocabulary_size < MIN_VOCABULARY_SIZE:
            raise UserError(
                f"`vocabulary_size` must be at least {MIN_VOCABULARY_SIZE} for a sentencepiece "
                f"tokenizer ({NUM_FIXED_PIECES} are fixed). Received: {config.vocabulary_size}."
            )
        room = config.vocabulary_size - NUM_FIXED_PIECES
        normalized = (normalize(text, config.normalization) for text in texts)
        lines = _training_lines(normalized, max_characters=room // 2)
        return cls(_train_model(lines, config), config.normalization)

    @classmethod
    def from_description(cls, values, folder):
        check_keys(values, {"normalization": list, "model_sha256": str})
        path = pathlib.Path(folder) / MODEL_FILE
        model = read_file(path)
        if hashlib.sha256(model).hexdigest() != values["model_sha256"]:
            raise UserError(
                f"{path} is not the file that was saved (its SHA-256 differs); "
                "restore it or train again."
            )
        try:
            return cls(model, values["normalization"])
        except RuntimeError:
            raise UserError(f"{path} is not a SentencePiece model.") from None

    def describe(self) -> dict:
        return {"model_sha256": hashlib.sha256(self.model).hexdigest()}

    def save(self, folder):
        """Writes `tokenizer.model`, then `tokenizer.json` with its checksum."""
        write_file(pathlib.Path(folder) / MODEL_FILE, self.model)
        super().save(folder)

    def __getstate__(self):
        return {"model": self.model, "normalization": self.normalization}

    def __setstate__(self, state):
        self.__init__(**state)

    @property
    def vocabulary_size(self) -> int:
        return self._processor.get_piece_size()

    def _encode(self, texts):
        segments, counts = [], []
        for text in texts:
            parts = text_segments(text)
            segments += parts
            counts.append(len(parts))
        # One thread: the store already runs one process a core.
        encoded = iter(self._processor.encode(segments, num_threads=1))
        results = []
        for count in counts:
            ids = next(encoded)
            for _ in range(count - 1):
                ids += next(encoded)
            results.append(ids)
        return results

    def _encode_with_offsets(self, text):
        from sentencepiece import sentencepiece_pb2

        ids, lengths = [], []
        segments = text_segments(text)
        # Not its offsets: some versions of the library count them in bytes, others in characters.
        protos = self._processor.encode(segments, out_type="serialized_proto", num_threads=1)
        for data in protos:
            for piece in sentencepiece_pb2.SentencePieceText.FromString(data).pieces:
                ids.append(piece.id)
                lengths.append(len(piece.surface))
        ends = np.cumsum(lengths, dtype=np.int64)
        starts = ends - lengths
        # Of the bytes of a character, the last has all of it, the others nothing.
        owner = np.searchsorted(ends, starts, side="right")
        return ids, np.stack([starts[owner], ends[owner]], axis=1)

    def _decode(self, ids):
        return self._processor.decode(ids) if ids else ""

    def piece(self, token_id):
        if not 0 <= token_id < self.vocabulary_size:
            raise UserError(f"Token ids are 0 to {self.vocabulary_size - 1}. Received: {token_id}.")
        return printable(self._processor.id_to_piece(token_id))

    def token_id(self, piece):
        token_id = self._processor.piece_to_id(piece)
        if token_id != UNK_ID or piece == SPECIAL_PIECES[UNK_ID]:
            return token_id
        if "<U+" not in piece:
            return None
        return next((i for i in range(self.vocabulary_size) if self.piece(i) == piece), None)

    def in_graph(self):
        from tflm.text.in_graph import SentencePieceInGraph

        return SentencePieceInGraph(self.model, SEGMENT_CHARACTERS, self.normalization)


def text_segments(text: str) -> list[str]:
    """`text` in parts of at most SEGMENT_CHARACTERS.

    Only a line that is longer is cut inside; whole lines are put together, which changes no ids
    because no piece crosses a line feed.
    """
    if len(text) <= SEGMENT_CHARACTERS:
        return [text]
    segments, start = [], 0
    while start < len(text):
        end = start + SEGMENT_CHARACTERS
        if end < len(text):
            newline = text.rfind("\n", start, end)
            if newline >= start:
                end = newline + 1
        segments.append(text[start:end])
        start = end
    return segments


def _open(model: bytes):
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor()
    processor.load_from_serialized_proto(model)
    ids = (processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id())
    if ids != (PAD_ID, UNK_ID, BOS_ID, EOS_ID):
        raise UserError(f"A model must have <pad> <unk> <s> </s> as ids 0 1 2 3. Received: {ids}.")
    return processor


def _training_lines(texts, max_characters: int) -> list[str]:
    """The lines to learn from, without the rarest characters, cut to a length the trainer takes."""
    texts = [text.translate(_NOT_LEARNED) for text in texts]
    counts = collections.Counter()
    for text in texts:
        counts.update(text)
    del counts["\n"]
    total, covered, kept = sum(counts.values()), 0, set()
    for char, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if covered >= CHARACTER_COVERAGE * total or len(kept) == max_characters:
            break
        kept.add(char)
        covered += count
    rare = {ord(char): "\n" for char in counts if char not in kept}
    lines = [
        line[start : start + TRAINING_LINE_CHARACTERS]
        for text in texts
        for line in (text.translate(rare) if rare else text).split("\n")
        for start in range(0, len(line), TRAINING_LINE_CHARACTERS)
    ]
    if not lines:
        raise no_text("sentencepiece")
    return lines


def _train_model(lines: list[str], config) -> bytes:
    import sentencepiece

    output = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        escapes, unescapes = pathlib.Path(folder, "escapes"), pathlib.Path(folder, "unescapes")
        escapes.write_text(_ESCAPES)
        unescapes.write_text(_UNESCAPES)
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(lines),
                model_writer=output,
                model_type=config.algorithm,
                vocab_size=config.vocabulary_size,
                hard_vocab_limit=False,  # a small corpus gives a smaller vocabulary
                character_coverage=1.0,
                byte_fallback=True,
                split_digits=True,
                allow_whitespace_only_pieces=True,
                normalization_rule_tsv=str(escapes),
                denormalization_rule_tsv=str(unescapes),
                remove_extra_whitespaces=False,
                add_dummy_prefix=False,
                user_defined_symbols=list(OWN_PIECES),
                pad_id=PAD_ID,
                unk_id=UNK_ID,
                bos_id=BOS_ID,
                eos_id=EOS_ID,
                unk_surface="\ufffd",
                # A constant: the trainer's sums, and so the model, depend on it.
                num_threads=4,
                minloglevel=2,
            )
        except RuntimeError as error:
            reason = str(error).split("] ")[-1].strip() or str(error)
            raise UserError(
                f"SentencePiece could not train ({reason}); "
                "give more text or another `vocabulary_size`."
            ) from None
    return _finish(output.getvalue(), config.algorithm)


def _finish(model: bytes, algorithm: str) -> bytes:
    """Rounds the scores, and removes what differs from one training to the next."""
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model)
    for spec in (proto.normalizer_spec, proto.denormalizer_spec):
        spec.ClearField("normalization_rule_tsv")  # the name of a temporary file
    normal = sentencepiece_model_pb2.ModelProto.SentencePiece.NORMAL
    for piece in proto.pieces:
        if piece.piece in OWN_PIECES:
            # The search would give a user-defined piece a score that is no multiple of the step.
            piece.type, piece.score = normal, 0.0
        elif algorithm == "unigram" and piece.type == normal:
            piece.score = round(piece.score / SCORE_STEP) * SCORE_STEP
    return proto.SerializeToString(deterministic=True)
