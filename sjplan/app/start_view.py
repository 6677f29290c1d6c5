"""What the first page looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sjplan.app import exercise_view
from sjplan.app.markup import html
from sjplan.app.parts import button

if TYPE_CHECKING:
    from sjplan.app.visit import Visit


def build(visit: Visit) -> None:
    """Who, which patient, and what there is to go on with."""
    start = visit.start

    def sign_in(user: str) -> None:
        visit.soon(start.sign_in(user))

    def operate(bed: str, side: str) -> None:
        visit.soon(start.operate(bed, side))

    def plan(bed: str, side: str) -> None:
        visit.soon(start.plan(bed, side))

    def resume(key: str) -> None:
        visit.soon(start.resume(key))

    def debrief(key: str) -> None:
        visit.soon(start.debrief(key))

    with html.Div(classes="scroll"):
        html.H2("Who are you?")
        with html.Div(classes="row"):
            html.Label("Name or code", html_for="who")
            html.Input(
                type="text", id="who", value=("user",), maxlength=60, autocomplete="off",
                change=(sign_in, "[$event.target.value]"),
            )  # fmt: skip
        html.Small("Only this is kept of you, on the machine that runs sjplan.", classes="quiet")
        html.H2("Patients")
        with html.Div(classes="cards", role="radiogroup", aria_label="Patients"), html.Button(
            type="button", v_for="b in beds", key="b.id", role="radio", click="bed = b.id",
            classes=("['card', bed == b.id ? 'on' : '']",), aria_checked=("bed == b.id",), data_bed=("b.id",),
        ):  # fmt: skip
            html.B("{{ b.title }}")
            html.Small("{{ b.note }}")
        with html.Div(classes="row"):
            html.Label("Side", html_for="side")
            with html.Select(id="side", v_model=("side",)):
                for word in ("left", "right", "both"):
                    html.Option(word, value=word)
            button(
                "Operate",
                (operate, "[bed, side]"),
                classes="main-action",
                id="operate",
                disabled=("!user || !bed || !!wait",),
            )
            button("Plan", (plan, "[bed, side]"), id="plan", disabled=("!user || !bed || !!wait",),
                   title="Lay implants by hand, in slices and views, with live margins")  # fmt: skip
        with html.Details(classes="quiet"):
            html.Summary("Bring a patient of your own")
            html.P("A CT with labels, or a label map alone, as NIfTI, NRRD or MHA. Only bring what you may.")
            with html.Form(action="upload", method="post", enctype="multipart/form-data", classes="row", id="bring"):
                html.Label("Scan", html_for="scan")
                html.Input(type="file", id="scan", name="scan", required=True)
                html.Label("Labels", html_for="labels")
                html.Input(type="file", id="labels", name="labels")
                html.Button("Send", type="submit", id="send")
    with html.Div(classes="scroll middle"):
        exercise_view.listed(visit)
    with html.Div(classes="scroll last", v_if="mine.length"):
        html.H2("What you did")
        with html.Table(id="mine"):
            with html.Thead(), html.Tr():
                for name in ("begun", "what", "result", ""):
                    html.Th(name)
            with html.Tbody(), html.Tr(v_for="m in mine", key="m.id"):
                html.Td("{{ m.begun }}")
                html.Td("{{ m.what }}")
                html.Td("{{ m.state }}")
                with html.Td():
                    button("Go on", (resume, "[m.id]"), v_if="m.open")
                    button("Debrief", (debrief, "[m.id]"), v_if="!m.open && m.session", disabled=("!!wait",))
        with html.Div(v_if="my_curve", id="my_curve"):
            html.H2("Your rating, attempt by attempt")
            html.Div(v_html=("my_curve",))
            html.P("Trend: {{ my_trend }}.", classes="quiet")
