"""What the operating room looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sjplan.app.markup import html
from sjplan.app.operate import ROOM_PX
from sjplan.app.parts import button, screen, stepper
from sjplan.training import actions as act

if TYPE_CHECKING:
    from sjplan.app.visit import Visit

ARM = (
    ("orbital_deg", "Orbital", "°", 5.0, ("to the right", "to the left")),
    ("tilt_deg", "Tilt", "°", 5.0, ("inlet", "outlet")),
    ("wig_wag_deg", "Wig-wag", "°", 2.0, ("less", "more")),
    ("across_mm", "Across", "mm", 10.0, ("to the right", "to the left")),
    ("lift_mm", "Lift", "mm", 10.0, ("down", "up")),
    ("along_mm", "Along", "mm", 10.0, ("to the feet", "to the head")),
)
"""Numbers of the arm: what each is called, by how much a button changes it, and what less and more mean."""


EDGES = {
    "left": "left:8px;top:47%",
    "right": "right:8px;top:47%",
    "top": "top:4px;left:48%",
    "bottom": "bottom:4px;left:48%",
}
"""Where the letters stand that say which way the picture lies."""


COUNTERS = (
    ("Time", "op_clock", "min"),
    ("Shots", "op_shots", ""),
    ("X-rays on", "op_fluoro", "s"),
    ("Dose", "op_dose", "µGy m²"),
)


def counters() -> None:
    """Time, shots and dose, for the bar."""
    with html.Div(v_if="page == 'operate'", classes="bar", style="padding:0;background:none"):
        html.Span("{{ op_title }}", classes="count")
        for label, key, unit in COUNTERS:
            with html.Span(classes="count", id=key):
                html.Span(f"{label} ")
                html.B("{{ " + key + " }}")
                html.Span(f" {unit}")


def build(visit: Visit) -> None:
    """Two screens, the room, and everything that a hand can do."""
    page = visit.operate

    def do(action: act.Action) -> None:
        visit.soon(page.act(action))

    with html.Div(classes="side"):
        with screen(visit.pictures, page.live, "live", 560, classes=("['screen', op_tool]",), tabindex=0):
            html.Div("{{ op_view }}", classes="label")
            for edge, place in EDGES.items():
                html.Div("{{ op_edges." + edge + " }}", classes="edge", style=place)
            html.Div("simulated, not for clinical use", classes="foot")
        html.Div("{{ op_message }}", id="message", classes=("['message', op_tone]",), role="status", aria_live="polite")
    with html.Div(classes="side"):
        with screen(visit.pictures, page.second, "second", ROOM_PX, classes="screen"):
            html.Div("kept", classes="label")
        with screen(visit.pictures, page.room, "room", ROOM_PX, classes="screen"):
            html.Div("the room", classes="label")
    with html.Div(classes="controls"):
        _arm(visit, page)
        _pin(visit, page, do)
        _implant(visit, page, do)


def _arm(visit: Visit, page: Any) -> None:
    with html.Fieldset():
        html.Legend("C-arm")
        with html.Div(classes="row", v_if="!ex_find"):
            for name, text in (("ap", "AP"), ("lateral", "Lateral"), ("inlet", "Inlet"), ("outlet", "Outlet")):
                button(text, (page.call_view, f"['{name}']"), title="The radiographer puts the arm about there",
                       id=f"view_{name}")  # fmt: skip
        with html.Div(classes="two"):
            for name, label, unit, by, names in ARM:
                stepper(
                    f"arm_{name}", label, unit, by,
                    lambda step, name=name: page.nudge_arm(name, step),
                    (lambda value, name=name: page.set_arm(name, value), "[$event.target.value]"), names,
                )  # fmt: skip
        with html.Div(classes="row"):
            button(
                "Shot",
                lambda: visit.soon(page.shoot()),
                classes="main-action",
                id="shot",
                disabled=("op_busy",),
            )
            button("Pulse 1 s", lambda: visit.soon(page.shoot(1.0)), id="pulse", disabled=("op_busy",))
            button("Keep", lambda: visit.soon(page.keep()), id="keep", title="Put the picture on the second screen")
            button("Pedal", "op_pedal = !op_pedal", classes=("op_pedal ? 'on' : ''",), id="pedal",
                   title="X-rays while the picture is dragged: costs dose", aria_pressed=("op_pedal",))  # fmt: skip
            button("Mark skin", "op_tool = op_tool == 'mark' ? 'turn' : 'mark'", id="mark",
                   classes=("op_tool == 'mark' ? 'on' : ''",), title="Then click on a lateral picture")  # fmt: skip


def _pin(visit: Visit, page: Any, do: Any) -> None:
    s = visit.state
    with html.Fieldset():
        html.Legend("Pin: {{ op_pin }}")
        with html.Div(classes="row"):
            with html.Select(id="op_side", v_model=("op_side",), aria_label="Side"):
                html.Option("{{ x }}", v_for="x in op_sides", key="x", value=("x",))
            button("Place on the skin", lambda: visit.soon(page.place_pin()), id="place", classes="main-action")
            button("Parallel guide", lambda: do(act.PlaceParallel(s.op_side, float(s.op_apart), 0.0)), id="parallel")
            _small("op_apart", "mm", 5, 60)
        with html.Div(classes="compass"):
            move, tilt = page.move_entry, page.tilt
            _pair("op_along", "entry", "mm", ("caudal", "cranial"), lambda by: visit.soon(move(0.0, by)), 5.0)
            _pair("op_up", "", "mm", ("ventral", "dorsal"), lambda by: visit.soon(move(by, 0.0)), 5.0)
            _pair("op_cranial", "aim", "°", ("caudal", "cranial"), lambda by: visit.soon(tilt(by, 0.0)), 2.0)
            _pair("op_ventral", "", "°", ("dorsal", "ventral"), lambda by: visit.soon(tilt(0.0, by)), 2.0)
        with html.Div(classes="row"):
            button("Aim", lambda: visit.soon(page.tilt_to()), id="aim", title="Turn the pin to the two numbers")
            button("Push", lambda: do(act.PushPin(float(s.op_push))), id="push", title="By hand: bone stops it")
            _small("op_push", "mm", 1, 200)
            button("Tap", lambda: do(act.TapPin(int(s.op_blows), float(s.op_joules))), id="tap",
                   classes="main-action")  # fmt: skip
            _small("op_blows", "×", 1, 20)
            _small("op_joules", "J", 0.1, 3)
        with html.Div(classes="row"):
            button("Back", lambda: do(act.WithdrawPin(float(s.op_back))), id="back", title="Draw the pin back")
            _small("op_back", "mm", 1, 200)
            button("Out", lambda: do(act.WithdrawPin(300.0)), id="out", title="Take the pin out")
            button("Depth gauge", lambda: do(act.MeasureDepth()), id="gauge")


def _implant(visit: Visit, page: Any, do: Any) -> None:
    s = visit.state

    def insert() -> None:
        do(act.Insert(s.op_model, float(s.op_length), float(s.op_protrusion), float(s.op_roll)))

    with html.Fieldset():
        html.Legend("Path and implant")
        with html.Div(classes="row"):
            button("Drill to", lambda: do(act.Drill(float(s.op_drill))), id="drill")
            _small("op_drill", "mm", 1, 120)
            button("Broach to", lambda: do(act.Broach(float(s.op_broach), float(s.op_roll))), id="broach")
            _small("op_broach", "mm", 1, 120)
        with html.Div(classes="row"):
            chosen = page.choose_model, "[$event.target.value]"
            with html.Select(id="op_model", v_model=("op_model",), change=chosen, aria_label="Implant"):
                html.Option("{{ m }}", v_for="m in op_models", key="m", value=("m",))
            with html.Select(id="op_length", v_model=("op_length",), aria_label="Length"):
                html.Option("{{ l }} mm", v_for="l in op_lengths", key="l", value=("l",))
            html.Span("turned", classes="unit")
            _small("op_roll", "°", -180, 180)
        with html.Div(classes="row"):
            html.Span("stands out", classes="unit")
            _small("op_protrusion", "mm", -10, 30)
            button("Insert", insert, id="insert", classes="main-action")
            gone = "!op_implants.length"
            button("Take the last out", lambda: do(act.BackOut(s.op_side)), id="back_out", disabled=(gone,))
        html.Div(
            "In place: {{ op_implants.length ? op_implants.join('; ') : 'nothing' }}", id="in_place", classes="quiet"
        )
    with html.Div(classes="row"):
        button("Undo: {{ op_undo || 'nothing' }}", lambda: visit.soon(page.undo()), id="undo", disabled=("!op_undo",),
               title=("op_undo",), aria_describedby="undo_why")  # fmt: skip
        html.Span("{{ op_undo_why }}", id="undo_why", classes="quiet", v_show="!op_undo")
        html.Div(style="flex:1")
        button("{{ ex_end }}", lambda: visit.soon(visit.finish()), id="finish", classes="main-action")


def _small(key: str, unit: str, low: float, high: float) -> None:
    """A number between two others, and its unit."""
    html.Input(
        type="number", id=key, value=(key,), min=low, max=high, step="any", aria_label=f"{key[3:]} {unit}",
        change=f"{key} = Number($event.target.value)", style="width:48px",
    )  # fmt: skip
    html.Span(unit, classes="unit")


def _pair(key: str, label: str, unit: str, names: tuple[str, str], nudge: Any, by: float) -> None:
    """A number whose buttons say in which direction of the body they go."""
    html.Span(label, classes="unit")
    button(names[0], (nudge, f"[{-by}]"), title=f"{by:g} {unit}", id=f"{key}_less")
    html.Input(
        type="number", id=key, value=(key,), step="any", aria_label=f"{label} {names[1]}",
        change=f"{key} = Number($event.target.value)",
    )  # fmt: skip
    button(names[1], (nudge, f"[{by}]"), title=f"{by:g} {unit}", id=f"{key}_more")
    html.Span(unit, classes="unit")
