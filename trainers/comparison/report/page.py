"""The page of a comparison: one HTML file without a script, with its style and charts inside."""

import datetime

import tflm
from trainers.comparison.ranking import Comparison
from trainers.comparison.report import curves, numbers, sections
from trainers.comparison.report.markup import Markup, element, joined
from trainers.comparison.report.style import STYLE

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def page(comparison: Comparison) -> str:
    """The whole page."""
    models = [run for run in comparison.runs if run.is_language_model]
    title = "Model comparison: " + ", ".join(run.name for run in comparison.runs)
    return document(
        title,
        _heading(comparison),
        sections.results(comparison),
        _curves(comparison),
        sections.trade_offs(comparison),
        sections.samples(comparison) if comparison.prompts and models else "",
        sections.nearest(comparison),
        sections.corpus(comparison),
        sections.settings(comparison),
    )


def document(title: str, *parts) -> str:
    """A whole page of some parts."""
    written = f"Written by tflm {tflm.__version__} on {datetime.date.today().isoformat()}."
    body = joined(*parts, element("footer", written))
    # Not str.format: the style is full of braces.
    return (
        TEMPLATE.replace("{title}", str(element("title", title))[len("<title>") : -len("</title>")])
        .replace("{style}", STYLE)
        .replace("{body}", body)
    )


def _heading(comparison: Comparison) -> Markup:
    runs = comparison.runs
    counts = runs[0].card["splits"][comparison.split]
    corpus = runs[0].card["corpus"]["train"]
    what = f"{len(runs)} model{'s' * (len(runs) != 1)} trained on {corpus}, "
    scored = (
        f"scored on the whole {comparison.split} split: {numbers.size(counts['bytes'])} of text in "
        f"{counts['documents']:,} documents, every token predicted exactly once."
    )
    return joined(element("h1", "Model comparison"), element("p", what, scored, class_="lead"))


def _curves(comparison: Comparison) -> Markup:
    numbered = list(enumerate(comparison.runs))
    models = [(i, run) for i, run in numbered if run.is_language_model]
    vectors = [(i, run) for i, run in numbered if not run.is_language_model]
    parts = []
    for heading, text, runs, panels in (
        (
            "Bits per byte",
            "Strong lines with marks: validation. Thin lines: the training text, at its own number of tokens a byte. "
            "The last validation may be of a part of the split; the table has all of it. Operations are the model's: "
            "6 for each weight that a token is multiplied by, and those of attention.",
            models,
            curves.bits_per_byte(models),
        ),
        (
            "Loss",
            "Nats per token. Tokens differ from tokenizer to tokenizer; between models compare bits per byte.",
            models,
            curves.loss(models),
        ),
        (
            "Loss of the word vectors",
            "Of one pair and its negatives.",
            vectors,
            curves.loss(vectors),
        ),
    ):
        if panels:
            parts += [
                element("h3", heading),
                element("p", text, class_="muted"),
                sections.legend(runs),
            ]
            parts.append(element("div", [element("figure", p) for p in panels], class_="charts"))
    return joined(element("h2", "Training"), parts) if parts else Markup("")
