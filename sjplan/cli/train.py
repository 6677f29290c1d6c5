"""`sjplan train`: the trainer in a browser."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from sjplan.cli.intake import CaseArguments
from sjplan.cli.options import FilePath, Labels, Names, Series, Untrusted
from sjplan.cli.output import error_line, out_console
from sjplan.cli.sessions import HistoryFile, history_path
from sjplan.core.errors import InputError

if TYPE_CHECKING:
    from sjplan.app.house import Bed

OFFERED: Final = (
    *(
        "default",
        "female",
        "large",
        "obese",
        "dysmorphic",
        "elderly-osteoporotic",
        "asymmetric-joints",
        "hip-replacement",
    ),
)
"""Presets on the first page, easy ones first."""

SJPLAN: Final = (sys.executable, "-m", "sjplan.cli.main")


def train(
    case: Annotated[str | None, Parameter(help="A patient of your own, beside the phantoms that ship.")] = None,
    /,
    *,
    host: Annotated[
        str, Parameter(help="Address to listen on; other than this machine's own needs a password.")
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port; 0 takes a free one.")] = 8765,
    password_file: Annotated[
        FilePath | None, Parameter(help="File with the password that visitors are asked for.")
    ] = None,
    history: HistoryFile = None,
    scoring: Annotated[FilePath | None, Parameter(help="TOML file that says how to rate, in place of ours.")] = None,
    exercises: Annotated[FilePath | None, Parameter(help="Folder with exercises of your own (TOML).")] = None,
    cache: Annotated[FilePath | None, Parameter(help="Folder in which built phantoms are kept.")] = None,
    open_browser: Annotated[bool, Parameter(name="--open", help="Open the page in the browser.")] = False,
    labels: Labels = None,
    names: Names = None,
    series: Series = None,
    untrusted: Untrusted = False,
) -> int:
    """Rehearse operations in a web page, shot by shot.

    Listens on this machine only, and prints an address that holds a random key. With another --host everybody who can
    reach this machine can try the password; nothing is encrypted: put a server with TLS in front of it.
    """
    import asyncio

    from sjplan.app.door import Door, serve
    from sjplan.app.guard import LOOPBACK, Gate, read_password
    from sjplan.app.house import House
    from sjplan.io.exercises import read_exercises
    from sjplan.io.scoring import read_scoring
    from sjplan.training.history import History

    if not 0 <= port <= 65535:
        raise InputError("--port", found=str(port), wanted="0 to 65535")
    away = host not in LOOPBACK and host != "::1"
    if away and password_file is None:
        fix = (
            "--password-file FILE with one line of 12 letters or more; whoever reaches this machine may try to come in"
        )
        raise InputError(
            "--host", found=f"{host} without a password", wanted="this machine only, or a password", fix=fix
        )
    password = None if password_file is None else read_password(password_file)
    hosts = LOOPBACK if not away else LOOPBACK | _own_names(host)
    gate = Gate.new(hosts, password)
    own = None if case is None else CaseArguments(case, labels, names, series, untrusted)
    house = House(
        _beds(own, cache or _cache()), read_exercises(exercises), History(history_path(history)), read_scoring(scoring)
    )

    def ready(_: str, listening: int) -> None:
        shown = f"http://{'127.0.0.1' if not away else host}:{listening}/"
        trainee = shown if password is not None else f"{shown}?token={gate.tokens['trainee']}"
        out_console().print(f"trainees:   {trainee}", markup=False, soft_wrap=True)
        out_console().print(f"instructor: {shown}?token={gate.tokens['instructor']}", markup=False, soft_wrap=True)
        if away:
            error_line(
                "listening beyond this machine, and nothing is encrypted: passwords and pictures can be read on the way"
            )
        if open_browser:
            import webbrowser

            webbrowser.open(trainee)

    try:
        asyncio.run(serve(Door(house, gate), host, port, ready))
    except OSError as error:
        raise InputError(
            f"{host} port {port}", found=f"{error.strerror}", wanted="a free port", fix="--port N, or 0"
        ) from None
    except KeyboardInterrupt:
        out_console().print("closed; sessions stand in the history and can be gone on with", markup=False)
    return 0


def _beds(own: CaseArguments | None, cache: Path) -> dict[str, Bed]:
    """The patients that are offered: one's own first, then presets."""
    from sjplan.app.house import Bed
    from sjplan.io import cases
    from sjplan.io.presets import list_presets, read_spec

    found: list[Bed] = []
    if own is not None:
        path = Path(own.case).expanduser().resolve()
        if not path.exists():
            raise InputError(own.case, found="no such file or folder", wanted="a CT, a label map or a phantom folder")

        def load() -> cases.Case:
            return cases.read_case(path, own.labels, series=own.series, names=own.names, untrusted=own.untrusted)

        planned = cache / f"plan-{_short(f'{path} {path.stat().st_mtime_ns} {own}')}"
        words = _plan_words(str(path), planned, own)
        found.append(Bed(own.name, own.name, "the case that was named", load, path, None, planned, words))
    presets = list_presets()
    for name in OFFERED:
        key = _short(repr(read_spec(name)))
        folder, planned = cache / f"{name}-{key}", cache / f"plan-{name}-{key}"
        build = (*SJPLAN, "phantom", "build", name, "--out", str(folder))
        load_it = partial(cases.read_case, folder)
        words = _plan_words(str(folder), planned, None)
        found.append(Bed(name, name, presets[name], load_it, folder, build, planned, words))
    return {bed.id: bed for bed in found}


def _plan_words(case: str, out: Path, own: CaseArguments | None) -> tuple[str, ...]:
    """Command line that plans a case."""
    words = [*SJPLAN, "plan", case, "--no-pictures", "--out", str(out)]
    if own is not None:
        for option, value in (("--labels", own.labels), ("--names", own.names), ("--series", own.series)):
            words += [] if value is None else [option, str(value)]
        words += ["--untrusted"] if own.untrusted else []
    return tuple(words)


def _short(text: str) -> str:
    import hashlib

    from sjplan import __version__

    return hashlib.sha256(f"{__version__} {text}".encode()).hexdigest()[:10]


def _cache() -> Path:
    data = os.environ.get("XDG_CACHE_HOME")
    return (Path(data) if data else Path.home() / ".cache") / "sjplan" / "phantoms"


def _own_names(host: str) -> frozenset[str]:
    """What a browser may call this machine by."""
    import socket

    names = {host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}
    if host in ("0.0.0.0", "::"):
        for name in (socket.gethostname(),):
            try:
                names |= {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
            except OSError:
                continue
    return frozenset(f"[{n}]" if ":" in n else n for n in names)
