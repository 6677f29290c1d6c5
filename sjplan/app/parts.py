"""Pieces that the pages are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trame.widgets import rca

from sjplan.app.keys import SHORTCUTS
from sjplan.app.markup import html
from sjplan.app.monitor import Monitor
from sjplan.app.stream import Pictures

MOUSE_MS: Final = 16
"""A mouse on a screen is heard so often: as often as screens refresh."""


def button(text: str, click: Any, **more: Any) -> Any:
    """A button; `click` is a function, or a pair of a function and its arguments as the page writes them.

    One whose id has a key is pressed by that key as well.
    """
    shortcut = SHORTCUTS.get(str(more.get("id", "")))
    if shortcut is not None:
        more["aria_keyshortcuts"] = shortcut
    return html.Button(text, type="button", click=click, **more)


def stepper(
    key: str, label: str, unit: str, by: float, nudge: Callable[..., Any], change: Any, names: tuple[str, str]
) -> None:
    """A number with a button to either side of it; `names` say what less and more mean."""
    with html.Div(classes="row"):
        html.Label(label, html_for=key)
        less, more = (f"{key}_{which}" for which in ("less", "more"))
        button("−", (nudge, f"[{-by}]"), title=f"{names[0]} {by:g} {unit}", aria_label=f"{label} {names[0]}", id=less)
        html.Input(type="number", id=key, step=by, value=(key,), change=change)
        button("+", (nudge, f"[{by}]"), title=f"{names[1]} {by:g} {unit}", aria_label=f"{label} {names[1]}", id=more)
        html.Span(unit, classes="unit")


def screen(pictures: Pictures, monitor: Monitor, name: str, pixels: int, **more: Any) -> Any:
    """A monitor of so many pixels on the page; what is put inside stands over the picture."""
    style = f"width:{pixels}px;height:{pixels}px"
    with html.Div(id=name, style=style, **more) as box:
        html.Canvas(id=f"{name}_picture", classes="picture", width=1, height=1)
        area = rca.RemoteControlledArea(
            name=f"{name}_area", display="none", event_throttle_ms=MOUSE_MS, style="width:100%;height:100%"
        )
        monitor.area_name = area.name
        area.add_view_handler(monitor)
    pictures.add(name, monitor)
    return box
