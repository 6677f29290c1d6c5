"""Keys of the operating room: which button each of them presses.

A button that is not on the page, or that cannot be pressed now, is not pressed by its key either; keys do nothing while
somebody types into a field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Key:
    """One shortcut.

    Parameters
    ----------
    button : str
        Id of the button.
    names : tuple of str
        Keys, as aria-keyshortcuts writes them.
    says : str
        What it does.
    """

    button: str
    names: tuple[str, ...]
    says: str


def _key(button: str, names: str, says: str) -> Key:
    return Key(button, tuple(names.split()), says)


KEYS: Final[Mapping[str, tuple[Key, ...]]] = {
    "C-arm": (
        _key("arm_orbital_deg_less", "ArrowLeft", "orbital to the right"),
        _key("arm_orbital_deg_more", "ArrowRight", "orbital to the left"),
        _key("arm_tilt_deg_less", "ArrowUp", "tilt towards inlet"),
        _key("arm_tilt_deg_more", "ArrowDown", "tilt towards outlet"),
        _key("arm_wig_wag_deg_less", ",", "wig-wag less"),
        _key("arm_wig_wag_deg_more", ".", "wig-wag more"),
        _key("arm_across_mm_less", "Shift+ArrowLeft", "across to the right"),
        _key("arm_across_mm_more", "Shift+ArrowRight", "across to the left"),
        _key("arm_along_mm_more", "Shift+ArrowUp", "along to the head"),
        _key("arm_along_mm_less", "Shift+ArrowDown", "along to the feet"),
        _key("arm_lift_mm_more", "PageUp", "lift up"),
        _key("arm_lift_mm_less", "PageDown", "lift down"),
        _key("view_ap", "1", "AP"),
        _key("view_lateral", "2", "lateral"),
        _key("view_inlet", "3", "inlet"),
        _key("view_outlet", "4", "outlet"),
    ),
    "X-rays": (
        _key("shot", "Space X", "shot: a step on the pedal"),
        _key("pulse", "Shift+X", "pulse of one second"),
        _key("keep", "K", "keep the picture"),
        _key("pedal", "P", "pedal: X-rays while dragging"),
        _key("mark", "M", "mark the skin, with the mouse"),
    ),
    "Else": (
        _key("undo", "Z", "undo what its button says"),
        _key("keys_open", "?", "this list"),
    ),
    "Pin": (
        _key("place", "N", "place it on the skin"),
        _key("op_cranial_more", "W", "aim cranially"),
        _key("op_cranial_less", "S", "aim caudally"),
        _key("op_ventral_more", "D", "aim ventrally"),
        _key("op_ventral_less", "A", "aim dorsally"),
        _key("op_along_more", "Shift+W", "entry cranially"),
        _key("op_along_less", "Shift+S", "entry caudally"),
        _key("op_up_less", "Shift+D", "entry ventrally"),
        _key("op_up_more", "Shift+A", "entry dorsally"),
        _key("push", "U", "push by hand"),
        _key("tap", "T", "tap with the mallet"),
        _key("back", "B", "draw back"),
        _key("out", "Shift+B", "take out"),
        _key("gauge", "G", "depth gauge"),
    ),
}
"""By group. Drill, broach, insert and finish have no key, so that no slip of a finger does them."""

SHORTCUTS: Final[Mapping[str, str]] = {key.button: " ".join(key.names) for keys in KEYS.values() for key in keys}

_SIGNS: Final = {
    "ArrowLeft": "←", "ArrowRight": "→", "ArrowUp": "↑", "ArrowDown": "↓", "PageUp": "Page up", "PageDown": "Page down",
}  # fmt: skip


def caps(name: str) -> list[str]:
    """What stands on the keys of a shortcut.

    Examples
    --------
    >>> caps("Shift+ArrowLeft"), caps("X")
    (['Shift', '←'], ['X'])
    """
    return [_SIGNS.get(part, part) for part in name.split("+")]
