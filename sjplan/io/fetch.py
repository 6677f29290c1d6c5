"""Fetches a dataset: the licence first, then each file whole and checked, or not at all.

pooch brings files into place only after their sha256 was checked; what is asked and how much is taken is decided here.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urljoin

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.core.errors import InputError
from sjplan.io.atomic import output_folder, write_text
from sjplan.io.datasets import DataFile, Dataset, is_inside, is_safe_url

RECORD: Final = "source.json"
LICENCE: Final = "LICENCE.txt"
MOST_REDIRECTS: Final = 5
TIMEOUT_S: Final = 30.0
"""Seconds without a byte after which a server counts as gone."""

MOST_UNPACKED: Final = 2000
UNPACKED_TIMES: Final = 20
"""An archive with more files than this, or expanding to more than so many times its own limit, is refused."""

_CHUNK: Final = 2**16

Report = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """One file: what it is called, its sha256, and whether it was there already."""

    name: str
    sha256: str
    kept: bool
    known: bool


def fetch(
    name: str, dataset: Dataset, folder: str | Path, report: Report, *, accept_unknown_hash: bool = False
) -> tuple[Fetched, ...]:
    """Bring a dataset into `folder`/`name`; what is there already and has its sha256 stays.

    Parameters
    ----------
    name : str
        Of the dataset; its folder is called so.
    dataset : Dataset
        From the registry.
    folder : path
        Where to put it.
    report : callable
        Told what goes on, and the share that is done.
    accept_unknown_hash : bool
        Take files whose sha256 nobody knows; it is recorded, and a later fetch is held to it.

    Raises
    ------
    InputError
        Where pooch is missing, a hash is unknown and that is not accepted, the network or the server fails, a file is
        too large or not what it should be, or an archive would leave its folder. Whole files stay, no half one.
    """
    _require_pooch()
    if dataset.unknown and not accept_unknown_hash:
        raise InputError(
            name, found=f"{dataset.unknown} of {len(dataset.files)} files whose sha256 nobody here knows",
            wanted="a known sha256, or your word that what comes is taken",
            fix="give --accept-unknown-hash: what comes is printed and recorded, and later fetches are held to it",
        )  # fmt: skip
    with _target(Path(folder), name) as target:
        known = _recorded(target)
        write_text(target / LICENCE, _licence_text(name, dataset))
        done: list[Fetched] = []
        for n, file in enumerate(dataset.files):
            report(f"{name}: {file.local}", n / len(dataset.files))
            done.append(_one(dataset, file, target, known.get(file.local)))
            known[file.local] = done[-1].sha256
            _record(target, name, dataset, known)
    return tuple(done)


@contextmanager
def _target(folder: Path, name: str) -> Iterator[Path]:
    """The dataset's folder; where not one file came, what was made for it goes again."""
    target = folder / name
    made = [path for path in (target, *target.parents) if not path.exists()]
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(target), found="a place where no folder can be made", wanted="an output folder",
                         fix="name another --out folder") from error  # fmt: skip
    try:
        yield target
    except BaseException:
        if made and not (target / RECORD).exists():
            (target / LICENCE).unlink(missing_ok=True)
            for path in made:
                with suppress(OSError):
                    path.rmdir()
        raise


def _require_pooch() -> None:
    try:
        import pooch  # noqa: F401
    except ImportError as error:
        raise InputError(
            "datasets fetch", found="pooch is not installed", wanted="the extra `data`",
            fix="pip install 'sjplan[data]'",
        ) from error  # fmt: skip


def _licence_text(name: str, dataset: Dataset) -> str:
    return (
        f"{name}: {dataset.title}\n\nLicence: {dataset.terms}\nCite: {dataset.cite}\nSource: {dataset.source}, commit "
        f"{dataset.commit}\n\n{dataset.about}\n\nFetched by sjplan. {NOT_FOR_CLINICAL_USE}\n"
    )


