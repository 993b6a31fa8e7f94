"""What `generate` does with a search and its prompts: a stream on the terminal, whole texts, or a file."""

import sys
import time

from tflm.errors import UserError


def to_terminal(speaker, search, prompts: list[str], stop, is_interactive: bool, truncate: bool):
    """A function of a list of prompts, which prints what the model says to them.

    Args:
        speaker: trainers.speakers.Speaker.
        search: BeamConfig or DrawConfig.
        prompts: those that are known, to make room for the longest.
        stop: strings that end a continuation.
        truncate: cut sources that are too long.
    """
    from tflm.generation.translate import DrawConfig

    if isinstance(search, DrawConfig) and not speaker.reads_sources:
        return _stream(speaker, search, prompts, stop, is_interactive)
    if stop:
        raise UserError("--stop ends continuations that are drawn, nothing else. Leave it out.")
    translator = speaker.translator(truncate)

    def answer(batch):
        for prompt, found in zip(batch, translator.candidates(batch, search), strict=True):
            for candidate in found:
                text = candidate.text if speaker.reads_sources else prompt + candidate.text
                print(text if len(found) == 1 else f"{candidate.score:.4f}\t{text}", flush=True)
            if len(batch) > 1 and (len(found) > 1 or not speaker.reads_sources):
                print("---", flush=True)

    return answer


def _stream(speaker, search, prompts, stop, is_interactive):
    from tflm.generation.decoding import Decoder
    from tflm.generation.text import continue_texts

    tokenizer = speaker.tokenizer
    longest = max((len(tokenizer.encode(prompt)) for prompt in prompts), default=0)
    if is_interactive:
        longest = max(longest, 512)
    decoder = Decoder(speaker.model, longest + 1 + search.max_length)

    def answer(batch):
        """Streams a single prompt; several are printed whole, in order."""
        texts, started, count = list(batch), time.perf_counter(), 0
        if len(batch) == 1:
            print(batch[0], end="", flush=True)
        for pieces in continue_texts(
            decoder, tokenizer, batch, search.max_length, search.sampling, stop
        ):
            count += 1
            texts = [text + piece for text, piece in zip(texts, pieces, strict=True)]
            if len(batch) == 1:
                print(pieces[0], end="", flush=True)
        if len(batch) == 1:
            print(flush=True)
        else:
            for text in texts:
                print(f"{text}\n---")
        speed = count * len(batch) / (time.perf_counter() - started)
        print(f"({speed:,.0f} tokens/s, compilation included)", file=sys.stderr)

    return answer


def to_file(
    speaker, search, input_file: str, output_file: str, with_scores: bool, truncate: bool
) -> None:
    """Translates a file, shows how far it is, and says in one line what was done."""
    from pathlib import Path

    from trainers.file_translation import translate_file
    from trainers.terminal import Progress, say

    started, progress = time.perf_counter(), Progress("lines")
    try:
        done = translate_file(
            speaker.translator(truncate),
            search,
            Path(input_file).expanduser(),
            Path(output_file).expanduser(),
            {**speaker.identity(), "truncate": truncate},
            with_scores,
            progress=lambda count, total: progress("translate", count, total),
        )
    finally:
        progress.close()
    seconds, new = time.perf_counter() - started, done.num_lines - done.num_resumed
    notes = [f"{done.num_resumed:,} of them before this start"] if done.num_resumed else []
    notes += [f"{done.num_truncated:,} cut at the model's limit"] if done.num_truncated else []
    notes += [f"{new / seconds:,.1f} lines/s, compilation included"]
    say(f"Wrote {done.num_lines:,} lines to {output_file} ({'; '.join(notes)}).")
