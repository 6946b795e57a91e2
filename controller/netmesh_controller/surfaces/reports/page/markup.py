"""HTML put together so that text is always escaped: names and labels come from strangers."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_VOID = frozenset({"meta", "link", "br"})


class Markup(str):
    """HTML that is whole and safe; any other string is text and is escaped when it comes to stand in HTML."""

    __slots__ = ()


def text(content: str | Markup) -> Markup:
    """The text as HTML."""
    return content if isinstance(content, Markup) else Markup(escape(content, quote=True))


def joined(parts: Iterable[str | Markup]) -> Markup:
    """All parts after one another."""
    return Markup("".join(text(part) for part in parts))


def element(name: str, /, *content: str | Markup, **attributes: str | bool | None) -> Markup:
    """An element. Attribute names lose a `_` at their end, others become `-`; False and None leave one out."""
    opening = f"<{name}"
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        opening += f" {attribute}" if value is True else f' {attribute}="{escape(str(value), quote=True)}"'
    if name in _VOID:
        return Markup(f"{opening}>")
    return Markup(f"{opening}>{joined(content)}</{name}>")


def table(head: Iterable[str], rows: Iterable[Iterable[str | Markup]], *, caption: str | None = None) -> Markup:
    """A table whose first column names its rows."""
    top = element("tr", *(element("th", one, scope="col") for one in head))
    body = []
    for row in rows:
        first, *rest = row
        body.append(element("tr", element("th", first, scope="row"), *(element("td", one) for one in rest)))
    parts = [element("caption", caption)] if caption else []
    made = element("table", *parts, element("thead", top), element("tbody", *body))
    return element("div", made, class_="scroll", tabindex="0", role="region", aria_label=caption or "table")


def facts(pairs: Iterable[tuple[str, str | Markup]]) -> Markup:
    """A list of names and what they are."""
    return element("dl", *(joined([element("dt", name), element("dd", what)]) for name, what in pairs), class_="facts")