def _recorded(target: Path) -> dict[str, str]:
    """What earlier fetches brought, by name."""
    record = target / RECORD
    if not record.is_file():
        return {}
    try:
        return {str(k): str(v) for k, v in json.loads(record.read_text(encoding="utf-8"))["sha256"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(str(record), found="no record of a fetch", wanted="what sjplan wrote there",
                         fix="delete it, and the files beside it, and fetch again") from error  # fmt: skip


def _record(target: Path, name: str, dataset: Dataset, sha256: dict[str, str]) -> None:
    table = {
        "dataset": name,
        "licence": dataset.licence,
        "commercial_use": dataset.commercial,
        "source": dataset.source,
        "commit": dataset.commit,
        "sha256": sha256,
    }
    write_text(target / RECORD, json.dumps(table, indent=1) + "\n")


def _one(dataset: Dataset, file: DataFile, target: Path, earlier: str | None) -> Fetched:
    """One file in place; pooch checks the hash before it moves the file there."""
    import pooch

    path, wanted = target / file.local, file.sha256 or earlier
    kept = path.is_file() and wanted is not None and _sha256(path) == wanted
    if not kept:
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        known = None if wanted is None else f"sha256:{wanted}"
        logger, level = pooch.get_logger(), pooch.get_logger().level
        logger.setLevel("ERROR")
        try:
            pooch.retrieve(dataset.url(file), known, path.name, path.parent, downloader=_Downloader(file))
        except ValueError as error:
            found = "other bytes than " + ("the registry says" if file.sha256 else "came the last time")
            raise InputError(dataset.url(file), found=f"{found} (sha256 differs)", wanted=f"sha256 {wanted}",
                             fix="try again later; if it stays so, the source has changed") from error  # fmt: skip
        except OSError as error:
            raise _unreachable(dataset.url(file), error) from error
        finally:
            logger.setLevel(level)
    if file.members is not None:
        try:
            _unpack(path, file, target)
        except InputError:
            path.unlink(missing_ok=True)
            raise
    return Fetched(file.local, _sha256(path), kept, file.sha256 is not None)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _unreachable(url: str, error: Exception) -> InputError:
    reason = type(error).__name__
    response = getattr(error, "response", None)
    if response is not None:
        reason = f"status {response.status_code}"
    return InputError(url, found=f"no answer that can be used ({reason})", wanted="the file",
                      fix="check the network (and HTTPS_PROXY), or fetch it by hand from its source")  # fmt: skip


class _Downloader:
    """What pooch calls: follows redirects to safe places only, and takes no more than a file may have."""

    def __init__(self, file: DataFile) -> None:
        self._most = file.max_mb * 2**20

    def __call__(self, url: str, output_file: Any, pooch: Any, check_only: bool = False) -> None:
        import requests

        with requests.Session() as session:
            for _ in range(MOST_REDIRECTS + 1):
                if not is_safe_url(url):
                    raise InputError(url, found="an address without encryption", wanted="https",
                                     fix="fetch it by hand if you trust it")  # fmt: skip
                with session.get(url, stream=True, timeout=TIMEOUT_S, allow_redirects=False) as response:
                    if response.is_redirect:
                        url = urljoin(url, response.headers["location"])
                        continue
                    response.raise_for_status()
                    self._take(url, response.iter_content(_CHUNK), output_file)
                    return
        raise InputError(url, found=f"more than {MOST_REDIRECTS} redirects", wanted="the file",
                         fix="fetch it by hand")  # fmt: skip

    def _take(self, url: str, chunks: Iterator[bytes], output_file: Any) -> None:
        count = 0
        with Path(output_file).open("wb") as stream:
            for chunk in chunks:
                count += len(chunk)
                if count > self._most:
                    raise InputError(url, found=f"more than {self._most // 2**20} MB", wanted="no more than that",
                                     fix="a registry may allow more (max_mb)")  # fmt: skip
                stream.write(chunk)


def _unpack(archive: Path, file: DataFile, target: Path) -> None:
    """Unpack the wanted part of an archive beside it; nothing leaves the folder, links and devices are left out."""
    assert file.members is not None
    room = file.max_mb * 2**20 * UNPACKED_TIMES
    count = 0
    try:
        with output_folder(target / archive.name.split(".")[0]) as folder:
            for name, stream in _members(archive):
                inner = name.partition("/")[2] if not name.startswith(file.members) else name
                if not inner.startswith(file.members) or inner == file.members:
                    continue
                relative = inner[len(file.members) :]
                count += 1
                if not is_inside(relative) or count > MOST_UNPACKED:
                    found = f"a member {name[:80]!r}" if count <= MOST_UNPACKED else f"over {MOST_UNPACKED} files"
                    raise InputError(str(archive), found=found, wanted="files that stay in their folder",
                                     fix="do not trust this archive")  # fmt: skip
                path = folder / relative
                path.parent.mkdir(parents=True, exist_ok=True)
                room = _copied(stream, path, room, archive)
            if not count:
                raise InputError(str(archive), found=f"nothing below {file.members}", wanted="files there",
                                 fix="the source has changed")  # fmt: skip
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(str(archive), found=f"a damaged archive ({type(error).__name__})", wanted="a zip or tar file",
                         fix="delete it and fetch again") from error  # fmt: skip


def _copied(stream: IO[bytes], path: Path, room: int, archive: Path) -> int:
    with path.open("wb") as out:
        while chunk := stream.read(_CHUNK):
            room -= len(chunk)
            if room < 0:
                raise InputError(str(archive), found="an archive that expands without end", wanted="a plain archive",
                                 fix="do not trust this archive")  # fmt: skip
            out.write(chunk)
    return room


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Names and contents of the regular files of a zip or tar file, in turn."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                link = (info.external_attr >> 16) & 0o170000 == 0o120000
                if not info.is_dir() and not link:
                    with opened.open(info) as stream:
                        yield info.filename, stream
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile():
                content = tar.extractfile(member)
                assert content is not None
                with content:
                    yield member.name, content
