"""The page as a whole: a bar, what is being waited for, and the page that is turned to."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from trame.ui.html import DivLayout
from trame.widgets import client

from sjplan.app import (
    course_view,
    debrief_view,
    exercise_view,
    keys_view,
    operate_view,
    planning_view,
    question_view,
    start_view,
)
from sjplan.app.markup import html
from sjplan.app.parts import button

if TYPE_CHECKING:
    from sjplan.app.visit import Visit


GONE: Final = '<div style="position:fixed;inset:0;background:#11161b"></div>'
"""In place of the page once the connection is lost; page.js says so over it."""


def build(visit: Visit) -> Any:
    """Build a visitor's page."""
    visit.state.trame__template_error = GONE
    css = resources.files("sjplan.app").joinpath("style.css").read_text(encoding="utf-8")
    with DivLayout(visit.mounted.server) as layout:
        layout.root.classes = "sheet"
        client.Style(css)
        client.Script(resources.files("sjplan.app").joinpath("page.js").read_text(encoding="utf-8"))
        with html.Div(classes="bar", role="banner"):
            html.H1("sjplan trainer")
            with html.Span(v_if="user", classes="count"):
                html.Span("{{ user }}")
            html.Div(classes="space")
            operate_view.counters()
            keys_view.way_in()
            course_view.way_in(visit)
            planning_view.counters()
            button("First page", (visit.go, "['start']"), v_if="page != 'start'", id="home")
            html.Span("Not for clinical use", classes="caution")
        with html.Div(classes="note", v_if="error", role="alert", id="error"):
            html.Span("{{ error }}")
            button("Close", "error = ''")
        with html.Div(classes="wait", v_if="said", role="status", id="said"):
            html.Span("{{ said }}")
            button("Close", "said = ''")
        html.Div("{{ making }} …", classes="wait", v_if="making", role="status", id="making")
        html.Div("{{ wait }} …", classes="wait", v_if="wait", role="status", id="wait")
        with html.Div(v_if="page == 'start'", classes="main", id="page_start"):
            start_view.build(visit)
        if visit.course is not None:
            with html.Div(v_if="page == 'course'", classes="main", id="page_course"):
                course_view.build(visit, visit.course)
        with html.Div(v_if="page == 'operate'"):
            exercise_view.strip(visit)
        with html.Div(v_show="page == 'operate'", classes="main", id="page_operate"):
            operate_view.build(visit)
        with html.Div(v_show="page == 'question'", classes="main", id="page_question"):
            question_view.build(visit)
        with html.Div(v_show="page == 'verdict'", classes="main column", id="page_verdict"):
            exercise_view.verdict(visit)
        with html.Div(v_show="page == 'debrief'", classes="main column", id="page_debrief"):
            debrief_view.build(visit)
        with html.Div(v_show="page == 'plan'", classes="main", id="page_plan"):
            planning_view.build(visit)
        keys_view.build()
    return layout
