"""The page of a comparison of runs that write a target for a source."""

from trainers.comparison.report import curves, sections
from trainers.comparison.report.attention import attention_chart
from trainers.comparison.report.markup import Markup, element, joined, table
from trainers.comparison.report.page import document
from trainers.comparison.translation_table import artifacts_of, cells_of, headings, notes_of
from trainers.comparison.translations import TranslationComparison
from trainers.evaluation.translation import FIGURES

LOSS = (
    "Nats per token of the targets. Strong lines with marks: validation. Thin lines: training, where label smoothing "
    "is part of the loss. Tokens differ from tokenizer to tokenizer."
)
SCORE = "Of the first pairs of the validation, decoded greedily during the training."
MAPS = (
    "Rows are the tokens that were written, columns those that were read; the darker, the more of its attention a "
    "model gave to it (of the Transformer the last layer, the mean of its heads)."
)


def page(comparison: TranslationComparison) -> str:
    """The whole page."""
    runs = comparison.runs
    lead = (
        f"{len(runs)} model{'s' * (len(runs) != 1)} on the same {comparison.pairs:,} pairs of the {comparison.split} "
        f"split, by beam search with {comparison.search.beam_size} hypotheses."
    )
    return document(
        "Comparison of translations: " + ", ".join(run.name for run in runs),
        element("h1", "Comparison of translations"),
        element("p", lead, class_="lead"),
        _results(comparison),
        _curves(comparison),
        _samples(comparison),
        _maps(comparison),
        sections.settings(comparison),
    )


def _results(comparison: TranslationComparison) -> Markup:
    columns = headings(comparison)
    rows = []
    for index, run in enumerate(comparison.runs):
        name = element("span", sections.label(index, run), class_="best" if not index else None)
        rows.append(
            [
                index + 1,
                joined(name, element("div", run.family, class_="muted")),
                *cells_of(run),
                *(sections.stack(lines) for lines in artifacts_of(run)),
            ]
        )
    text_columns = tuple(i for i, (_, is_text) in enumerate(columns) if is_text)
    names = [heading.replace("\n", " ") for heading, _ in columns]
    notes = [element("div", note, class_="note") for note in notes_of(comparison)]
    return joined(table(names, rows, text_columns, class_="wide"), notes)


def _curves(comparison: TranslationComparison) -> Markup:
    runs = list(enumerate(comparison.runs))
    parts = []
    panels = [("Loss", LOSS, curves.loss(runs))]
    for key, name in FIGURES.items():
        if key in comparison.runs[0].score:
            panels.append((name, SCORE, curves.score(key, name, runs)))
    for heading, text, drawn in panels:
        if drawn:
            parts += [
                element("h3", heading),
                element("p", text, class_="muted"),
                sections.legend(runs),
            ]
            parts.append(element("div", [element("figure", p) for p in drawn], class_="charts"))
    return joined(element("h2", "Training"), parts) if parts else Markup("")


def _samples(comparison: TranslationComparison) -> Markup:
    parts = [element("h2", "Samples")]
    for number, (source, reference) in enumerate(comparison.samples):
        rows = [["source", _text(source)], ["reference", _text(reference)]]
        for index, run in enumerate(comparison.runs):
            rows.append([sections.label(index, run), _text(run.translations[number])])
        parts.append(table(["", f"sample {number + 1}"], rows, (0, 1), class_="wide samples"))
    return joined(parts)


def _text(text: str) -> Markup:
    return element("div", text, class_="sample")


def _maps(comparison: TranslationComparison) -> Markup:
    figures = []
    for index, run in enumerate(comparison.runs):
        for number, found in enumerate(run.maps, 1):
            title = f"{run.name}, sample {number}"
            caption = element("figcaption", sections.label(index, run), f", sample {number}")
            figures.append(element("figure", caption, attention_chart(title, found)))
    if not figures:
        return Markup("")
    return joined(
        element("h2", "Where the models looked"),
        element("p", MAPS, class_="muted"),
        element("div", figures, class_="charts"),
    )
