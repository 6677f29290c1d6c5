"""What exercises look like: their list on the first page, the task in the operating room, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sjplan.app.markup import html
from sjplan.app.parts import button, screen

if TYPE_CHECKING:
    from sjplan.app.visit import Visit

PICTURE_PX = 440


def listed(visit: Visit) -> None:
    """Every exercise, by level, with how far one has come."""

    def begin(name: str, bed: str, exam: bool) -> None:
        visit.soon(visit.exercise.begin(name, bed, bool(exam)))

    with html.Div(classes="row"):
        html.H2("Exercises")
        html.Div(classes="grow")
        with html.Label(classes="check"):
            html.Input(type="checkbox", id="exam", v_model=("ex_exam",))
            html.Span("as an exam, without hints")
    with html.Div(v_if="ex_broken.length", classes="note", id="broken", role="status"):
        html.Div("Left out, for the file cannot be used:")
        html.Div("{{ b }}", v_for="b in ex_broken", key="b")
    with html.Table(id="exercises", classes="tight"), html.Tbody(), html.Template(v_for="e in ex_list", key="e.id"):
        with html.Tr(v_if="e.heading"):
            html.Th("{{ e.heading }}", colspan="4", scope="colgroup")
        with html.Tr(id=("'exercise_' + e.id",)):
            with html.Td():
                html.Span("{{ e.title }}")
                html.Span(" · {{ e.case }}", v_if="e.case", classes="quiet")
            with html.Td(classes="quiet"):
                html.Span("✓ ", v_if="e.passed", classes="fine")
                html.Span("{{ e.done }}")
            html.Td("{{ e.limit }}", classes="n quiet")
            with html.Td(classes="n"):
                button(
                    "{{ e.button }}", (begin, "[e.id, bed, ex_exam]"), disabled=("!user || !!wait",),
                    aria_label=("e.button + ': ' + e.title",),
                )  # fmt: skip


def strip(visit: Visit) -> None:
    """The task of an exercise, over the operating room."""
    with html.Div(v_if="ex_on", classes="strip", id="task"):
        html.B("{{ ex_title }}")
        html.Span("{{ ex_ask }}", classes="grow cut")
        html.Span("exam", v_if="ex_as_exam", classes="caution")
        html.Span("time limit {{ ex_limit }}", v_if="ex_limit", classes="count")
        _hint_button(visit, "hint")
        button("{{ ex_open ? 'Hide the task' : 'The task' }}", "ex_open = !ex_open", id="task_open",
               aria_expanded=("ex_open",))  # fmt: skip
    with html.Div(v_if="ex_on && ex_open", classes="sheet-over", id="task_text", role="region", aria_label="The task"):
        html.H2("{{ ex_title }}")
        html.P("{{ ex_text }}")
        html.P("Time limit: {{ ex_limit }} of the operation's own clock, which stands at the top.", v_if="ex_limit",
               classes="quiet")  # fmt: skip
        _hints()
        with html.Div(classes="row"):
            html.Span("Done? Press “{{ ex_end }}”, at the lower right.", classes="quiet")
            html.Div(classes="grow")
            button("To the patient", "ex_open = false", classes="main-action", id="task_close")


def aside(visit: Visit) -> None:
    """The task of an exercise, beside questions."""
    html.P("{{ ex_text }}", classes="quiet")
    _hints()
    with html.Div(classes="row"):
        _hint_button(visit, "qu_hint")
        html.Span("An exam: no hints.", v_if="ex_as_exam", classes="quiet")


def _hints() -> None:
    with html.Ol(v_if="ex_hints.length", classes="hints", aria_live="polite"):
        html.Li("{{ h }}", v_for="h in ex_hints", key="h")


def _hint_button(visit: Visit, name: str) -> None:
    button("Hint, {{ ex_left }} left", lambda: visit.soon(visit.exercise.hint()), v_if="ex_left > 0 && !ex_as_exam",
           id=name)  # fmt: skip


def verdict(visit: Visit) -> None:
    """Whether it was passed, why, and what the patient looks like there."""
    page = visit.exercise
    with html.Div(id="verdict", role="status", classes=("['verdict', ex_passed ? 't-good' : 't-near']",)):
        html.Span("{{ ex_passed ? '✓' : '✗' }}", classes="sign", aria_hidden="true")
        html.B("{{ ex_mark }}")
        html.Span("{{ ex_title }}", classes="grow")
        button("{{ ex_next ? 'Second session' : 'Once more' }}", lambda: visit.soon(page.again()), id="again",
               disabled=("!!wait",))  # fmt: skip
        button("Debrief", lambda: visit.soon(page.debrief()), v_if="ex_session", id="to_debrief",
               disabled=("!!wait",))  # fmt: skip
        button("First page", (visit.go, "['start']"), classes="main-action", id="verdict_done")
    with html.Div(classes="debrief"):
        with html.Div(v_show="ex_pictures.length", classes="pair"):
            for monitor, name, place in ((page.left, "verdict_left", 0), (page.right, "verdict_right", 1)):
                with (
                    html.Div(v_show=f"ex_pictures.length > {place}"),
                    screen(visit.pictures, monitor, name, PICTURE_PX, classes="screen"),
                ):
                    html.Div("{{ ex_pictures[" + str(place) + "] }}", classes="label")
                    html.Div("simulated, not for clinical use", classes="foot")
        with html.Div(classes="scroll"), html.Ul(id="verdict_words", classes="reasons"):
            html.Li("{{ w }}", v_for="w in ex_words", key="w")
