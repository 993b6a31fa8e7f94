"""Numbers as people read them, the same in the terminal and on the page."""

import math

MISSING = "–"


def count(value: float | None) -> str:
    """9,876 or 258K or 1.23M: three digits that count."""
    if value is None:
        return MISSING
    return (
        f"{value:,.0f}" if value < 1e4 else _with_unit(value, ((1e9, "B"), (1e6, "M"), (1e3, "K")))
    )


def size(num_bytes: float | None) -> str:
    """Decimal units, as on disk labels: 1.23 MB."""
    if num_bytes is None:
        return MISSING
    return _with_unit(num_bytes, ((1e9, " GB"), (1e6, " MB"), (1e3, " KB"), (1, " B")))


def _with_unit(value: float, units) -> str:
    rounded = float(f"{value:.3g}")  # first, or 999,999 would become 1e+03K
    unit, name = next((pair for pair in units if rounded >= pair[0]), units[-1])
    return f"{rounded / unit:.3g}{name}" if rounded < 1e3 * unit else f"{rounded / unit:,.0f}{name}"


def operations(value: float | None) -> str:
    """Floating-point operations: 1.23 PFLOP."""
    if value is None:
        return MISSING
    units = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1, ""))
    return _with_unit(value, [(unit, f" {name}FLOP") for unit, name in units])


def clock(seconds: float) -> str:
    """Seconds on an axis, in their `clock_unit`."""
    unit = clock_unit(seconds)
    return f"{seconds / unit:.3g} { {1: 's', 60: 'min', 3600: 'h'}[unit] }"


def clock_unit(seconds: float) -> int:
    """What a time is written in: 1 for seconds, 60 for minutes, 3600 for hours."""
    return 3600 if seconds >= 3600 else 60 if seconds >= 60 else 1


def duration(seconds: float | None) -> str:
    if seconds is None:
        return MISSING
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.0f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def perplexity(value: float | None) -> str:
    """Whole numbers from a thousand on; powers of ten where digits would say nothing."""
    if value is None or math.isnan(value):
        return MISSING
    if value >= 1e6:
        return "∞" if math.isinf(value) else f"{value:.1e}".replace("e+0", "e").replace("e+", "e")
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def share(value: float | None, digits: int = 2) -> str:
    """A share in per cent; what is not all is never rounded to 100 %."""
    if value is None:
        return MISSING
    if value < 1:
        value = min(value, 1 - 0.1**digits / 100)
        return "0 %" if value == 0 else f"{value * 100:.{digits}f} %"
    return "100 %"


def bits(value: float | None) -> str:
    return MISSING if value is None else f"{value:.4f}"


def speed(tokens_per_second: float | None) -> str:
    return MISSING if tokens_per_second is None else f"{tokens_per_second:,.0f}"


def setting(value) -> str:
    """A value of a configuration."""
    if value is None:
        return MISSING
    if isinstance(value, list):
        return ", ".join(map(setting, value)) or "none"
    return str(value)
