"""What questions look like: a large radiograph, the question beside it, and answers that a keyboard reaches too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sjplan.app import exercise_view
from sjplan.app.markup import html
from sjplan.app.operate_view import EDGES
from sjplan.app.parts import button, screen
from sjplan.app.question import NO_VIEW, SCREEN_PX

if TYPE_CHECKING:
    from sjplan.app.visit import Visit

NUDGES = (("←", "left", -1.0, 0.0), ("→", "right", 1.0, 0.0), ("↑", "up", 0.0, -1.0), ("↓", "down", 0.0, 1.0))


def build(visit: Visit) -> None:
    """Picture and question."""
    page = visit.question
    with (
        html.Div(classes="side"),
        screen(
            visit.pictures,
            page.screen,
            "film",
            SCREEN_PX,
            classes=("['screen', qu_kind == 'landmark' ? 'mark' : '']",),
            tabindex=0,
        ),
    ):
        html.Div(classes="drawn", v_html=("qu_svg",))
        html.Div("{{ qu_label }}", classes="label")
        for edge, place in EDGES.items():
            html.Div("{{ qu_edges." + edge + " }}", classes="edge", style=place)
        html.Div("simulated, not for clinical use", classes="foot")
    with html.Div(classes="scroll asked"):
        with html.Div(classes="row wide"):
            html.H2("{{ ex_title }}")
            html.Div(classes="grow")
            html.Span("{{ qu_count }}", classes="count", id="qu_count")
            html.Span("{{ qu_clock }}{{ ex_limit ? ' of ' + ex_limit : '' }}", classes="count", id="qu_clock")
        html.P("{{ qu_text }}", classes="question", id="qu_text")
        with html.Div(v_if="!qu_told.length", id="qu_answers"):
            _landmark(visit)
            _judge(visit)
        with html.Div(v_if="qu_told.length", id="qu_told", role="status",
                      classes=("['told', qu_right ? '' : 't-near']",)):  # fmt: skip
            with html.H2():
                html.Span("{{ qu_right ? '✓' : '✗' }}", classes="sign", aria_hidden="true")
                html.Span("{{ qu_right ? 'Right' : 'Not right' }}")
            html.P("{{ w }}", v_for="w in qu_told", key="w")
            _views(visit)
            button("{{ qu_last ? 'To the verdict' : 'Next question' }}", lambda: visit.soon(page.on()),
                   classes="main-action", id="qu_on", disabled=("qu_busy || !!wait",))  # fmt: skip
        html.H2("The task")
        exercise_view.aside(visit)


def _landmark(visit: Visit) -> None:
    page = visit.question
    with html.Div(v_if="qu_kind == 'landmark'"):
        html.P("Click on the picture, or move the pointer with these buttons.", classes="quiet")
        with html.Div(classes="row"):
            for sign, name, across, down in NUDGES:
                button(sign, (page.nudge, f"[{across}, {down}]"), aria_label=f"pointer {name}", id=f"qu_{name}")
            button("It is here", lambda: visit.soon(page.here()), classes="main-action", id="qu_here",
                   disabled=("!qu_pointed || qu_busy",))  # fmt: skip


def _judge(visit: Visit) -> None:
    page = visit.question

    def judge(out: bool, view: str) -> None:
        visit.soon(page.judge(out, view))

    with html.Div(v_if="qu_kind == 'judge-pin'"):
        _views(visit)
        html.P("Your answer:", classes="quiet")
        with html.Div(classes="answers"):
            button("It lies in bone", (judge, "[false, '']"), id="qu_in", disabled=("qu_busy",))
            button("Out: the {{ v }} shows it", (judge, "[true, v]"), v_for="v in qu_views", key="v",
                   disabled=("qu_busy",), id=("'qu_out_' + v",))  # fmt: skip
            button(f"Out, and {NO_VIEW} shows it", (judge, f"[true, '{NO_VIEW}']"), id="qu_none",
                   disabled=("qu_busy",))  # fmt: skip


def _views(visit: Visit) -> None:
    def look(view: str) -> None:
        visit.soon(visit.question.look(view))

    with html.Div(classes="row tabs", v_if="qu_kind == 'judge-pin'", role="group", aria_label="Views"):
        html.Span("Look at the", classes="quiet")
        button("{{ v }}", (look, "[v]"), v_for="v in qu_views", key="v", classes=("qu_view == v ? 'on' : ''",),
               aria_pressed=("qu_view == v",), id=("'qu_view_' + v",))  # fmt: skip
