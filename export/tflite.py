""".tflite for phones and browsers: builtin operators only, one text at a time, the state in the caller's hands.

Signatures, for a language model:

    prefill_N   token_ids (1, N), position (), the state  -> the state
    decode      token_ids (1, 1), position (), the state  -> logits (1, 1, V), the state

The state goes in and comes out under the same names, zeros before the first token. A prompt of n tokens is read by
prefill in chunks of N, all but its last token; that one goes into `decode`, whose logits are those of the next token.
Tokens that do not fill a chunk go through `decode` one by one. The caller keeps position + N within the cache.

An encoder-decoder has

    encode      source_ids (1, S)                        -> the state
    decode      token_ids (1, 1), position (), the state -> logits (1, 1, V), what the step changed of the state

A source of fewer than S tokens, EOS among them, has 0 behind it. The target begins with BOS at position 0. What begins
with `source_` in the state goes into every step and does not come out. The search is the caller's: greedy is a loop.

Word vectors (word2vec, fasttext, glove) have

    embed       token_ids (1, 1)  -> vectors (1, 1, D)
    nearest     token_ids (1,)    -> token_ids (1, K), similarity (1, K), K at most NUM_NEIGHBOURS

and nothing else, but for word2vec trained as a language model. A FastText file holds the vectors of its vocabulary,
n-grams added in. Strings are the caller's: no builtin operator takes a string apart, and phones lack those that do.
"""

import tempfile
from pathlib import Path

import tensorflow as tf

from export import run_kind, sequence_signatures, signatures
from export.lengths import Lengths
from export.shared_table import share_table
from tflm.errors import UserError
from tflm.run_kind import is_language_model, is_sequence_to_sequence

NUM_NEIGHBOURS = 10


def write(run, path: Path, quantization: str, lengths: Lengths) -> None:
    """Writes the file `path`.

    Args:
        run: a tflm.run.Run, or anything with its model and experiment.
        quantization: "none" (float32) or "dynamic_int8": int8 weights, embeddings too, and float32 in between.
        lengths: of the chunks and the cache.

    Raises:
        UserError: where the model needs an operator that is not builtin.
    """
    encodes = is_sequence_to_sequence(run.experiment) and run_kind.has_encoder(run.experiment)
    table = None if encodes else signatures.VectorTable(run)
    with signatures.one_table(run.model):
        if encodes:
            functions = sequence_signatures.by_fixed_ids(run.model, lengths.source, lengths.cache)
        else:
            functions = _signatures(run, table, lengths)
    module = signatures.module_of(run, table)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantization == "dynamic_int8":
            # Measured against ai-edge-quantizer: smaller, since embeddings are quantized too, and as close.
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        content = converter.convert()
    if quantization == "dynamic_int8":
        content = share_table(content)
    foreign = operators_that_are_not_builtin(content)
    if foreign:
        raise UserError(
            f"This model needs operators that no plain .tflite runtime has: {', '.join(foreign)}. "
            "Export it as saved_model."
        )
    path.write_bytes(content)


def _signatures(run, table, lengths: Lengths) -> dict:
    model = run.model
    functions = {}
    if is_language_model(run.experiment) or is_sequence_to_sequence(run.experiment):
        state = model.initial_state(1, lengths.cache)
        specs = {name: tf.TensorSpec(t.shape, t.dtype, name=name) for name, t in state.items()}
        specs["position"] = tf.TensorSpec((), tf.int32, name="position")
        for n in lengths.prefill:
            token_ids = tf.TensorSpec((1, n), tf.int32, name="token_ids")
            functions[f"prefill_{n}"] = signatures.traced(
                signatures.prefill(model)
            ).get_concrete_function(token_ids=token_ids, **specs)
        functions["decode"] = signatures.traced(
            signatures.step(model, checked=False)
        ).get_concrete_function(
            token_ids=tf.TensorSpec((1, 1), tf.int32, name="token_ids"), **specs
        )
    if run_kind.has_word_vectors(run.experiment):
        k = min(NUM_NEIGHBOURS, model.config.vocabulary_size - 1)
        functions["embed"] = signatures.traced(signatures.embed(table)).get_concrete_function(
            tf.TensorSpec((1, 1), tf.int32, name="token_ids")
        )
        functions["nearest"] = signatures.traced(
            signatures.nearest(table, k)
        ).get_concrete_function(tf.TensorSpec((1,), tf.int32, name="token_ids"))
    return functions


def operators_that_are_not_builtin(content: bytes) -> list[str]:
    """The custom operators of a .tflite, Flex operators among them, by name."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAsModel(content, 0)
    names = []
    for i in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(i)
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if builtin == schema.BuiltinOperator.CUSTOM or code.CustomCode():
            names.append((code.CustomCode() or b"CUSTOM").decode())
    return names
