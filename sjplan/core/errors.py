"""Errors that a user can act on: which input, what was found, what was wanted, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SjplanError(Exception):
    """Base of every error that sjplan raises on purpose.

    The text is one line, so that the command line can print it as it is and exit with code 2.

    Parameters
    ----------
    what : str
        The input at fault: a file, an argument, a field.
    found : str
        What was there.
    wanted : str
        What should have been there.
    fix : str, optional
        What the user can do about it.

    Examples
    --------
    >>> str(InputError("spacing_mm", found="0.0", wanted="> 0 mm on every axis", fix="repair the header"))
    'spacing_mm: found 0.0; wanted > 0 mm on every axis; fix: repair the header'
    """

    def __init__(self, what: str, *, found: str, wanted: str, fix: str = "") -> None:
        self.what, self.found, self.wanted, self.fix = what, found, wanted, fix
        text = f"{what}: found {found}; wanted {wanted}" + (f"; fix: {fix}" if fix else "")
        super().__init__(" ".join(text.split()))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.found, self.wanted, self.fix)


def _rebuild(cls: type[SjplanError], what: str, found: str, wanted: str, fix: str) -> SjplanError:
    """Unpickle an error (reading may happen in a child process)."""
    return cls(what, found=found, wanted=wanted, fix=fix)


class InputError(SjplanError):
    """A file or an argument that cannot be used as it is."""


class GeometryError(SjplanError):
    """A value that breaks a geometric rule: shape, unit vector, orthonormal direction."""


class FrameMismatchError(SjplanError):
    """Two things that should lie in the same space do not."""


class AnatomyError(SjplanError):
    """A structure that a plan needs is missing, closed or ambiguous."""


class UnknownNameError(SjplanError):
    """A name that is in no list; says the nearest legal names.

    Examples
    --------
    >>> str(unknown_name("view", "inlett", ["ap", "inlet", "outlet"]))
    "view: found 'inlett'; wanted one of ap, inlet, outlet; fix: did you mean 'inlet'?"
    """


def unknown_name(what: str, name: str, legal: Iterable[str]) -> UnknownNameError:
    """Build the error for `name` missing from `legal`, with a suggestion where one is near."""
    names = sorted(legal)
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.4)
    fix = f"did you mean {near[0]!r}?" if near else ""
    return UnknownNameError(what, found=repr(name), wanted="one of " + ", ".join(names), fix=fix)
