"""Attention maps as charts of the page."""

from trainers.attention_maps import AttentionMap, figure
from trainers.comparison.report import charts
from trainers.comparison.report.markup import Markup


def attention_chart(title: str, found: AttentionMap) -> Markup:
    """An <svg> element; its names are text in the page's fonts."""
    drawn = figure(found, ink=charts.INK)
    drawn.patch.set_visible(False)
    return charts.svg(drawn, title)
