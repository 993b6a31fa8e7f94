"""The sections of the page, each a function of the comparison.

A run has the colour of its place in `comparison.runs`, everywhere on the page.
"""

from trainers.comparison.artifacts import NAMES
from trainers.comparison.ranking import Comparison, configuration_differences
from trainers.comparison.report import charts, numbers
from trainers.comparison.report.markup import Markup, element, joined, table
from trainers.comparison.runs import RunSummary
from trainers.comparison.table import notes_of


def label(index: int, run: RunSummary) -> Markup:
    """A run's name beside its colour."""
    colour = f"background: var(--series-{index % charts.NUM_COLOURS})"
    return element("span", element("span", class_="swatch", style=colour), run.name, class_="run")


def legend(runs: list[tuple[int, RunSummary]]) -> Markup:
    """The colours of some runs, given with their places."""
    return element("div", [element("span", label(i, run)) for i, run in runs], class_="legend")


def results(comparison: Comparison) -> Markup:
    """The table, the best first."""
    headings = ["", "model", "parameters", "bits per byte", "perplexity per word", "<unk>"]
    headings += [
        "training",
        "tokens seen",
        "exported as",
        "size",
        "tokens/s, one thread",
        "agreement",
    ]
    rows, places = [], {id(run): n for n, run in enumerate(comparison.ranked, 1)}
    for index, run in enumerate(comparison.runs):
        place, score = places.get(id(run)), run.score or {}
        best = "best" if place == 1 else None
        name = element("span", label(index, run), class_=best)
        rows.append(
            [
                place or numbers.MISSING,
                joined(name, element("div", run.family, class_="muted")),
                numbers.count(run.parameters),
                element("span", numbers.bits(score.get("bits_per_byte")), class_=best),
                numbers.perplexity(score.get("perplexity_per_word")),
                numbers.share(score.get("unknown_share")),
                numbers.duration(run.seconds),
                numbers.count(run.tokens),
                stack([a.name for a in run.artifacts] or ["not exported"]),
                stack([numbers.size(a.num_bytes) for a in run.artifacts]),
                stack([numbers.speed(a.tokens_per_second) for a in run.artifacts]),
                stack([numbers.share(a.agreement) for a in run.artifacts]),
            ]
        )
    explained = element(
        "p",
        "Bits per byte: how many bits the model needs for a byte of held-out text; less is better, and models with "
        "different tokenizers compare. Agreement: how often an exported file finds the same token most likely as "
        "the trained model; of word vectors, the share of nearest words that are the same.",
        class_="muted",
    )
    notes = [element("div", note, class_="note") for note in notes_of(comparison)]
    return joined(table(headings, rows, text_columns=(1, 8), class_="wide"), explained, notes)


def stack(lines: list) -> Markup:
    """Lines in one cell."""
    return element("div", [element("div", line) for line in lines], class_="stack")


def trade_offs(comparison: Comparison) -> Markup:
    """Quality against size and against speed."""
    by_parameters, by_size, by_speed = [], [], []
    # One marker for a kind of file, whatever else a run has.
    kinds = list(
        dict.fromkeys([*NAMES.values(), *(a.name for r in comparison.runs for a in r.artifacts)])
    )
    shown = [(index, run) for index, run in enumerate(comparison.runs) if run.score]
    for index, run in shown:
        bits = run.score["bits_per_byte"]
        by_parameters.append({"series": index, "marker": 0, "x": run.parameters, "y": bits})
        for artifact in run.artifacts:
            point = {"series": index, "marker": kinds.index(artifact.name) % len(charts.MARKERS)}
            point["y"] = bits + (artifact.bits_per_byte_change or 0.0)
            by_size.append(point | {"x": artifact.num_bytes})
            if artifact.tokens_per_second:
                by_speed.append(point | {"x": artifact.tokens_per_second})
    name, panels = "bits per byte", []
    for title, x_name, points, text in (
        ("Quality against parameters", "parameters", by_parameters, numbers.count),
        ("Quality against size", "size of the exported file", by_size, numbers.size),
        ("Quality against speed", "tokens per second, one thread", by_speed, numbers.count),
    ):
        if points:
            chart = charts.scatter(title, x_name, name, points, text)
            panels.append(element("figure", element("figcaption", title), chart))
    if not panels:
        return Markup("")
    used = {point["marker"] for point in by_size}
    markers = [
        element("span", f"{charts.MARKERS[i % len(charts.MARKERS)][1]} {kind}")
        for i, kind in enumerate(kinds)
        if i in used
    ]
    explained = element(
        "p",
        "Lower is better in all; to the left is smaller, to the right faster. An exported file stands at its "
        "model's bits per byte and the change that its proof measured.",
        class_="muted",
    )
    return joined(
        element("h2", "Quality, size and speed"),
        explained,
        legend(shown),
        element("div", markers, class_="legend muted") if by_size else "",
        element("div", panels, class_="charts"),
    )


