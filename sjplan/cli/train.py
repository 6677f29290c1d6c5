"""`sjplan train`: the trainer in a browser."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from sjplan.cli.intake import CaseArguments
from sjplan.cli.options import FilePath, Labels, Names, Series, Untrusted
from sjplan.cli.output import error_line, out_console
from sjplan.cli.sessions import HistoryFile, history_path
from sjplan.core.errors import InputError, unknown_name

if TYPE_CHECKING:
    from sjplan.app.guard import Gate
    from sjplan.app.house import Bed
    from sjplan.core.exercise import Exercise

OFFERED: Final = (
    *("default", "female", "large", "obese", "dysmorphic", "elderly-osteoporotic", "asymmetric-joints"),
    "hip-replacement",
)
"""Presets on the first page, easy ones first."""


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
    exercises: Annotated[
        FilePath | None, Parameter(help="Folder with a teacher's exercises (*.toml), beside those that ship.")
    ] = None,
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
    require_app()
    import asyncio

    # Kernels and the browser share the cores: threads that wait must not spin on them. OpenMP reads this once.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from sjplan.app.door import Door, serve
    from sjplan.app.guard import Gate
    from sjplan.app.house import House
    from sjplan.io.scoring import read_scoring
    from sjplan.training.history import History

    if not 0 <= port <= 65535:
        raise InputError("--port", found=str(port), wanted="0 to 65535")
    hosts, password = _who_may(host, password_file)
    gate = Gate.new(hosts, password)
    own = None if case is None else CaseArguments(case, labels, names, series, untrusted)
    beds, rules = _beds(own, cache or _cache()), read_scoring(scoring)
    offered, broken = _exercises(exercises)
    house = House(beds, History(history_path(history)), rules, offered, broken)
    try:
        asyncio.run(serve(Door(house, gate), host, port, partial(_announce, gate, open_browser)))
    except OSError as error:
        found, fix = f"{error.strerror}", "--port N, or 0"
        raise InputError(f"{host} port {port}", found=found, wanted="a free port", fix=fix) from None
    except KeyboardInterrupt:
        out_console().print("closed; sessions stand in the history and can be gone on with", markup=False)
    return 0


def require_app() -> None:
    """Say plainly that the web app's libraries are an extra, where they are not there.

    Raises
    ------
    InputError
        Naming the first that is missing.
    """
    missing = [name for name in ("aiohttp", "trame", "trame_rca") if find_spec(name) is None]
    if missing:
        wanted = "the extra app, which the trainer needs"
        raise InputError("sjplan train", found=f"no {missing[0]}", wanted=wanted, fix="pip install 'sjplan[app]'")


def _exercises(folder: Path | None) -> tuple[Mapping[str, Exercise], tuple[str, ...]]:
    """Exercises that can be used, and what is wrong with the others, said here and on the page without the folder."""
    from sjplan.io.exercises import usable_exercises

    found, broken = usable_exercises(folder)
    for error in broken:
        error_line(f"exercise left out: {error}")
    return found, tuple(str(error).replace(f"{folder}{os.sep}", "") for error in broken)


def _who_may(host: str, password_file: Path | None) -> tuple[frozenset[str], str | None]:
    """Names that we answer to, and the password: beyond this machine there has to be one."""
    from sjplan.app.guard import LOOPBACK, read_password

    away = _beyond(host)
    if away and password_file is None:
        fix = (
            "--password-file FILE with one line of 12 letters or more; whoever reaches this machine may try to come in"
        )
        found = f"{host} without a password"
        raise InputError("--host", found=found, wanted="this machine only, or a password", fix=fix)
    password = None if password_file is None else read_password(password_file)
    return LOOPBACK | _own_names(host) if away else LOOPBACK, password


def _beyond(host: str) -> bool:
    """Whether others than this machine can reach an address."""
    from sjplan.app.guard import LOOPBACK

    return host not in LOOPBACK and host != "::1"


def _announce(gate: Gate, open_browser: bool, host: str, port: int) -> None:
    """Print where visitors come in."""
    away = _beyond(host)
    door = f"http://{host if away else '127.0.0.1'}:{port}/"
    address = door if gate.password is not None else f"{door}?token={gate.tokens['trainee']}"
    out_console().print(f"trainees: {address}", markup=False, soft_wrap=True)
    course = f"{door}?token={gate.tokens['instructor']}"
    out_console().print(f"instructor: {course} (everybody's sessions: do not pass on)", markup=False, soft_wrap=True)
    if away:
        error_line("listening beyond this machine, unencrypted: passwords and pictures can be read on the way")
    if open_browser:
        import webbrowser

        webbrowser.open(address)


def _beds(own: CaseArguments | None, cache: Path) -> dict[str, Bed]:
    """The patients that are offered: one's own first, then presets of other names."""
    from sjplan.app.house import SJPLAN, Bed, plan_words
    from sjplan.io import cases
    from sjplan.io.presets import list_presets, read_spec

    found: dict[str, Bed] = {}
    if own is not None:
        path = Path(own.case).expanduser().resolve()
        if not path.exists():
            raise InputError(own.case, found="no such file or folder", wanted="a CT, a label map or a phantom folder")
        load = partial(cases.read_case, path, own.labels, series=own.series, names=own.names, untrusted=own.untrusted)
        planned = cache / f"plan-{_short(f'{path} {path.stat().st_mtime_ns} {own}')}"
        options = {"--labels": own.labels, "--names": own.names, "--series": own.series}
        words = plan_words(path, planned, options, untrusted=own.untrusted)
        # Histories and logs go elsewhere, and a file may be named after a person: they hold a mark of the name.
        mark = f"case-{_short(own.name)}"
        found[mark] = Bed(mark, own.name, "the case that was named", load, path, None, planned, words)
    presets = list_presets()
    for name in OFFERED:
        key = _short(repr(read_spec(name)))
        folder, planned = cache / f"{name}-{key}", cache / f"plan-{name}-{key}"
        build, load = (*SJPLAN, "phantom", "build", name, "--out", str(folder)), partial(cases.read_case, folder)
        bed = Bed(name, name, presets[name], load, folder, build, planned, plan_words(folder, planned, {}))
        found.setdefault(name, bed)
    return found


def bed_of(name: str, own: CaseArguments | None = None, cache: Path | None = None) -> Bed:
    """The patient that a session was begun on: the case that is named, or a phantom that ships.

    Raises
    ------
    UnknownNameError
        For a name that is none of them.
    """
    beds = _beds(own, cache or _cache())
    if own is not None:
        return next(iter(beds.values()))
    if name not in beds:
        raise unknown_name("case", name, beds)
    return beds[name]


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
