"""Texts in, texts out: the tokenizers, the reading of the source and the beam search inside one graph.

Signatures:

    translate         text (N,), max_tokens                  -> text (N,), score (N,), token_ids (N, L), num_tokens (N,)
    translate_n_best  text (N,), max_tokens                  -> texts (N, K), scores (N, K), the best first
    serving_default   text (N,)                              -> as `translate`

`max_tokens` has a default that model servers fill in; from Python, call `loaded.translate(text, ...)`. The beam size
K and the length penalty are those of the export. A score is the log-probability over the length penalty.

Shapes: N texts, S source, P prompt, L longest target, K beam.
"""

import dataclasses

import tensorflow as tf

from export import signatures
from export.prover import UNBOUNDED_LENGTH
from export.sequence_signatures import require_within
from export.source_reader import reader_of
from export.text_vectors import TEXT, text_twin
from tflm.generation.beam import BeamConfig, beam_search
from tflm.generation.readers import never_written

MAX_TOKENS = tf.TensorSpec((), tf.int32, name="max_tokens")


def beam_of(run, lengths) -> BeamConfig:
    """The beam search of an export.

    Args:
        lengths: an export.lengths.Lengths.
    """
    return BeamConfig(
        beam_size=lengths.beam_size,
        length_penalty=lengths.length_penalty,
        max_length=run.model.max_sequence_length or UNBOUNDED_LENGTH,
    )


def takes_strings(run) -> bool:
    """Whether both tokenizers have a twin in the graph."""
    return None not in (text_twin(run.tokenizer), text_twin(run.source_tokenizer))


def text_signatures(run, module: tf.Module, functions: dict, beam: BeamConfig) -> dict:
    """The signatures above; none where a tokenizer has no twin in the graph.

    Args:
        module: made the owner of the twins.
        functions: those by ids, as concrete functions: the graph calls them instead of holding the model several times.
    """
    if not takes_strings(run):
        return {}
    module.tokenizer = module.source_tokenizer = text_twin(run.tokenizer)
    if run.source_tokenizer is not run.tokenizer:
        module.source_tokenizer = text_twin(run.source_tokenizer)
    reader, tokenizer = reader_of(run), run.tokenizer
    begin = _encoded if reader.has_encoder else _prompted

    def search(text, max_tokens, num_best):
        tf.debugging.Assert(tf.shape(text)[0] >= 1, ["`text` must hold at least one string."])
        in_range = tf.logical_and(max_tokens >= 1, max_tokens <= beam.max_length)
        tf.debugging.Assert(in_range, [f"`max_tokens` must be from 1 to {beam.max_length}."])
        rows, num_tokens = reader.ids_in_graph(module.source_tokenizer, text)
        start = begin(run.model, functions, rows, max_tokens, tokenizer.bos_id)
        # A text of nothing has nothing to be translated.
        is_empty = num_tokens == 0
        start["limits"] = tf.where(is_empty, 0, start["limits"])
        ids, lengths, scores = beam_search(
            _step_of(functions),
            config=dataclasses.replace(beam, num_best=num_best),
            eos_id=tokenizer.eos_id,
            blocked=never_written(tokenizer),
            **start,
        )
        return ids, lengths, tf.where(is_empty[:, None], 0.0, scores)

    def texts_of(ids, lengths):
        return module.tokenizer.detokenize(tf.RaggedTensor.from_tensor(ids, lengths))

    def translate(text, max_tokens=tf.constant(beam.max_length)):  # noqa: B008
        ids, lengths, scores = (found[:, 0] for found in search(text, max_tokens, 1))
        return {
            "text": texts_of(ids, lengths),
            "score": scores,
            "token_ids": ids,
            "num_tokens": lengths,
        }

    def translate_n_best(text, max_tokens=tf.constant(beam.max_length)):  # noqa: B008
        ids, lengths, scores = search(text, max_tokens, beam.beam_size)
        flat = tf.reshape(ids, (-1, ids.shape[-1]))
        texts = texts_of(flat, tf.reshape(lengths, (-1,)))
        return {"texts": tf.reshape(texts, (-1, beam.beam_size)), "scores": scores}

    translate = signatures.traced(translate, input_signature=[TEXT, MAX_TOKENS])
    return {
        "translate": translate,
        "translate_n_best": signatures.traced(translate_n_best, input_signature=[TEXT, MAX_TOKENS]),
        "serving_default": signatures.traced(lambda text: translate(text), input_signature=[TEXT]),
    }


def _encoded(model, functions: dict, ids, max_tokens, bos_id: int) -> dict:
    """What a beam begins with where an encoder reads the sources.

    Args:
        ids: (N, ragged) int32, see `source_reader`.
    """
    source_ids = ids.to_tensor(0)
    # EOS is a token that is chosen, too.
    longest = max_tokens + 1
    if model.max_sequence_length is not None:
        longest = tf.minimum(longest, model.max_sequence_length)
    count = tf.shape(source_ids)[0]
    return {
        "state": functions["encode"](source_ids=source_ids, max_length=longest),
        "prompts": tf.fill((count, 1), bos_id),
        "limits": tf.fill((count,), longest),
    }


def _prompted(model, functions: dict, ids, max_tokens, bos_id: int) -> dict:
    """What a beam begins with where the sources are the beginnings of texts.

    Args:
        ids: as above.
    """
    limit = model.max_sequence_length
    lengths = tf.cast(ids.row_lengths(), tf.int32)
    require_within(tf.reduce_max(lengths) + 1, limit, "text")
    prompts = ids.to_tensor(0, shape=(None, limit))
    limits = tf.minimum(max_tokens + 1, limit - lengths)
    state = functions["initial_state"](
        batch_size=tf.shape(prompts)[0], max_length=tf.reduce_max(lengths + limits)
    )
    position = tf.reduce_min(lengths) - 1  # of the last token that is certain in every row

    def read():
        after = functions["prefill"](
            token_ids=prompts[:, :position], position=tf.constant(0), **state
        )
        del after["logits"]
        return after

    state = tf.cond(position > 0, read, lambda: state)
    return {
        "state": state,
        "prompts": prompts,
        "prompt_lengths": lengths,
        "position": position,
        "limits": limits,
    }


def _step_of(functions: dict):
    def step(token_ids, state, position):
        changed = functions["decode"](token_ids=token_ids, position=position, **state)
        return changed.pop("logits"), {**state, **changed}

    return step
