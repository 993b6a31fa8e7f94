"""SavedModel for model servers: ids to logits, text to text, words to vectors, in the layout of TensorFlow Serving.

    saved_model/1/{saved_model.pb, variables/, assets/}

Signatures, for a language model:

    score             token_ids (B, T)                       -> logits (B, T, V)
    initial_state     batch_size, max_length                 -> the state's tensors by name
    prefill, decode   token_ids (B, T), position, the state  -> logits (B, T, V), the state
    generate          text (N,) and the options below        -> text, completion, token_ids, num_tokens
    serving_default   text (N,)                              -> the same, greedy, DEFAULT_MAX_TOKENS at most
    embed             token_ids (B, T)                       -> vectors (B, T, D)
    embed_text        text (N,)                              -> vectors (N, D), the average over its tokens

Word vectors (word2vec, fasttext, glove) have beside `embed` and `embed_text`

    nearest           token_ids (N,), k                      -> token_ids (N, k), similarity (N, k)
    nearest_text      text (N,), k                           -> pieces (N, k), similarity (N, k)

and nothing else, but for word2vec trained as a language model. With FastText every word of a text has a vector: that
of a word which is not in the vocabulary is made of its n-grams, from the string, inside the graph.

A model that writes a target for a source has the signatures by ids of `sequence_signatures`, or of a language model
where it has no encoder, and those by text of `translation_graph`.

A tokenizer without a twin in the graph leaves out every signature with text. Word vectors whose words are split by
jieba have `embed_split_text` and `nearest_split_text` in their place, which want the words between spaces.

The options of `generate` have defaults that model servers fill in; from Python, call `loaded.generate(text, ...)`.
"""

import logging

import tensorflow as tf

from export import run_kind, sequence_signatures, signatures, text_vectors, translation_graph
from export.generation_graph import continue_prompts
from export.text_vectors import TEXT, TOKEN_IDS, text_twin
from tflm.generation.sampling import SamplingConfig
from tflm.run_kind import is_language_model, is_sequence_to_sequence

VERSION = "1"
DEFAULT_MAX_TOKENS = 64
MAX_TOKENS_LIMIT = 1 << 20


def _scalar(name, dtype=tf.int32):
    return tf.TensorSpec((), dtype, name=name)


def write(run, path, quantization: str, lengths) -> None:
    """Writes the folder `path`/1.

    Args:
        run: a tflm.run.Run, or anything with its model, tokenizer and experiment.
        quantization: "none".
        lengths: of its fields only those of the beam search count, every length is dynamic.
    """
    with signatures.portable_cache_update():
        if is_sequence_to_sequence(run.experiment):
            module, functions = _translator(run, lengths)
        else:
            module, functions = _model(run)
        for name, function in functions.items():
            setattr(module, name, function)
        # It announces every file it writes; the program says what was written, once it is proved.
        logger = logging.getLogger("tensorflow")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            tf.saved_model.save(module, str(path / VERSION), signatures=functions)
        finally:
            logger.setLevel(level)


def _model(run):
    """The module of a language model or of word vectors, and its signatures."""
    table = signatures.VectorTable(run)
    module = signatures.module_of(run, table)
    functions = text_vectors.by_ids(run, table)
    twin = text_twin(run.tokenizer)
    if twin is not None:
        module.tokenizer = twin
        functions |= text_vectors.by_text(run, module, table, twin)
    elif run_kind.has_word_vectors(run.experiment) and run.tokenizer.kind == "word":
        module.vocabulary = text_vectors.split_twin(run.tokenizer)
        functions |= text_vectors.by_text(run, module, table, module.vocabulary, "split_text")
    if is_language_model(run.experiment):
        functions |= _language_model_signatures(run.model)
        if twin is not None:
            functions |= _generation_signatures(run, twin, functions)
    return module, functions


def _translator(run, lengths):
    """The module of a model that writes a target for a source, and its signatures."""
    module = signatures.module_of(run)
    if run_kind.has_encoder(run.experiment):
        functions = sequence_signatures.by_ids(run.model)
    else:
        functions = _language_model_signatures(run.model)
    beam = translation_graph.beam_of(run, lengths)
    return module, functions | translation_graph.text_signatures(run, module, functions, beam)


