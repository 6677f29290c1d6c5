"""The page of a benchmark: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sjplan.report.data import Picture
from sjplan.report.html import rendered


@dataclass(frozen=True, slots=True)
class TableView:
    """A table as it is shown.

    Parameters
    ----------
    caption : str
        Above it.
    head : sequence of str
        One a column.
    rows : sequence of sequence of str
        Cells.
    texts : int
        Columns from the left that hold words; the others hold numbers.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: what it says in words, then pictures, then tables, then what each word means."""

    heading: str
    words: Sequence[str] = ()
    warnings: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[TableView] = ()
    terms: Sequence[tuple[str, str]] = ()
    small: Sequence[Picture] = ()
    """Pictures that stand two beside each other."""


@dataclass(frozen=True, slots=True)
class BenchPage:
    """Everything that stands on the page of a benchmark."""

    title: str
    subtitle: str
    sections: Sequence[Section]


def bench_html(page: BenchPage) -> str:
    """The whole page as text.

    Examples
    --------
    >>> table = TableView("planners", ("planner", "runs"), (("<b>", "3"),))
    >>> html = bench_html(BenchPage("smoke", "3 runs", (Section("Summary", tables=(table,)),)))
    >>> "&lt;b&gt;" in html, "<script" in html, html.count("ot for clinical use") >= 2
    (True, False, True)
    """
    return rendered("benchmark.html.j2", {f.name: getattr(page, f.name) for f in fields(page)})
