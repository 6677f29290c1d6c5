"""What the planning page looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sjplan.app.markup import html
from sjplan.app.operate_view import EDGES
from sjplan.app.parts import button, screen
from sjplan.app.planning import PlanningPage
from sjplan.app.planning_desk import PANE_PX, PANES, ZOOMS_MM
from sjplan.app.planning_pictures import VIEWS

if TYPE_CHECKING:
    from sjplan.app.visit import Visit

NAMES = {"axial": "Axial", "coronal": "Coronal", "sagittal": "Sagittal"}
ALONG = {"axial": "along the implant", "coronal": "along the implant", "sagittal": "square"}
VIEW_NAMES = {"ap": "AP", "inlet": "Inlet", "outlet": "Outlet", "lateral": "Lateral"}
HELP = (
    "Drag an implant to move it, a ring at its end to turn it, the picture to shift it. "
    "Arrow keys on a slice move, with Shift they turn."
)
ARROWS = ("left", "right", "up", "down")
LOOKS = (("Back", 0.0, 10.0), ("Side", 90.0, 0.0), ("Front", 180.0, 10.0), ("Head", 0.0, 80.0))
"""From where the pelvis is seen: name, turned and raised."""

PLACE = (
    ("pl_up", "height", "mm", ("caudal", "cranial")),
    ("pl_fore", "depth", "mm", ("dorsal", "ventral")),
    ("pl_out", "stands out", "mm", ("in", "out")),
)
AIM = (
    ("pl_rise", "aims up", "°", ("caudal", "cranial")),
    ("pl_ventral", "aims fore", "°", ("dorsal", "ventral")),
    ("pl_roll", "rolled", "°", ("back", "forth")),
)


def counters() -> None:
    """Patient and scan, for the bar."""
    html.Span("{{ pl_title }}, {{ pl_volume }}", v_if="page == 'plan'", classes="count")


def build(visit: Visit) -> None:
    """Slices above, margins and pictures below, and everything that a hand can do beside them."""
    page = visit.planning
    with html.Div(classes="side"):
        with html.Div(classes="panes"):
            for pane in PANES:
                _slice(page, pane)
        with html.Div(classes="panes"):
            _margins()
            _xray(page)
            _solid(page)
        html.Div(
            "{{ pl_said || '" + HELP + "' }}",
            id="pl_said", classes=("['message', 'slim', pl_tone]",), role="status", aria_live="polite",
        )  # fmt: skip
    with html.Div(classes="controls", id="pl_controls"):
        _implants(visit, page)
        _place(page)
        _cut(page)
        _beside(visit, page)
        _keep(visit, page)


def _slice(page: PlanningPage, pane: str) -> None:
    name = NAMES[pane]

    def key(name: str, shift: bool) -> None:
        page.arrow(pane, name, shift)

    with screen(
        page.visit.pictures, page.screens[pane], f"pl_{pane}", PANE_PX, classes="screen slice", tabindex=0,
        role="application",
        aria_label=f"{name} slice: arrow keys move the implant, with Shift they turn it",
        __events=[(f"key_{way}", f"keydown.{way}.prevent") for way in ARROWS],
        **{f"key_{way}": (key, "[$event.key, $event.shiftKey]") for way in ARROWS},
    ):  # fmt: skip
        html.Div(name, classes="label")
        with html.Div(classes="foot"):
            place = "pl_slots.length ? ', ' + pl_across : ''" if pane == "sagittal" else "''"
            html.Span("{{ (pl_follow == 'along' && pl_slots.length ? '" + ALONG[pane] + "' : 'of the pelvis') + "
                      "(" + place + ") }}")  # fmt: skip
        html.Div(
            "{{ m.n }}", v_for=f"m in (pl_marks.{pane} || [])", key="m.n", classes="mark-number",
            style=("{left: m.left + '%', top: m.top + '%', color: m.colour}",),
        )  # fmt: skip
        for edge, place in EDGES.items():
            html.Div("{{ (pl_letters." + pane + " || {})." + edge + " }}", classes="edge small", style=place)


def _xray(page: PlanningPage) -> None:
    with (
        html.Div(classes="pane"),
        screen(page.visit.pictures, page.pictures.xray, "pl_xray", PANE_PX, classes="screen"),
    ):
        html.Div("simulated, no noise", classes="foot")
        for edge, place in EDGES.items():
            if edge != "top":
                html.Div("{{ pl_edges." + edge + " }}", classes="edge small", style=place)
        with html.Div(classes="over", role="radiogroup", aria_label="Simulated view"):
            for view in VIEWS:
                on = f"pl_view == '{view}'"
                button(VIEW_NAMES[view], (page.view, f"['{view}']"), id=f"pl_view_{view}", role="radio",
                       classes=(f"{on} ? 'on' : ''",), aria_checked=(on,))  # fmt: skip


def _solid(page: PlanningPage) -> None:
    with (
        html.Div(classes="pane"),
        screen(page.visit.pictures, page.pictures.solid, "pl_solid", PANE_PX, classes="screen turn"),
    ):
        html.Div("drag to turn", classes="foot")
        with html.Div(classes="over", role="group", aria_label="Look from"):
            for name, turned, raised in LOOKS:
                button(name, (page.pictures.look_from, f"[{turned}, {raised}]"), id=f"pl_from_{name.lower()}")


def _margins() -> None:
    style = f"width:{PANE_PX}px;height:{PANE_PX}px"
    with html.Div(
        classes="margins",
        style=style,
        id="pl_margins",
        role="region",
        aria_label="Margins",
        tabindex=0,
        data_seen=("pl_seen",),
    ):
        with html.Div(classes="row snug"):
            html.B(
                "{{ pl_slots.length ? pl_verdict : 'No implant yet' }}", id="pl_verdict", role="status",
                classes=("!pl_slots.length ? 'quiet' : pl_good ? 'fine' : 'bad'",),
                v_if="pl_judged || !pl_slots.length",
            )  # fmt: skip
            rest = "… every limit is checked once you rest"
            html.B(rest, v_if="!pl_judged && pl_slots.length", classes="quiet", id="pl_judging")
        with html.Table(classes="dense", id="pl_rows", v_if="pl_rows.length"):
            with html.Thead(), html.Tr():
                html.Th("")
                html.Th("nearest")
                html.Th("sure", classes="n", title="Guaranteed mm: measured, less what labels and surface may hide")
                html.Th("seen", classes="n", title="Measured mm, of the clearance envelope")
                html.Th("limit", classes="n", title="Least mm that is accepted of what is measured")
                html.Th("")
            with html.Tbody(), html.Tr(v_for="r in pl_rows", key="r.key", classes=("r.first ? 'first' : ''",)):
                with html.Td():
                    html.B("{{ r.first ? r.slot : '' }}", style=("{color: r.colour}",))
                html.Td("{{ r.structure }}")
                html.Td("{{ r.sure }}", classes="n strong")
                html.Td("{{ r.measured }}", classes="n")
                html.Td("{{ r.limit }}", classes="n")
                html.Td("{{ r.sign }} {{ r.word }}", classes=("r.state",))
        with html.Ul(classes="faults", v_if="pl_judged && pl_faults.length", id="pl_faults"):
            html.Li("{{ f }}", v_for="f in pl_faults", key="f")
        with html.Details(v_if="pl_cautions.length", id="pl_cautions", classes="small"):
            html.Summary("! Of this scan and its labels: {{ pl_cautions.length }} to know")
            with html.Ul(classes="faults"):
                html.Li("{{ c.text }}: {{ c.so }}", v_for="c in pl_cautions", key="c.text")


def _implants(visit: Visit, page: PlanningPage) -> None:
    with html.Fieldset():
        html.Legend("Implants")
        with html.Div(classes="row"):
            with html.Select(id="pl_side", v_model=("pl_side",), change=(page.turn_to, "[$event.target.value]"),
                             aria_label="Side"):  # fmt: skip
                html.Option("{{ s }}", v_for="s in pl_sides", key="s", value=("s",))
            html.Button(
                "{{ s.n }}", type="button", v_for="s in pl_slots", key="s.n", click=(page.choose, "[s.n]"),
                id=("'pl_slot_' + s.n",),
                classes=("['slot', pl_slot == s.n ? 'on' : '']",), style=("{borderColor: s.colour}",),
                title=("s.text + ' mm'",), aria_pressed=("pl_slot == s.n",),
                aria_label=("'Implant ' + s.n + ', ' + s.text + ' mm'",),
            )  # fmt: skip
            button(
                "+ Add", lambda: visit.soon(page.add()), id="pl_add", classes="main-action",
                disabled=("pl_slots.length > 2",), title="Square to the joint, where there is most room near by",
            )  # fmt: skip
            button("Remove", page.remove, id="pl_remove", disabled=("!pl_slots.length",))
        with html.Div(classes="row"):
            with html.Select(id="pl_model", v_model=("pl_model",), change=(page.choose_model, "[$event.target.value]"),
                             aria_label="Model and diameter"):  # fmt: skip
                html.Option("{{ m }}", v_for="m in pl_models", key="m", value=("m",))
            with html.Select(id="pl_length", v_model=("pl_length",),
                             change=(page.choose_length, "[$event.target.value]"), aria_label="Length"):  # fmt: skip
                html.Option("{{ l }} mm", v_for="l in pl_lengths", key="l", value=("l",))
            button("↶ Undo", page.undo, id="pl_undo", disabled=("!pl_undo",))
            button("↷ Redo", lambda: page.undo(forward=True), id="pl_redo", disabled=("!pl_redo",))


def _place(page: PlanningPage) -> None:
    with html.Fieldset(disabled=("!pl_slots.length",)):
        html.Legend("Implant {{ pl_slot }}")
        with html.Div(classes="steppers"):
            for key, label, unit, names in (*PLACE, *AIM):
                _number(page, key, label, unit, names)
        with html.Div(classes="row"):
            html.Label("Steps", html_for="pl_step")
            with html.Select(id="pl_step", v_model=("pl_step",)):
                for mm in (0.2, 0.5, 1.0, 2.0, 5.0):
                    html.Option(f"{mm:g} mm", value=(f"{mm}",))
            with html.Select(id="pl_angle", v_model=("pl_angle",), aria_label="Steps, degrees"):
                for deg in (0.5, 1.0, 2.0, 5.0):
                    html.Option(f"{deg:g}°", value=(f"{deg}",))
            html.Label("about", html_for="pl_about", style="min-width:0")
            with html.Select(id="pl_about", v_model=("pl_about",)):
                for name in ("joint", "entry", "tip"):
                    html.Option(name, value=name)


def _number(page: PlanningPage, key: str, label: str, unit: str, names: tuple[str, str]) -> None:
    """A number whose buttons say in which direction of the body they go."""
    html.Label(label, html_for=key, classes="unit")
    button(names[0], (page.nudge, f"['{key}', -1]"), id=f"{key}_less")
    html.Input(type="number", id=key, value=(key,), step="any",
               change=(page.set_number, f"['{key}', $event.target.value]"))  # fmt: skip
    button(names[1], (page.nudge, f"['{key}', 1]"), id=f"{key}_more")
    html.Span(unit, classes="unit")


def _cut(page: PlanningPage) -> None:
    def look(**how: Any) -> Any:
        return lambda: page.look(**how)

    with html.Fieldset():
        html.Legend("Slices")
        with html.Div(classes="row"):
            for follow, text in (("along", "Along the implant"), ("pelvis", "Of the pelvis")):
                button(text, look(follow=follow), id=f"pl_follow_{follow}", aria_pressed=(f"pl_follow == '{follow}'",),
                       classes=(f"pl_follow == '{follow}' ? 'on' : ''",))  # fmt: skip
            with html.Select(id="pl_zoom", v_model=("pl_zoom",), aria_label="Width of the slices",
                             change=(lambda mm: page.look(zoom=mm), "[$event.target.value]")):  # fmt: skip
                for mm in ZOOMS_MM:
                    html.Option(f"{mm:g} mm", value=(f"{mm:g}",))
        with html.Div(classes="row"):
            html.Label("Cut across", html_for="pl_share")
            html.Input(type="range", id="pl_share", min=0, max=100, step=1, value=("pl_share",), classes="stretch",
                       input=(lambda share: page.look(share=share), "[$event.target.value]"))  # fmt: skip
            button("Tightest", look(tightest=True), id="pl_tightest", title="Cut across where the least slack is")
            button("Centre", look(centre=True), id="pl_centre", title="Bring the implant to the middle")


def _beside(visit: Visit, page: PlanningPage) -> None:
    with html.Fieldset(classes="grow"):
        html.Legend("Beside the certified plan")
        with html.Div(classes="row"):
            button("Make the plan", lambda: visit.soon(page.certified.ask()), id="pl_ask", v_if="pl_plan == 'none'",
                   title="The planner searches: up to a minute")  # fmt: skip
            button(
                "Start from it", page.certified.take, id="pl_take", disabled=("pl_plan != 'there' || !!pl_plan_word",)
            )
            with html.Label(classes="check"):
                html.Input(type="checkbox", id="pl_ghost", checked=("pl_ghost",),
                           change=(lambda on: page.look(ghost=on), "[$event.target.checked]"))  # fmt: skip
                html.Span("white outlines")
        html.Div("{{ pl_plan_word }}", classes="quiet", v_if="pl_plan_word", id="pl_plan_word")
        with html.Div(classes="scroll", style="max-height:126px"), html.Table(
            classes="dense", id="pl_beside", v_if="pl_beside.length"
        ):  # fmt: skip
            with html.Thead(), html.Tr():
                html.Th("")
                html.Th("yours", classes="n")
                html.Th("plan", classes="n")
            with html.Tbody(), html.Tr(v_for="b in pl_beside", key="b.what"):
                html.Td("{{ b.what }}")
                html.Td("{{ b.off || b.ours }}", classes="n", colspan=("b.off ? 2 : 1",))
                html.Td("{{ b.theirs }}", classes="n", v_if="!b.off")


def _keep(visit: Visit, page: PlanningPage) -> None:
    keeping = page.keeping
    with html.Fieldset():
        html.Legend("Keep")
        with html.Div(classes="row"):
            html.Input(type="text", id="pl_name", v_model=("pl_name",), maxlength=60, placeholder="name of the plan",
                       aria_label="Name of the plan", classes="stretch")  # fmt: skip
            button("Save", (lambda name: visit.soon(keeping.save(str(name))), "[pl_name]"), id="pl_save",
                   disabled=("!pl_slots.length",))  # fmt: skip
            html.A(
                "Download", href="download/plan.json", id="pl_download", download="plan.json", v_if="pl_slots.length"
            )
        with html.Div(classes="row", v_if="pl_saved.length"):
            with html.Select(id="pl_saved", v_model=("pl_key",), aria_label="Saved plans",
                             classes="stretch"):  # fmt: skip
                html.Option("{{ k.text }}", v_for="k in pl_saved", key="k.key", value=("k.key",))
            button("Open", (lambda key: visit.soon(keeping.open(str(key))), "[pl_key]"), id="pl_open")
        with html.Form(action="plan", method="post", enctype="multipart/form-data", classes="row", id="pl_bring"):
            html.Input(type="file", id="pl_file", name="plan", required=True, accept=".json", aria_label="A plan.json",
                       classes="stretch")  # fmt: skip
            html.Button("Open file", type="submit", id="pl_send")
