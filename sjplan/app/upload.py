"""Files that a visitor brings: streamed under names of ours, within a limit, and read as a stranger's."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import BodyPartReader, web

from sjplan.app.house import Bed, House, plan_words
from sjplan.core.errors import InputError
from sjplan.io import cases
from sjplan.io.planfile import PlanFile, read_plan

MOST_BYTES: Final = 512 * 2**20
"""Of all files of one upload: a pelvis at 0.7 mm has some 200 MB before it is packed."""

MOST_KEPT: Final = 10
"""Uploads whose files are kept; the oldest goes first, and all of them when the program ends."""

ENDINGS: Final = (".nii.gz", ".nii", ".nrrd", ".mha")
"""What a file may be; DICOM folders and plain headers that point elsewhere are for the command line."""

MOST_PLAN_BYTES: Final = 2 * 2**20
"""Of a plan file; real ones have some ten thousand."""

FIELDS: Final = ("scan", "labels")
_CHUNK: Final = 2**18


async def received(request: web.Request, house: House) -> Bed:
    """Take the files of a form in, and read them.

    Parameters
    ----------
    request : Request
        A form with a file `scan` (a CT or a label map) and perhaps a file `labels`.
    house : House
        Whose worker reads.

    Raises
    ------
    HTTPRequestEntityTooLarge
        For more than `MOST_BYTES`.
    InputError
        For what is no scan.
    """
    if request.content_length is not None and request.content_length > MOST_BYTES:
        raise web.HTTPRequestEntityTooLarge(MOST_BYTES, request.content_length)
    root = Path(tempfile.mkdtemp(prefix="sjplan-upload-"))
    try:
        files = await _saved(request, root)
        if "scan" not in files:
            raise InputError("upload", found="no file", wanted=f"a CT or a label map: {', '.join(ENDINGS)}")
        load = partial(cases.read_case, files["scan"], files.get("labels"), untrusted=True)
        await house.worker.do(load)
    except InputError as error:
        shutil.rmtree(root, ignore_errors=True)
        # Where this machine keeps the file is nobody's business.
        what = error.what.replace(f"{root}/", "")
        raise InputError(what, found=error.found, wanted=error.wanted, fix=error.fix) from None
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
    name = f"upload-{secrets.token_hex(4)}"
    planned = root / "plan"
    words = plan_words(files["scan"], planned, {"--labels": files.get("labels")}, untrusted=True)
    title = f"brought {len(house.uploads) + 1}"
    house.uploads.append(root)
    while len(house.uploads) > MOST_KEPT:
        shutil.rmtree(house.uploads.pop(0), ignore_errors=True)
    return Bed(name, title, "your own files", load, root, None, planned, words)


async def received_plan(request: web.Request, house: House) -> PlanFile:
    """Take a plan file of a form in, and read it.

    Parameters
    ----------
    request : Request
        A form with a file `plan`.
    house : House
        Whose worker reads.

    Raises
    ------
    HTTPRequestEntityTooLarge
        For more than `MOST_PLAN_BYTES`.
    InputError
        For what is no plan file.
    """
    if request.content_length is not None and request.content_length > MOST_PLAN_BYTES:
        raise web.HTTPRequestEntityTooLarge(MOST_PLAN_BYTES, request.content_length)
    root = Path(tempfile.mkdtemp(prefix="sjplan-plan-"))
    file, total = root / "plan.json", 0
    try:
        async for part in _parts(request, ("plan",)):
            with file.open("wb") as saved:
                while chunk := await part.read_chunk(_CHUNK):
                    total += len(chunk)
                    if total > MOST_PLAN_BYTES:
                        raise web.HTTPRequestEntityTooLarge(MOST_PLAN_BYTES, total)
                    saved.write(chunk)
        if not total:
            raise InputError("upload", found="no file", wanted="a plan.json")
        return await house.worker.do(read_plan, file)
    except InputError as error:
        what = error.what.replace(f"{root}/", "")
        raise InputError(what, found=error.found, wanted=error.wanted, fix=error.fix) from None
    finally:
        shutil.rmtree(root, ignore_errors=True)


async def _parts(request: web.Request, fields: tuple[str, ...]) -> AsyncIterator[BodyPartReader]:
    """The files of a form under names that are expected."""
    try:
        reader = await request.multipart()
    except (AssertionError, ValueError):
        raise InputError("upload", found="no form with files", wanted="multipart/form-data") from None
    while (part := await reader.next()) is not None:
        if isinstance(part, BodyPartReader) and part.name in fields and part.filename:
            yield part


async def _saved(request: web.Request, root: Path) -> dict[str, Path]:
    """The form's files, by field; no name of theirs is used but for its ending."""
    total = 0
    found: dict[str, Path] = {}
    async for part in _parts(request, FIELDS):
        assert part.name
        assert part.filename
        ending = next((e for e in ENDINGS if part.filename.lower().endswith(e)), None)
        if ending is None:
            shown = part.filename[-20:]
            raise InputError("upload", found=f"a file that ends in {shown!r}", wanted=", ".join(ENDINGS))
        path = root / f"{part.name}{ending}"
        with path.open("wb") as file:
            while chunk := await part.read_chunk(_CHUNK):
                total += len(chunk)
                if total > MOST_BYTES:
                    raise web.HTTPRequestEntityTooLarge(MOST_BYTES, total)
                file.write(chunk)
        found[part.name] = path
    return found
