"""What the debrief looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trame.widgets import client

from sjplan.app.debrief import SCREEN_PX
from sjplan.app.markup import html
from sjplan.app.parts import button, screen

if TYPE_CHECKING:
    from sjplan.app.visit import Visit

TABS = (("implants", "Implants"), ("steps", "Steps"), ("sheet", "Score sheet"), ("risks", "Complications"))
LOOKS = (("behind", "Behind"), ("side", "Side"), ("head", "Head"), ("front", "Front"))

_IN_SIGHT = (
    "utils.get('setTimeout')(() => utils.get('document').querySelector('#db_steps .on')"
    "?.scrollIntoView({ block: 'nearest' }), 60)"
)
"""Keeps the step that one is at in sight; for the browser."""


def build(visit: Visit) -> None:
    """The verdict; bones and radiograph side by side with what plays them; implants, steps and sheet beside."""
    page = visit.debrief
    _verdict()
    with html.Div(classes="debrief"):
        with html.Div(classes="side", style=f"width:{2 * SCREEN_PX + 8}px"):
            with html.Div(
                classes="pair", tabindex=0, aria_label="Replay: arrow keys go on and back, space plays",
                keydown=(lambda key: _keys(visit, page, key), "[$event.key]"),
            ):  # fmt: skip
                with screen(visit.pictures, page.replay, "replay", SCREEN_PX, classes="screen turn"):
                    html.Div(
                        "{{ db_planned ? 'inside the bone; white: the plan' : 'inside the bone' }}", classes="label"
                    )
                    html.Div("drag to turn", classes="foot", style="left:auto;right:8px")
                with screen(visit.pictures, page.shot, "told_shot", SCREEN_PX, classes="screen"):
                    html.Div("{{ db_view || db_shot }}", classes="label", id="db_shot")
                    html.Div("simulated, not for clinical use", classes="foot")
            _player(visit, page)
            _step()
        with html.Div(classes="controls"):
            with html.Div(classes="row tabs", role="tablist"):
                for name, text in TABS:
                    here = f"db_tab == '{name}'"
                    button(text, f"db_tab = '{name}'", role="tab", id=f"tab_{name}", aria_selected=(here,),
                           classes=(f"{here} ? 'on' : ''",))  # fmt: skip
            with html.Div(classes="scroll", role="tabpanel", key="db_tab"):
                _implants(visit, page)
                _steps(page)
                _sheet()
                _risks()


def _verdict() -> None:
    """The rating, and a breach before anything else; the two files."""
    with html.Div(classes=("['verdict', 't-' + db_tone]",), id="db_verdict"):
        html.Span("{{ db_sign }}", classes="sign", aria_hidden="true")
        with html.Div(v_if="db_rating", classes="rating"):
            html.B("{{ db_rating }}", id="db_rating")
            html.Span(" of 100")
        with html.Div(classes="grow"):
            html.B("{{ db_headline }}", id="db_headline")
            html.Div("{{ db_title }}{{ db_grades ? '; grades of the breach: ' + db_grades : '' }}", classes="quiet")
        html.A("Save the log", href="download/debrief-log", download="", id="save_log", classes="as-button")
        html.A("Save the report", href="download/debrief-report", download="", id="save_report", classes="as-button")


def _player(visit: Visit, page: Any) -> None:
    with html.Div(classes="row", role="group", aria_label="Replay"):
        button("◀", (page.forward, "[-1]"), id="db_back", aria_label="Step back", title="Step back")
        button("{{ db_playing ? '❚❚' : '▶' }}", lambda: visit.soon(page.play()), id="db_play", classes="main-action",
               aria_label=("db_playing ? 'Stop' : 'Play'",), style="min-width:40px")  # fmt: skip
        button("▶", (page.forward, "[1]"), id="db_on", aria_label="Step on", title="Step on")
        html.Input(
            type="range", id="db_slider", min=0, max=("db_last",), value=("db_at",), aria_label="Step",
            input=(page.go_to, "[$event.target.value]"), style="flex:1;padding:0",
        )  # fmt: skip
        html.Span("{{ db_count }}", classes="count", id="db_count")
        with html.Label(classes="check"):
            html.Input(type="checkbox", v_model=("db_main",), id="db_main")
            html.Span("turning points only")
    with html.Div(classes="row", role="group", aria_label="Where to look from"):
        html.Span("Look from", classes="unit")
        for name, text in LOOKS:
            button(text, (page.look_from, f"['{name}']"))
        button("−", (page.nearer, "[0.8]"), aria_label="Farther")
        button("+", (page.nearer, "[1.25]"), aria_label="Nearer")
        button("Back to your shot", (page.go_to, "[db_at]"), v_if="db_view", id="db_own")
        button("The plan", page.compare, v_if="db_compared", id="db_planned", aria_pressed=("db_planned",),
               classes=("db_planned ? 'on' : ''",), title="The certified plan's implants as white edges")  # fmt: skip


def _step() -> None:
    """What happened at this step."""
    with html.Div(
        classes=("['message', 't-' + (db_steps[db_at] || {}).tone]",), id="db_step", role="status", aria_live="polite"
    ):
        html.Div("{{ (db_steps[db_at] || {}).text }}")
        html.Div("{{ line }}", v_for="line in (db_steps[db_at] || {}).inside || []",
                 key="line", classes="inside")  # fmt: skip
        html.Div("{{ db_path }}", classes="quiet", id="db_path")


def _implants(visit: Visit, page: Any) -> None:
    """Each implant: its clearance, what the shots said of it, the view that tells, and how far off the plan."""

    def show(implant: int, seen: int) -> None:
        visit.soon(page.tell_view(implant, seen))

    with html.Div(v_if="db_tab == 'implants'", id="db_implants"):
        html.P("No implant is in the patient.", v_if="!db_implants.length")
        with html.Div(v_for="i in db_implants", key="i.n", classes=("['told', 't-' + i.tone]",)):
            with html.H2():
                html.Span("{{ i.sign }}", classes="sign", aria_hidden="true")
                html.Span("{{ i.name }}: {{ i.clear }}, {{ i.size }}")
            html.Div(v_html="i.svg")
            html.P("{{ i.lengths }}.")
            html.P("Beside the plan: {{ i.plan }}.", v_if="i.plan")
            with html.Div(v_for="s in i.seen", key="s.n", classes="seen"):
                html.P("{{ s.text }}.")
                button("Show the view that tells", (show, "[i.n, s.n]"), v_if="s.tells")
                with html.Details(v_if="s.shots.length"):
                    html.Summary("what your {{ s.shots.length }} shots said")
                    with html.Div(v_for="shot in s.shots", key="shot.n"):
                        button("{{ shot.text }}", (page.go_to, "[shot.n]"), classes="line")
        html.P(
            "Clearances are those of the round envelope, which no turn of an implant can leave; the sentence at the "
            "top is about its own shape.",
            classes="quiet",
        )  # fmt: skip


def _steps(page: Any) -> None:
    client.ClientStateChange(value="db_at", change=_IN_SIGHT)
    client.ClientStateChange(value="db_tab", change=_IN_SIGHT)
    with html.Div(v_if="db_tab == 'steps'", id="db_steps"), html.Button(
        type="button", v_for="s in db_steps.filter(s => s.turning_point || !db_main)", key="s.number",
        click=(page.go_to, "[s.number]"), classes=("['line', 't-' + s.tone, db_at == s.number ? 'on' : '']",),
        aria_current=("db_at == s.number ? 'step' : false",),
    ):  # fmt: skip
        html.Span("{{ s.clock }} ", classes="clock")
        html.Span("{{ s.text }}")
        html.Span("{{ line }}", v_for="line in s.inside", key="line", classes="inside")


def _sheet() -> None:
    with html.Div(v_if="db_tab == 'sheet'"):
        html.P("There is no score sheet of this operation.", v_if="!db_measures.length")
        with html.Table(id="db_sheet", v_if="db_measures.length"):
            with html.Thead(), html.Tr():
                for name in ("", "measure, and what it stands for", "here", "good"):
                    html.Th(name)
            with html.Tbody(), html.Tr(v_for="m in db_measures", key="m.name", classes=("'t-' + m.tone",)):
                html.Td(
                    "{{ m.sign }}", classes="sign", title=("m.worth == null ? '' : Math.round(100 * m.worth) + ' %'",)
                )
                with html.Td(title=("m.source",)):
                    html.Span("{{ m.title }}")
                    html.Small("{{ m.kind }}{{ m.stands_for ? ': ' + m.stands_for : '' }}")
                html.Td("{{ m.value }}", classes="n")
                html.Td("{{ m.good }}", classes="n")
        html.P(
            "Percentages are published rates of a complication (NICE IPG578), not of this operation.", classes="quiet"
        )


def _risks() -> None:
    with html.Div(v_if="db_tab == 'risks'"), html.Table(id="db_risks"):
        with html.Thead(), html.Tr():
            for name in ("complication", "published", "signs of it here"):
                html.Th(name)
        with html.Tbody(), html.Tr(v_for="c in db_complications", key="c.name"):
            with html.Td(title=("c.source",)):
                html.Span("{{ c.title }}")
            html.Td("{{ c.rate }}", classes="n")
            with html.Td():
                html.Div("✗ {{ text }}", v_for="text in c.signs", key="text", classes="bad")
                html.Span("none", v_if="c.modelled && !c.signs.length")
                html.Span("a rehearsal cannot show it", v_if="!c.modelled", classes="quiet")


def _keys(visit: Visit, page: Any, key: str) -> None:
    """Keys on the two pictures."""
    if key in ("ArrowRight", "ArrowLeft"):
        page.forward(1 if key == "ArrowRight" else -1)
    elif key == " ":
        visit.soon(page.play())