def samples(comparison: Comparison) -> Markup:
    """What every model makes of the same prompts."""
    parts = [
        element("h2", "Samples"),
        element(
            "p",
            "Drawn at temperature 0.8, top-p 0.95, with the same seed for all; what was given is marked.",
            class_="muted",
        ),
    ]
    for number, prompt in enumerate(comparison.prompts):
        rows = []
        for index, run in enumerate(comparison.runs):
            if run.samples:
                given = element("span", prompt, class_="prompt")
                text = element("div", given, run.samples[number], class_="sample")
                rows.append([label(index, run), text])
        parts.append(table(["model", f"prompt {number + 1}"], rows, (0, 1), class_="wide samples"))
    return joined(parts)


def nearest(comparison: Comparison) -> Markup:
    """The nearest words of some frequent words, model beside model."""
    runs = [(i, run) for i, run in enumerate(comparison.runs) if run.nearest]
    if not runs:
        return Markup("")
    found = {i: dict(map(tuple, run.nearest)) for i, run in runs}
    words = dict.fromkeys(word for i, _ in runs for word in found[i])
    rows = []
    for word in words:
        cells = [_neighbours(found[i].get(word)) for i, _ in runs]
        rows.append([element("strong", word), *cells])
    headings = ["word", *(label(i, run) for i, run in runs)]
    explained = element(
        "p",
        "By the cosine of the input embeddings, which stands beside each word. Frequent words of the training text.",
        class_="muted",
    )
    columns = tuple(range(len(headings)))
    return joined(
        element("h2", "Nearest words"), explained, table(headings, rows, columns, class_="wide")
    )


def _neighbours(found) -> Markup | str:
    if found is None:
        return numbers.MISSING
    cells = [
        [word, " ", element("span", f"{cosine:.2f}", class_="muted")] for word, cosine in found
    ]
    return joined([element("div", cell) for cell in cells])


def corpus(comparison: Comparison) -> Markup:
    """The corpus' card: what the text is, how it is split, what was removed."""
    models = [run for run in comparison.runs if run.is_language_model] or comparison.runs
    card = models[0].card
    columns = ("documents", "bytes", "characters", "words", "duplicates_removed", "shared_removed")
    headings = ["split", "documents", "size", "characters", "words"]
    headings += ["duplicates removed", "shared with held-out, removed"]
    rows = []
    for name, counts in card["splits"].items():
        values = [f"{counts[column]:,}" for column in columns]
        values[1] = numbers.size(counts["bytes"])
        rows.append([name, *values])
    names = ", ".join(dict.fromkeys(card["corpus"].values()))
    skipped = card["skipped_files"]
    cut = {"section": "cut into sections", "file": "whole files", "line": "one line each"}
    facts = (
        f"{names}: {card['files']:,} file{'s' * (card['files'] != 1)}, "
        f"{skipped['unknown_kind']:,} of unknown kind and {skipped['bad']:,} unreadable ones left out. "
        f"Documents: {cut.get(card['documents'], card['documents'])}, split by a hash of their content. "
        f"Validation and test share {card['shared_by_validation_and_test']:,} documents."
    )
    tokens = []
    for index, run in enumerate(comparison.runs):
        splits, tokenizer = run.card["splits"], run.card["tokenizer"]
        train, held_out = splits["train"], splits[comparison.split]
        tokens.append(
            [
                label(index, run),
                tokenizer["kind"],
                f"{tokenizer['vocabulary_size']:,}",
                numbers.count(train["tokens"]),
                numbers.count(held_out["tokens"]),
                f"{held_out['bytes'] / max(held_out['tokens'], 1):.2f}",
                numbers.share(held_out["unknown_share"]),
            ]
        )
    token_headings = ["model", "tokenizer", "vocabulary", "train tokens"]
    token_headings += [f"{comparison.split} tokens", "bytes per token", "<unk>"]
    return joined(
        element("h2", "The text"),
        element("p", facts),
        table(headings, rows),
        element("h3", "As tokens"),
        table(token_headings, tokens, text_columns=(0, 1)),
    )


def settings(comparison: Comparison) -> Markup:
    """The settings in which the runs differ."""
    runs = comparison.runs
    differences = configuration_differences(runs)
    if len(runs) < 2 or not differences:
        return Markup("")
    rows = [
        [element("code", name), *(numbers.setting(value) for value in values)]
        for name, values in differences.items()
    ]
    headings = ["setting", *(label(i, run) for i, run in enumerate(runs))]
    columns = tuple(range(len(headings)))
    return joined(
        element("h2", "Settings that differ"), table(headings, rows, columns, class_="settings")
    )
