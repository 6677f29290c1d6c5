"""Sealed suites: a bench file whose cohorts' seeds come from a secret that is committed to now and shown later."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sjplan.core.errors import InputError, SjplanError
from sjplan.io.atomic import write_text
from sjplan.io.benchfiles import SCHEMA as BENCH_SCHEMA
from sjplan.io.benchfiles import SEALED_SCHEMA, bench_path, read_bench
from sjplan.io.cohorts import cohort_sha256
from sjplan.io.phantom_tables import prefixed, toml_text
from sjplan.io.tables import read_toml

SCHEMA: Final = SEALED_SCHEMA

SECRET_BYTES: Final = 16
"""Least length of a secret: whoever can try all secrets can open the seal."""

_SALT_BYTES: Final = 16
_FILES: Final = ("catalogue", "limits", "errors")
_SEAL: Final = ("salt", "files", "commitment", "checksum")

Document = dict[str, Any]


class WrongSecret(SjplanError):
    """A secret that is not the one that a suite was sealed with."""


def read_secret(path: str | Path) -> bytes:
    """The secret in a file, without white space round it.

    Raises
    ------
    InputError
        For a file that is missing, or holds too little to be a secret.
    """
    file = Path(path)
    try:
        secret = file.read_bytes().strip()
    except OSError as error:
        raise InputError(str(file), found=f"no secret ({error.strerror})", wanted="a file with the secret") from error
    if len(secret) < SECRET_BYTES:
        raise InputError(
            str(file), found=f"{len(secret)} bytes", wanted=f"{SECRET_BYTES} or more, or anybody could guess them",
            fix="name a file that is not there yet: a secret is made",
        )  # fmt: skip
    return secret


def make_secret(path: str | Path) -> None:
    """Write a secret of 256 random bits to a file that is not there yet, for its owner's eyes.

    Raises
    ------
    InputError
        For a place that cannot be written.
    """
    file = Path(path)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InputError(str(file), found=f"{error.strerror}", wanted="a place for a new file") from error
    with os.fdopen(handle, "w", encoding="ascii") as opened:
        opened.write(secrets.token_hex(32) + "\n")
        opened.flush()
        os.fsync(opened.fileno())


def seal(suite: str | Path, secret: bytes, out: str | Path) -> Document:
    """Write a sealed suite, and return what it holds.

    Parameters
    ----------
    suite : str or path
        A suite that ships, or a bench file; its cases are all of cohorts, without seeds.
    secret : bytes
        What the seeds will be made of.
    out : path
        Where the sealed file goes.

    Raises
    ------
    SjplanError
        For a bench file that is none, cases that no seed changes, or seeds that are public already.
    """
    source = bench_path(suite)
    document = read_toml(source)
    read_bench(source)
    with prefixed(source.name):
        _check_sealable(document)
    document = _moved(document, source.resolve().parent, Path(out).resolve().parent)
    document["schema"] = SCHEMA
    document["seal"] = {
        "salt": secrets.token_hex(_SALT_BYTES),
        "files": _hashes(document, Path(out).resolve().parent),
    }
    document["seal"]["commitment"] = _commitment(document, secret)
    document["seal"]["checksum"] = checksum(document)
    write_text(out, toml_text(document))
    return document


def unseal(sealed: str | Path, secret: bytes, out: str | Path) -> Document:
    """Check a sealed suite with its secret, write the bench file that it stands for, and return what that holds.

    Raises
    ------
    WrongSecret
        For another secret than the suite was sealed with.
    InputError
        For a file that is no sealed suite, has been changed since, or names files that have.
    """
    path = Path(sealed)
    document = _read_sealed(path)
    if not hmac.compare_digest(_commitment(document, secret), str(document["seal"]["commitment"])):
        raise WrongSecret(
            path.name, found="another secret than it was sealed with", wanted="that of its commitment",
            fix="if the secret is right, the file was changed and its checksum with it",
        )  # fmt: skip
    here = path.resolve().parent
    found = _hashes(document, here)
    for name, sha256 in document["seal"]["files"].items():
        if found.get(name) != sha256:
            raise InputError(
                path.name, found=f"another {name} than when it was sealed", wanted=f"that of sha256 {sha256[:16]}...",
                fix="use the files, and the version of sjplan, that the suite was sealed with",
            )  # fmt: skip
    content = _content_sha256(document)
    opened = {key: value for key, value in document.items() if key != "seal"} | {"schema": BENCH_SCHEMA}
    opened["cases"] = [
        {**entry, "seed": seed_of(secret, content, number)} for number, entry in enumerate(document["cases"])
    ]
    opened = _moved(opened, here, Path(out).resolve().parent)
    write_text(out, f"# Opened from the sealed suite of checksum {document['seal']['checksum']}\n" + toml_text(opened))
    return opened


def seed_of(secret: bytes, content_sha256: str, number: int) -> int:
    """The seed of one entry of cases: 32 bits that nobody knows without the secret, and few enough for a case's name.

    Examples
    --------
    >>> seed_of(b"a secret of 16 b", "00", 0) == seed_of(b"a secret of 16 b", "00", 1)
    False
    """
    digest = hmac.new(secret, f"{SCHEMA} seed {content_sha256} {number}".encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:4], "big")


def checksum(document: Mapping[str, Any]) -> str:
    """Of a whole sealed suite: what is published of it beside the file, so that nobody can exchange it later."""
    seal = {key: value for key, value in document["seal"].items() if key != "checksum"}
    return _sha256({**document, "seal": seal})


def _content_sha256(document: Mapping[str, Any]) -> str:
    """Of all that is sealed: the bench file, the files that it names, the salt."""
    seal = {key: value for key, value in document["seal"].items() if key in ("salt", "files")}
    return _sha256({**document, "seal": seal})


def _commitment(document: Mapping[str, Any], secret: bytes) -> str:
    return _sha256([SCHEMA, "commitment", document["seal"]["salt"], _content_sha256(document), secret.hex()])


def _sha256(value: Any) -> str:
    try:
        text = json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:  # dates, and numbers that are none: no bench file holds them
        raise InputError("sealed suite", found=str(error), wanted="the file as it was sealed") from error
    return hashlib.sha256(text.encode()).hexdigest()


def _read_sealed(path: Path) -> Document:
    document = read_toml(path)
    schema = document.get("schema")
    if schema != SCHEMA:
        raise InputError(path.name, found=f"schema {schema!r}", wanted=f"a sealed suite ({SCHEMA})")
    seal, cases = document.get("seal"), document.get("cases")
    whole = isinstance(seal, dict) and set(seal) == set(_SEAL) and isinstance(seal.get("files"), dict)
    if not whole or not isinstance(cases, list) or not all(isinstance(entry, dict) for entry in cases):
        raise InputError(path.name, found="a seal that is not whole", wanted="the file as it was sealed")
    if not hmac.compare_digest(checksum(document), str(document["seal"]["checksum"])):
        raise InputError(
            path.name, found="content that does not fit its checksum: it was changed", wanted="the file as sealed",
            fix="get it again from whoever sealed it",
        )  # fmt: skip
    return document


def _check_sealable(document: Document) -> None:
    for number, entry in enumerate(document["cases"]):
        if "cohort" not in entry:
            raise InputError(
                f"cases.{number}", found="cases that are public whatever the seed", wanted="members of a cohort",
                fix="leave presets and label maps to a bench file of their own",
            )  # fmt: skip
        if "seed" in entry:
            raise InputError(
                f"cases.{number}.seed", found=f"{entry['seed']}", wanted="none: the secret gives it", fix="take it out"
            )


def _is_file(name: object) -> bool:
    return isinstance(name, str) and name.endswith(".toml")


def _moved(document: Document, old: Path, new: Path) -> Document:
    """The same bench file for another folder: files that it names by relative paths are found from there."""

    def at(name: str) -> str:
        expanded = Path(os.path.expandvars(name)).expanduser()
        return name if expanded.is_absolute() else Path(os.path.relpath(old / expanded, new)).as_posix()

    moved = {key: at(value) if key in _FILES and value else value for key, value in document.items()}
    moved["cases"] = [
        {key: at(value) if key == "cohort" and _is_file(value) else value for key, value in entry.items()}
        for entry in document["cases"]
    ]
    return moved


def _hashes(document: Document, folder: Path) -> dict[str, str]:
    """The sha256 of every file that a bench file in a folder names, cohorts that ship included."""

    def at(name: str) -> Path:
        return folder / Path(os.path.expandvars(name)).expanduser()

    found = {}
    for entry in document["cases"]:
        name = str(entry.get("cohort"))
        found[name] = cohort_sha256(at(name) if _is_file(name) else name)
    for key in _FILES:
        if document.get(key):
            path = at(str(document[key]))
            try:
                found[str(document[key])] = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                raise InputError(key, found=f"no file {path}", wanted="the file that was sealed") from error
    return found
