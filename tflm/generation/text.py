"""From tokens that arrive one by one to text that can be shown, and the strings that end it."""

REPLACEMENT = "\ufffd"  # what decoding gives for bytes that do not make a character yet


class TextStream:
    """Collects the tokens of one continuation.

    Args:
        tokenizer: decodes them.
        stop: strings; the text ends before the first of them.
        prompt: the ids before the continuation. They are decoded with it, as a word's space may depend on the word
            before it, and are not part of what is returned.
    """

    def __init__(self, tokenizer, stop: tuple[str, ...] = (), prompt=()):
        self._tokenizer = tokenizer
        self._prompt, self._prompt_text = list(prompt), tokenizer.decode(list(prompt))
        self._stop = tuple(s for s in stop if s)
        self._ids, self._shown = [], ""
        self.ended = False

    def push(self, token: int) -> str:
        """Takes one token and returns what can be shown now.

        Bytes that do not make a whole character yet are held back, and so is text that may begin a stop string.
        """
        if self.ended:
            return ""
        self._ids.append(token)
        text = self._decode()
        ends = [text.find(stop) for stop in self._stop if stop in text]
        if ends:
            self.ended = True
            return self._show(text[: min(ends)])
        held = max((_overlap(text, stop) for stop in self._stop), default=0)
        safe = text[: len(text) - held] if held else text
        return self._show(safe.rstrip(REPLACEMENT))

    def finish(self) -> str:
        """What was held back, when no token follows."""
        if self.ended:
            return ""
        self.ended = True
        return self._show(self._decode())

    def _decode(self) -> str:
        whole = self._tokenizer.decode(self._prompt + self._ids)
        if whole.startswith(self._prompt_text):
            return whole[len(self._prompt_text) :]
        return self._tokenizer.decode(self._ids)  # the prompt's last bytes were half a character

    def _show(self, text: str) -> str:
        # A word tokenizer may decide about a space only when the next word is there: what was shown stays.
        new = text[len(self._shown) :]
        self._shown += new
        return new


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0


def continue_texts(decoder, tokenizer, prompts: list[str], max_tokens: int, sampling, stop=()):
    """Continues prompts side by side.

    Args:
        decoder: a `tflm.generation.decoding.Decoder`.
        max_tokens: of each continuation.
        sampling: SamplingConfig.
        stop: strings that end a continuation; they are not part of it.

    Yields:
        After every token a list of new text, one string (perhaps empty) for each prompt.
    """
    ids = [[tokenizer.bos_id, *tokenizer.encode(prompt)] for prompt in prompts]
    streams = [TextStream(tokenizer, stop, prompt) for prompt in ids]
    for tokens in decoder.generate(ids, max_tokens, sampling, (tokenizer.eos_id,)):
        yield [
            "" if token is None else stream.push(token)
            for stream, token in zip(streams, tokens, strict=True)
        ]
        if all(stream.ended for stream in streams):
            return
    yield [stream.finish() for stream in streams]


def complete(
    decoder, tokenizer, prompts: list[str], max_tokens: int, sampling, stop=()
) -> list[str]:
    """The whole continuations of `continue_texts`, without the prompts."""
    texts = ["" for _ in prompts]
    for pieces in continue_texts(decoder, tokenizer, prompts, max_tokens, sampling, stop):
        texts = [text + piece for text, piece in zip(texts, pieces, strict=True)]
    return texts
