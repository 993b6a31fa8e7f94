"""word2vec's binary file (Mikolov et al. 2013, word2vec.c): a line "N D", then word, space, D float32, newline.

Some writers, gensim among them, leave the newline out; it is read as the start of the next word and dropped.

Shapes: N words, D hidden.
"""

import numpy as np

from tflm.vectors.builder import Builder
from tflm.vectors.text_format import header

_HEADER_BYTES = 64
_WORD_BYTES = 1 << 16
_WRITE_ROWS = 1024


def read(source, limit=None, unicode_errors="strict"):
    """See `formats.read`."""
    sizes = header(source.line(_HEADER_BYTES))
    if sizes is None:
        raise source.error(
            'it must begin with a line "N D": how many words there are, and dimensions'
        )
    promised, dim = sizes
    wanted = promised if limit is None else min(promised, limit)
    row_bytes = 4 * dim
    builder = Builder(source, dim, wanted, row_bytes + 1, unicode_errors)
    data, start, first = b"", 0, source.position  # `first`: where in the file `data` begins
    while builder.read < wanted:
        space = data.find(b" ", start)
        end = space + 1 + row_bytes
        if space < 0 or end > len(data):
            if space < 0 and len(data) - start > _WORD_BYTES:
                raise source.error(f"there is no word at byte {first + start}: no space follows")
            more = source.read(row_bytes + _WORD_BYTES)
            if not more:
                what = f"word {builder.read + 1} of {promised}"
                raise source.ends_early(what)
            data, first, start = data[start:] + more, first + start, 0
            continue
        vector = np.frombuffer(data, "<f4", dim, space + 1)
        builder.add(data[start:space].lstrip(b"\n"), vector, f"byte {first + start}")
        start = end
    if wanted == promised and (data[start:].strip() or source.read(_HEADER_BYTES).strip()):
        raise source.error(
            f"line 1 promises {promised} words of {dim} dimensions, which end at byte "
            f"{first + start}, but the file goes on; correct line 1"
        )
    return builder.finish()


def write(stream, names: list[bytes], table, progress) -> None:
    """See `formats.write`."""
    stream.write(b"%d %d\n" % table.shape)
    for i, name in enumerate(names):
        stream.write(name + b" " + table[i].astype("<f4").tobytes() + b"\n")
        if i % _WRITE_ROWS == 0:
            progress(i)
    progress(len(names))
