"""`sjplan bench suites`, `seal` and `open`: what ships, and suites whose cases nobody knows before they are opened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sjplan.cli.options import AsJson, FilePath
from sjplan.cli.output import error_line, note_line, out_console, print_entry, print_json
from sjplan.core.errors import InputError

SecretFile = Annotated[FilePath, Parameter(help="File with the secret: 16 bytes or more, known to nobody else.")]
NewFile = Annotated[FilePath, Parameter(help="File to write.")]


def suites(*, json: AsJson = False) -> int:
    """List the suites that ship; `sjplan bench run NAME` runs one."""
    from sjplan.io.benchfiles import list_suites, suites_folder

    found = list_suites()
    if json:
        print_json({"suites": found, "folder": str(suites_folder())})
        return 0
    for name, summary in found.items():
        print_entry(f"{name:16}", summary)
    return 0


def seal(
    suite: Annotated[
        str, Parameter(help="A suite's name, or a bench file of your own, whose cases are all of cohorts.")
    ],
    /,
    *,
    secret_file: SecretFile,
    out: NewFile,
    json: AsJson = False,
) -> int:
    """Seal a suite: its cohorts' seeds come from a secret, which the sealed file commits to without telling it.

    A secret is made where the file is not there yet. Publish the sealed file and its checksum, keep the secret, and
    show it when all planners are in: `sjplan bench open` then gives everybody the same cases.
    """
    from sjplan.bench import seal as sealing

    _apart(out, {"--secret-file": secret_file, "SUITE": Path(suite)})
    if out.exists():
        raise InputError("--out", found=f"{out}, which is there", wanted="a file that is not there yet",
                         fix="sealed anew it has other cases and another checksum: keep the first")  # fmt: skip
    made = not secret_file.exists()
    if made:
        sealing.make_secret(secret_file)
        note_line(f"made a secret in {secret_file}: keep it, and keep it to yourself until the suite is opened")
    document = sealing.seal(suite, sealing.read_secret(secret_file), out)
    told = {"out": str(out), "checksum": document["seal"]["checksum"], "commitment": document["seal"]["commitment"]}
    if json:
        print_json({**told, "secret_made": made})
    else:
        out_console().print(f"{out}: checksum {told['checksum']}", markup=False)
    return 0


def open_sealed(
    sealed: Annotated[FilePath, Parameter(help="A sealed suite.")],
    /,
    *,
    secret_file: SecretFile,
    out: NewFile,
    json: AsJson = False,
) -> int:
    """Open a sealed suite with its secret: check both, and write the bench file that `sjplan bench run` takes.

    Exit code 1: the secret is another one. Exit code 2: the sealed file, or a file that it names, was changed.
    """
    from sjplan.bench import seal as sealing

    _apart(out, {"--secret-file": secret_file, "SEALED": sealed})
    try:
        document = sealing.unseal(sealed, sealing.read_secret(secret_file), out)
    except sealing.WrongSecret as error:
        if json:
            print_json({"status": "wrong_secret", "error": str(error)})
        error_line(str(error))
        return 1
    if json:
        print_json({"status": "opened", "out": str(out), "seeds": [entry["seed"] for entry in document["cases"]]})
    else:
        out_console().print(str(out), markup=False)
    return 0


def _apart(out: Path, others: dict[str, Path]) -> None:
    """Refuse to write over what is read."""
    for option, path in others.items():
        if out.absolute() == path.absolute():
            raise InputError("--out", found=f"the file of {option}", wanted="another file")
