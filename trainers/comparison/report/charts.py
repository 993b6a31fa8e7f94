"""Charts as inline SVG, drawn by matplotlib without a display.

Colours are stand-ins that become CSS variables of the page, so that a chart follows its light or dark theme, and its
text is text, in the page's fonts.
"""

import io
import re
import warnings

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from trainers.comparison.report import numbers
from trainers.comparison.report.markup import Markup, escape

NUM_COLOURS = 8  # of --series-0 to --series-7; further runs repeat them with another dash
DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)))
# As matplotlib names them, and as a character for a legend.
MARKERS = (("o", "●"), ("s", "■"), ("^", "▲"), ("D", "◆"), ("v", "▼"))
INK, _MUTED, _GRID = "#010101", "#010102", "#010103"
_VARIABLES = {INK: "var(--ink)", _MUTED: "var(--muted)", _GRID: "var(--grid)"} | {
    f"#0102{i:02x}": f"var(--series-{i})" for i in range(NUM_COLOURS)
}
_PANEL_INCHES = (4.7, 3.2)
_SIZES = {
    "font.size": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "svg.fonttype": "none",
}


def series_colour(index: int) -> str:
    return f"#0102{index % NUM_COLOURS:02x}"


def curves(title: str, x_name: str, y_name: str, lines: list[dict], x_text=numbers.count) -> Markup:
    """Lines over training.

    Args:
        title: for who cannot see it.
        lines: each with `series` (number of the run), `x`, `y`, and `is_training`: drawn thin, without markers.
        x_text: a number of the x axis -> its text.

    Returns:
        An <svg> element.
    """
    figure, axes = _panel(x_name, y_name)
    for line in lines:
        index = line["series"]
        style = {"color": series_colour(index), "linestyle": DASHES[index // NUM_COLOURS % 3]}
        if line["is_training"]:
            axes.plot(line["x"], line["y"], linewidth=1.2, alpha=0.6, **style)
        else:
            axes.plot(line["x"], line["y"], linewidth=2, marker="o", markersize=4, **style)
    # Round numbers of the unit that is written: seconds in minutes would be 3.33.
    longest = max(x for line in lines for x in line["x"])
    unit = numbers.clock_unit(longest) if x_text is numbers.clock else 1
    axes.set_xticks(MaxNLocator(4).tick_values(0, longest / unit) * unit)
    axes.set_xlim(0, 1.04 * longest)
    _clip_first_descent(axes, lines)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: x_text(x)))
    return svg(figure, title)


def _clip_first_descent(axes, lines) -> None:
    """Leaves out of view the top of the curves where the first steps would flatten all the rest."""
    values = [y for line in lines for y in line["y"]]
    late = [y for line in lines for y in line["y"][len(line["y"]) // 10 :]]
    if late and max(values) - min(values) > 2.5 * (max(late) - min(late)) > 0:
        margin = 0.05 * (max(late) - min(late))
        axes.set_ylim(min(values) - margin, max(late) + margin)


def scatter(title: str, x_name: str, y_name: str, points: list[dict], x_text) -> Markup:
    """Points over a logarithmic x axis; those of one run are joined by a thin line.

    Args:
        points: each with `series`, `x`, `y`, and `marker`, a number below len(MARKERS).
        x_text: a number of the x axis -> its text.
    """
    figure, axes = _panel(x_name, y_name)
    for series in sorted({point["series"] for point in points}):
        own = sorted((p for p in points if p["series"] == series), key=lambda p: p["x"])
        colour = series_colour(series)
        axes.plot(
            [p["x"] for p in own], [p["y"] for p in own], color=colour, linewidth=1, alpha=0.6
        )
        for point in own:
            marker = MARKERS[point["marker"]][0]
            axes.plot([point["x"]], [point["y"]], marker, color=colour, markersize=8)
    axes.set_xscale("log")
    smallest, largest = min(p["x"] for p in points), max(p["x"] for p in points)
    # A factor of nine at least, so that the axis has marks.
    room = max(1.4, (9 * smallest / largest) ** 0.5)
    axes.set_xlim(smallest / room, largest * room)
    axes.margins(y=0.2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: x_text(x)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    ticks = _log_ticks(*axes.get_xlim())
    axes.set_xticks(ticks)
    axes.set_xticks([], minor=True)
    return svg(figure, title)


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten; powers alone where that is enough."""
    powers = [10.0**n for n in range(-3, 16)]
    for factors in ((1,), (1, 3), (1, 2, 5)):
        ticks = [p * f for p in powers for f in factors if low <= p * f <= high]
        if len(ticks) >= 3:
            break
    return ticks


def _panel(x_name: str, y_name: str):
    with rc_context(_SIZES):
        figure = Figure(figsize=_PANEL_INCHES, layout="constrained")
        axes = figure.add_subplot()
        axes.set_xlabel(x_name, color=_MUTED)
        axes.set_ylabel(y_name, color=_MUTED)
    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
    axes.grid(True, axis="y", color=_GRID, linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_MUTED, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_GRID)
    return figure, axes


def svg(figure, title: str) -> Markup:
    """A figure as an <svg> element; `title` is for who cannot see it."""
    output = io.StringIO()
    # Ids are made of the drawing and this salt; two charts of one page must not share them.
    with rc_context(_SIZES | {"svg.hashsalt": title}), warnings.catch_warnings():
        # Its own fonts may lack a name's characters; the browser's have them.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        FigureCanvasSVG(figure).print_svg(output, metadata={"Date": None})
    return _inlined(output.getvalue(), title)


def _inlined(text: str, title: str) -> Markup:
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, variable)
    box = re.search(r'viewBox="[^"]*"', text).group()
    label = escape(title)
    opening = (
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {box} role="img" aria-label="{label}">'
        f"<title>{label}</title>"
    )
    return Markup(re.sub(r"<svg[^>]*>", lambda _: opening, text, count=1))
