"""What a course looks like: one row a person, their curves, their sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sjplan.app.course import COLUMNS
from sjplan.app.markup import html
from sjplan.app.parts import button

if TYPE_CHECKING:
    from sjplan.app.course import CoursePage
    from sjplan.app.visit import Visit

SESSION_COLUMNS = (
    ("begun", "Begun (UTC)", ""),
    ("what", "What", ""),
    ("rating", "Rating", "n"),
    ("breach", "Implants", ""),
    ("fluoroscopy_s", "X-rays, s", "n"),
    ("shots", "Shots", "n"),
    ("margin_mm", "Margin, mm", "n"),
)
NUMBERS = ("attempts", "best", "median_rating", "breaches", "fluoroscopy_s")


def way_in(visit: Visit) -> None:
    """Buttons of the bar that only an instructor has: to the course, and out."""
    course = visit.course
    if course is None:
        return

    def turn() -> None:
        visit.go("course")
        visit.soon(course.refresh())

    button("Course", turn, v_if="page != 'course'", id="to_course")
    with html.Form(action="/leave", method="post"):
        html.Button("Leave", type="submit", id="leave", title="Before somebody else sits down at this browser")


def build(visit: Visit, course: CoursePage) -> None:
    """Table and curves side by side."""

    def show(key: str) -> None:
        visit.soon(course.show(key))

    with html.Div(classes="scroll"):
        with html.Div(classes="row", style="margin:4px 0 8px"):
            html.H2("Course", style="margin:0 12px 0 0")
            html.Label("Show", html_for="co_what", style="min-width:0")
            with html.Select(id="co_what", value=("co_what",), change=(course.only, "[$event.target.value]")):
                html.Option("all exercises and cases", value="")
                html.Option("{{ w }}", v_for="w in co_whats", key="w", value=("w",))
            button("Read again", lambda: visit.soon(course.refresh()), id="co_refresh")
            html.Div(style="flex:1")
            with html.Span(v_if="co_any"):
                html.Span("{{ co_person || 'Everybody' }}: ", classes="quiet")
                for to in ("csv", "json"):
                    html.A(to.upper(), href=f"download/sessions.{to}", download=f"sessions.{to}", id=f"co_{to}",
                           style="margin-right:8px")  # fmt: skip
        html.P("Nobody has begun a session yet.", v_if="!co_rows.length", classes="quiet", id="co_none")
        _table(course)
        _sessions(show)
    with html.Div(classes="scroll", style="flex:none;width:552px"):
        with html.Div(v_if="!co_person"):
            html.H2("Rating of everybody, attempt by attempt")
            html.Div(v_html=("co_chart",), id="co_chart")
            html.P("A diamond: an implant outside bone. Open a person for the other measures.", classes="quiet")
        with html.Div(v_if="co_person && !co_session", id="co_curves"):
            with html.Div(classes="row"):
                html.H2("{{ co_person }}, attempt by attempt", style="margin:0;flex:1")
                button("Back to everybody", (course.open, "['']"), id="co_back")
            with html.Div(classes="two"), html.Div(v_for="c in co_curves", key="c.key"):
                html.B("{{ c.title }}")
                html.Div(v_html=("c.svg",))
                html.P("{{ c.words }}", classes="quiet", style="font-size:12px")
        with html.Div(v_if="co_session", id="co_one"):
            with html.Div(classes="row"):
                html.H2("One session of {{ co_person }}", style="margin:0;flex:1")
                button("Back to the curves", (show, "['']"), id="co_back_to_curves")
            with html.Dl(classes="facts"), html.Template(v_for="f in co_facts", key="f.name"):
                html.Dt("{{ f.name }}")
                html.Dd("{{ f.value }}")
        html.P(
            "A trend is the median slope between attempts, told where its 95 % interval leaves out zero: of twenty "
            "that are not there, about one is told all the same. It does not say why: cases differ in difficulty.",
            classes="quiet", style="font-size:12px", v_if="!co_session",
        )  # fmt: skip


def _table(course: CoursePage) -> None:
    """One row a person; a header is a button that sorts."""
    with html.Table(id="co_table", v_if="co_rows.length", classes="tight"):
        html.Caption("One row a person", classes="unseen")
        with html.Thead(), html.Tr():
            for key, name in COLUMNS.items():
                number = "n" if key in NUMBERS else ""
                sorted_by = f"co_sort == '{key}' ? (co_down ? 'descending' : 'ascending') : 'none'"
                with html.Th(classes=number, aria_sort=(sorted_by,), scope="col"):
                    arrow = "{{ co_sort == '" + key + "' ? (co_down ? ' ▼' : ' ▲') : '' }}"
                    button(f"{name}{arrow}", (course.sort, f"['{key}']"), classes="plain", id=f"co_by_{key}")
        with html.Tbody(), html.Tr(v_for="r in co_rows", key="r.user", classes=("r.user == co_person ? 'on' : ''",)):
            with html.Th(scope="row"):
                button("{{ r.user }}", (course.open, "[r.user]"), classes="plain",
                       aria_pressed=("r.user == co_person",))  # fmt: skip
            for key in list(COLUMNS)[1:]:
                number = "n" if key in NUMBERS else ""
                tone = (f"['{number}', r.bad ? 'bad' : '']",) if key == "breaches" else number
                more = {"title": ("r.why",)} if key == "trend" else {}
                html.Td("{{ r." + key + " }}", classes=tone, **more)


def _sessions(show: Callable[[str], None]) -> None:
    """What one person has done."""
    with html.Div(v_if="co_person"):
        html.H2("Sessions of {{ co_person }}")
        with html.Table(id="co_sessions"):
            with html.Thead(), html.Tr():
                for _, name, number in SESSION_COLUMNS:
                    html.Th(name, classes=number, scope="col")
                html.Th("")
            chosen = ("s.id == co_session ? 'on' : ''",)
            with html.Tbody(), html.Tr(v_for="s in co_sessions", key="s.id", classes=chosen):
                for key, _, number in SESSION_COLUMNS:
                    tone = ("s.breach == 'breach' ? 'bad' : ''",) if key == "breach" else number
                    html.Td("{{ s." + key + " }}", classes=tone)
                with html.Td():
                    button("Show", (show, "[s.id]"), aria_label=("`Show the session of ${s.begun}`",))