def _language_model_signatures(model) -> dict:
    functions = {
        "score": signatures.traced(signatures.score(model), input_signature=[TOKEN_IDS]),
        "initial_state": signatures.traced(
            signatures.initial_state(model),
            input_signature=[_scalar("batch_size"), _scalar("max_length")],
        ),
    }
    functions = {name: f.get_concrete_function() for name, f in functions.items()}
    state = functions["initial_state"].structured_outputs
    specs = {name: tf.TensorSpec(t.shape, t.dtype, name=name) for name, t in state.items()}
    for name, time in (("prefill", None), ("decode", 1)):
        functions[name] = signatures.traced(signatures.step(model)).get_concrete_function(
            token_ids=tf.TensorSpec((None, time), tf.int32, name="token_ids"),
            position=_scalar("position"),
            **specs,
        )
    return functions


def _generation_signatures(run, twin, functions: dict) -> dict:
    tokenizer = run.tokenizer

    def complete(text, max_tokens, sampling):
        _check_options(text, max_tokens, sampling)
        ids = tf.cast(twin.tokenize(text), tf.int32)
        bos = tf.fill((tf.shape(text)[0], 1), tokenizer.bos_id)
        prompts = tf.concat([tf.RaggedTensor.from_tensor(bos), ids], axis=1)
        token_ids, num_tokens = continue_prompts(
            run.model, functions, prompts, max_tokens, tokenizer.eos_id, sampling
        )
        lengths = tf.cast(prompts.row_lengths(), tf.int32)
        whole = twin.detokenize(tf.RaggedTensor.from_tensor(token_ids, lengths + num_tokens))
        # The continuation is what the whole has more than the prompt: taken alone its first word would lose its space.
        prompt_bytes = tf.minimum(tf.strings.length(twin.detokenize(ids)), tf.strings.length(whole))
        rest = tf.strings.length(whole) - prompt_bytes
        completion = tf.strings.substr(whole, prompt_bytes, rest)
        return {
            "text": tf.strings.join([text, completion]),
            "completion": completion,
            "token_ids": token_ids,
            "num_tokens": num_tokens,
        }

    # Defaults that are tensors are written into the signature, for model servers.
    defaults = {name: tf.constant(value) for name, value in vars(SamplingConfig()).items()}

    def generate(
        text,
        max_tokens=tf.constant(DEFAULT_MAX_TOKENS),  # noqa: B008
        temperature=defaults["temperature"],
        top_k=defaults["top_k"],
        top_p=defaults["top_p"],
        min_p=defaults["min_p"],
        repetition_penalty=defaults["repetition_penalty"],
        seed=defaults["seed"],
    ):
        sampling = {
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "min_p": min_p,
            "repetition_penalty": repetition_penalty,
            "seed": seed,
        }
        return complete(text, max_tokens, sampling)

    options = [
        TEXT,
        _scalar("max_tokens"),
        _scalar("temperature", tf.float32),
        _scalar("top_k"),
        _scalar("top_p", tf.float32),
        _scalar("min_p", tf.float32),
        _scalar("repetition_penalty", tf.float32),
        _scalar("seed"),
    ]
    generate = signatures.traced(generate, input_signature=options)

    def serving_default(text):
        return generate(text, temperature=tf.constant(0.0))

    return {
        "generate": generate,
        "serving_default": signatures.traced(serving_default, input_signature=[TEXT]),
    }


def _check_options(text, max_tokens, sampling) -> None:
    """Refuses in the graph what `SamplingConfig` refuses in Python."""
    checks = [(tf.shape(text)[0] >= 1, "`text` must hold at least one string.")]
    for name, value, low, high in (
        ("max_tokens", max_tokens, 0, MAX_TOKENS_LIMIT),
        ("temperature", sampling["temperature"], 0.0, 100.0),
        ("top_k", sampling["top_k"], 0, 2**31 - 1),
        ("top_p", sampling["top_p"], 0.0, 1.0),
        ("min_p", sampling["min_p"], 0.0, 1.0),
        ("repetition_penalty", sampling["repetition_penalty"], 0.01, 100.0),
        ("seed", sampling["seed"], 0, 2**31 - 1),
    ):
        in_range = tf.logical_and(value >= low, value <= high)
        checks.append((in_range, f"`{name}` must be from {low} to {high}."))
    for condition, message in checks:
        tf.debugging.Assert(condition, [message])
