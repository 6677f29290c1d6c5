"""Elements of a page that keep what assistive technology reads.

trame's own drop any attribute that they do not list, in silence: aria-*, data-*, role and a label's `for` among them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from trame.widgets import html as trame_html

ALSO: Final[Mapping[str, Any]] = {"role": "role", "html_for": ("html_for", "for"), "value": "value"}
"""Others that are dropped from some elements or all: which, and what they are called on the page."""


class Markup:
    """All HTML elements of trame, by the same names.

    Examples
    --------
    >>> from trame_server import Server
    >>> from trame.ui.html import DivLayout
    >>> server = Server("an example")
    >>> server.client_type = "vue3"
    >>> with DivLayout(server) as layout:
    ...     _ = html.Button("Shot", aria_keyshortcuts="X", role="switch")
    >>> layout.html.splitlines()[1]
    '<button aria-keyshortcuts="X" role="switch">'
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        kind = getattr(trame_html, name)

        def make(*children: Any, **attributes: Any) -> Any:
            kept: list[Any] = [key for key in attributes if key.startswith(("aria_", "data_"))]
            kept += [known for key, known in ALSO.items() if key in attributes]
            return kind(*children, **attributes, __properties=kept)

        return make


html: Final = Markup()
