"""The list of keys, over the page."""

from __future__ import annotations

from sjplan.app.keys import KEYS, caps
from sjplan.app.markup import html
from sjplan.app.parts import button


def way_in() -> None:
    """The button that opens it."""
    show = "window.document.getElementById('keys').showModal()"
    button("Keys ?", show, id="keys_open", v_if="page == 'operate'", aria_haspopup="dialog")


def build() -> None:
    """A dialog that Escape closes."""
    with html.Dialog(id="keys", aria_labelledby="keys_title"):
        with html.Form(method="dialog", classes="row"):
            html.H2("Keys of the operating room", id="keys_title", style="margin:0;flex:1")
            html.Button("Close", type="submit", autofocus=True, id="keys_close")
        with html.Div(classes="keys"):
            for group, keys in KEYS.items():
                with html.Div():
                    html.H2(group)
                    with html.Dl():
                        for key in keys:
                            with html.Dt():
                                for n, name in enumerate(key.names):
                                    html.Span(" or ", v_if=str(n > 0).lower(), classes="quiet")
                                    for cap in caps(name):
                                        html.Kbd(cap)
                            html.Dd(key.says)
        html.P(
            "Keys do nothing while you type into a field; Escape leaves it. Where Tab has gone, space and enter "
            "press that button. Drill, broach, insert and finish have no key, so that no slip of a finger does them.",
            classes="quiet",
        )
