"""HTML elements that escape whatever is put into them."""

import html


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def escape(text) -> Markup:
    """Any value as HTML that shows it."""
    return text if isinstance(text, Markup) else Markup(html.escape(str(text), quote=True))


def element(name: str, *children, **attributes) -> Markup:
    """<name attribute="...">children</name>; children that are not Markup are escaped.

    Args:
        attributes: a trailing underscore is dropped (class_), other ones become hyphens; None leaves one out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children) -> Markup:
    """Children one after the other; lists among them too."""
    parts = []
    for child in children:
        parts.append(joined(*child) if isinstance(child, list | tuple) else escape(child))
    return Markup("".join(parts))


def table(headings: list, rows: list[list], text_columns=(0,), class_: str | None = None) -> Markup:
    """A table; numbers stand to the right, the columns `text_columns` to the left."""

    def cells(name, row):
        return [
            element(name, cell, class_=None if i in text_columns else "number")
            for i, cell in enumerate(row)
        ]

    head = element("thead", element("tr", cells("th", headings)))
    body = element("tbody", [element("tr", cells("td", row)) for row in rows])
    return element("div", element("table", head, body, class_=class_), class_="scroll")
