"""Where a model looked in the source while it wrote a target: as numbers, and drawn.

Shapes: S source tokens, T target tokens, both with their EOS.
"""

import dataclasses
import io
import warnings

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INCHES_A_TOKEN = 0.24
MOST_TOKENS = 80  # that are drawn, of either side


@dataclasses.dataclass(frozen=True)
class AttentionMap:
    """
    Attributes:
        weights: (T, S) lists of numbers; a row adds up to 1.
        source, target: the pieces, S and T of them.
    """

    weights: list[list[float]]
    source: list[str]
    target: list[str]


def attention_map(
    model, tokenizer, source_tokenizer, source_ids, target_ids
) -> AttentionMap | None:
    """The map of one translation; None for a model that does not say where it looks.

    Args:
        model: of `tflm.models`; an encoder-decoder has `source_attention`.
        source_ids: `tokens..., eos`. target_ids: `tokens...`. Cut where the model reads no more.
    """
    if not hasattr(model, "source_attention"):
        return None
    from keras import ops

    source_ids = list(source_ids)[: model.max_source_length]
    read = [tokenizer.bos_id, *target_ids][: model.max_sequence_length]
    target_ids = [*read[1:], tokenizer.eos_id]
    weights = model.source_attention(np.array([read], "int32"), np.array([source_ids], "int32"))
    return AttentionMap(
        np.round(np.array(ops.convert_to_numpy(weights), "float64")[0], 4).tolist(),
        [source_tokenizer.piece(int(i)) for i in source_ids],
        [tokenizer.piece(int(i)) for i in target_ids],
    )


def figure(found: AttentionMap, ink: str = "black") -> Figure:
    """The map drawn: a column for each token of the source, a row for each of the target."""
    # A dollar sign would begin a formula.
    source, target = (
        [name.replace("$", r"\$") for name in names[:MOST_TOKENS]]
        for names in (found.source, found.target)
    )
    size = [1.2 + INCHES_A_TOKEN * len(names) for names in (source, target)]
    drawn = Figure(figsize=size, layout="constrained")
    axes = drawn.add_subplot()
    weights = np.array(found.weights)[: len(target), : len(source)]
    axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    axes.set_xticks(range(len(source)), source, rotation=90, color=ink)
    axes.set_yticks(range(len(target)), target, color=ink)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return drawn


def png(found: AttentionMap) -> bytes:
    """The map as a PNG image."""
    output = io.BytesIO()
    with warnings.catch_warnings():
        # matplotlib's own fonts lack many scripts; the map is worth having without its names.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        FigureCanvasAgg(figure(found)).print_png(output)
    return output.getvalue()
