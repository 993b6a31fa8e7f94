"""Which proof an artifact needs, and the Keras model's side of it, made once for all artifacts of a run."""

from pathlib import Path

from export import formats, lengths
from tflm.run_kind import is_language_model, is_sequence_to_sequence

UNBOUNDED_LENGTH = 256  # what a state of a fixed size is asked for in its place of a cache length


class Prover:
    """Makes the Keras model's side of the proof once, and only where something has been written."""

    def __init__(self, run, chunk_lengths: lengths.Lengths, held_out, sets, num_pairs: int, say):
        self.run, self.lengths, self.held_out, self.say = run, chunk_lengths, held_out, say
        self.sets, self.num_pairs = sets, num_pairs
        self.expected = None

    def prove(self, path: Path, name: str, quantization: str):
        from export import prove_word_vectors, vectors_file
        from export.fresh_interpreter import Proof, ProofFailed

        try:
            if formats.FORMATS[name].is_vectors_file:
                return vectors_file.prove(self.run, path, name, self.sets)
            if is_sequence_to_sequence(self.run.experiment):
                return self._prove_translator(path, name, quantization)
            if is_language_model(self.run.experiment):
                return self._prove_language_model(path, name, quantization)
            return prove_word_vectors.prove(self.run, path, name, quantization, self.sets)
        except ProofFailed as error:
            return Proof({}, [str(error)], {})

    def _max_length(self, name: str) -> int:
        limit = self.run.model.max_sequence_length or UNBOUNDED_LENGTH
        return (self.lengths.cache or limit) if name == "tflite" else limit

    def _prove_language_model(self, path: Path, name: str, quantization: str):
        from export import held_out, prove_language_model
        from export.text_vectors import text_twin

        if self.held_out is None:
            self.say("reading held-out text")
            self.held_out = held_out.from_run(self.run, self.lengths.cache)
        if self.expected is None:
            self.say("computing what the model says of it")
            self.expected = prove_language_model.reference(self.run, self.held_out)
        with_text = name == "saved_model" and text_twin(self.run.tokenizer) is not None
        length = self._max_length(name)
        return prove_language_model.prove(
            self.run, path, name, quantization, self.held_out, self.expected, length, with_text
        )

    def _prove_translator(self, path: Path, name: str, quantization: str):
        from export import held_out_pairs, prove_sequence_to_sequence
        from export.translation_graph import beam_of, takes_strings

        if self.held_out is None:
            self.say("reading held-out pairs")
            self.held_out = held_out_pairs.from_run(
                self.run, self.lengths.source, self.lengths.cache, self.num_pairs
            )
        if self.expected is None:
            self.say("computing what the model makes of them")
            self.expected = prove_sequence_to_sequence.reference(self.run, self.held_out)
        with_text = name == "saved_model" and takes_strings(self.run)
        return prove_sequence_to_sequence.prove(
            self.run,
            path,
            name,
            quantization,
            self.held_out,
            self.expected,
            self._max_length(name),
            self.lengths.source,
            beam_of(self.run, self.lengths) if with_text else None,
        )
