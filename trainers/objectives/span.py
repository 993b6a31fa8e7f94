"""The objective span: where in a context the answer to a question stands.

Devlin et al. 2019, sections 4.2 and 4.3: the cross-entropies of the answer's first and of its last token among the
tokens of a window, and the best span of all windows of a question.

Shapes: B windows, T tokens of a window.
"""

import dataclasses

from tflm.config import check_choices, check_ranges
from tflm.data.encoded_questions import ADDED_TOKENS, WindowLimits
from tflm.data.features import LABELS, PADDING_MASK, WEIGHTS
from tflm.errors import UserError
from tflm.metrics.answers import METRICS, answer_scores, no_answer_scores


@dataclasses.dataclass
class SpanConfig:
    """
    Attributes:
        window_tokens: the most tokens of a window, the question and some of the context; 0: train.sequence_length.
        doc_stride: tokens from the begin of one window's part of a long context to that of the next.
        max_question_tokens: the rest of a question is cut off.
        max_answer_tokens: an answer that is given has no more.
        n_best: answers that are found for each question.
        no_answer: whether the reader may say that there is no answer (SQuAD 2.0).
        no_answer_threshold: by how much more its score must then be than that of the best answer.
        metric: one of `tflm.metrics.answers.METRICS`: squad, squad_v2 or cmrc.
    """

    window_tokens: int = 0
    doc_stride: int = 128
    max_question_tokens: int = 64
    max_answer_tokens: int = 30
    n_best: int = 20
    no_answer: bool = False
    no_answer_threshold: float = 0.0
    metric: str = "squad"

    def __post_init__(self):
        check_ranges(
            self,
            "objective.",
            window_tokens=(0, None),
            doc_stride=(1, None),
            max_question_tokens=(1, None),
            max_answer_tokens=(1, None),
            n_best=(1, None),
        )
        check_choices(self, "objective.", metric=METRICS)
        if self.no_answer != (self.metric == "squad_v2"):
            raise UserError(
                "objective.no_answer=True goes with objective.metric='squad_v2', and with no other. "
                f"Received: no_answer={self.no_answer}, metric={self.metric!r}."
            )

    def complete(self, model_config, train) -> None:
        """Takes over the length of a window.

        Raises:
            UserError: where there is no room for the context, or the model reads less than a window.
        """
        self.window_tokens = self.window_tokens or train.sequence_length
        if self.window_tokens > train.sequence_length:
            raise UserError(
                "`objective.window_tokens` must be at most `train.sequence_length`. Received: "
                f"{self.window_tokens} and {train.sequence_length}."
            )
        if self.window_tokens <= self.max_question_tokens + ADDED_TOKENS:
            raise UserError(
                f"A window must have room for `objective.max_question_tokens`, {ADDED_TOKENS} tokens around the texts "
                "and some of the context: raise `train.sequence_length`. Received: "
                f"{self.window_tokens} tokens, {self.max_question_tokens} of them for the question."
            )
        if getattr(getattr(model_config, "encoder", None), "num_segments", 2) < 2:
            raise UserError(
                "A question and its context are two segments: model.encoder.num_segments must be 2 at least. "
                f"Received: {model_config.encoder.num_segments}."
            )

    @property
    def limits(self) -> WindowLimits:
        return WindowLimits(self.window_tokens, self.doc_stride, self.max_question_tokens)


class SpanObjective:
    score_name = "answer_error"
    families = ("span_reader",)

    def __init__(self, config: SpanConfig):
        self.config = config
        self._tokenizer = None

    def training_texts(self, data, sample_bytes: int, seed: int, progress=None):
        """What the tokenizer is trained on: questions and contexts."""
        from tflm.data.question_store import question_texts
        from tflm.data.training_texts import training_texts

        return training_texts(
            data,
            sample_bytes,
            seed,
            progress=progress,
            read=question_texts,
            owner=lambda text: text.context,
        )

    def read_tokenizers(self, tokenizer, source_tokenizer) -> None:
        self._tokenizer = tokenizer

    def open_store(self, data, tokenizer, progress=None):
        from tflm.data.question_store import build_question_store

        return build_question_store(data, tokenizer, self.config.limits, progress=progress)

    def batches(self, split, model, train):
        from tflm.data.text_batches import TextBatches

        frame = (self._tokenizer.pad_id, self._tokenizer.eos_id)
        return TextBatches(split, frame, train.sequence_length, train.batch_size, train.seed)

    def initial_carry(self, model, batch_size: int) -> dict:
        return {}

    def loss(self, model, batch, carry):
        """The mean of the cross-entropies of both ends, where padding is no choice."""
        from keras import ops

        from tflm.metrics.cross_entropy import cross_entropy
        from trainers.objectives.span_answers import logits_of

        logits = logits_of(model, batch, training=True)  # (B, T, 2)
        logits = ops.where(batch[PADDING_MASK][..., None], logits, -1e9)
        losses = cross_entropy(ops.transpose(logits, (0, 2, 1)), batch[LABELS])
        return ops.sum(ops.mean(losses, axis=-1) * batch[WEIGHTS]), carry

    def reader(self, model, train, tokenizer):
        """What answers the questions of a split, see `span_answers.AnswerFinder`."""
        from trainers.objectives.span_answers import AnswerFinder

        return AnswerFinder(self.config, model, train, tokenizer)

    def evaluator(self, model, train, tokenizer):
        read = self.reader(model, train, tokenizer)

        def evaluate(split, max_tokens: int = 0, progress=None) -> dict:
            """max_tokens: of the windows that are read, in the order of the questions; 0 for all."""
            texts, answers, differences = [], [], []
            for question, found in read(split, max_tokens, progress):
                texts.append(found.text())
                answers.append([answer.text for answer in question.answers])
                differences.append(found.no_answer - found.best[0].score if found.best else 0.0)
            if self.config.no_answer:
                threshold = self.config.no_answer_threshold
                scores = no_answer_scores(texts, answers, differences, threshold)
            else:
                scores = answer_scores(texts, answers, self.config.metric)
            return {
                "answer_error": 1 - scores["f1"] / 100,
                **scores,
                "num_questions": len(texts),
                "unknown_share": split.unknown_share,
            }

        return evaluate
