"""Read a corpus of hostile and malformed files as a stranger's: nothing crashes, hangs, grows, or reads elsewhere.

    python scripts/validate_hostile.py [--every 1] [--out docs/results/hostile.json] [--fresh]

Every case (scripts/hostile_files.py) is read in a child process with the limits of `--untrusted`: many cases a child,
which says what became of each, so that a crash has a name. The cases written by hand are also given to the command
`sjplan plan --untrusted`, each with a child of its own. Beside every case's folder lie planted files; the kernel tells
(inotify) if anybody opens one. `--every 25` takes one case in 25. Goes on where an interrupted run stopped; exit code
1 if any case ended otherwise than read or refused in one line. scripts/tabulate_intake.py renders the table.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import io
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from hostile_files import SEEDS, Hostile, corpus
from sound_files import FOLDER, OUTSIDE, SECRET, index_of, series

from sjplan.cli.main import run
from sjplan.core.errors import SjplanError
from sjplan.io.child import MEMORY_LIMIT_BYTES, limit_memory
from sjplan.io.results import read_rows, write_rows
from sjplan.io.volumes import load

ROOT: Final = Path(__file__).parents[1]
MOST_S: Final = 15.0
_IN_OPEN, _IN_NONBLOCK = 0x20, 0x800


def work() -> None:
    """The child's side: read what is named on stdin, answer a line of JSON each."""
    limit_memory(MEMORY_LIMIT_BYTES)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
        begun = time.monotonic()
        try:
            loaded = load(json.loads(line), "any")
            values = loaded.volume.hu if hasattr(loaded.volume, "hu") else loaded.volume.label
            secret = SECRET[:24] in values.tobytes(order="K")
            outcome, said = "leaked" if secret else "read", " ".join(sorted(f.code for f in loaded.findings))
        except SjplanError as error:
            outcome, said = "refused", str(error)
        except MemoryError:
            outcome, said = "refused", "out of memory"
        except BaseException as error:  # whatever it is: a case has to be named for it
            outcome, said = "raised", f"{type(error).__name__}: {error}"
        answer = {"outcome": outcome, "said": said, "seconds": time.monotonic() - begun, "mb": _peak_mb()}
        print(json.dumps(answer), file=answers, flush=True)


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


class Watch:
    """Tells whether files in a folder were opened, by whomever and by whatever library."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(_IN_NONBLOCK)
        if self._fd < 0 or libc.inotify_add_watch(self._fd, os.fsencode(folder), _IN_OPEN) < 0:
            raise SystemExit("inotify is not there: reads outside of a folder could not be told")

    def opened(self) -> bool:
        """Whether anything was opened since the last call."""
        seen = False
        with contextlib.suppress(BlockingIOError):
            while os.read(self._fd, 65536):
                seen = True
        return seen


class Reader:
    """A child that reads one case after the other, and is started anew where it ended."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def read(self, path: Path) -> dict[str, Any]:
        """What became of one case."""
        child = self._child or self._start()
        assert child.stdin is not None
        child.stdin.write(json.dumps(str(path)).encode() + b"\n")
        child.stdin.flush()
        answer = self._answer(child, MOST_S)
        if answer is not None:
            return answer
        hung = child.poll() is None
        self.close()
        code = child.returncode
        said = "no answer" if hung else signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return {"outcome": "hung" if hung else "crashed", "said": said, "seconds": MOST_S if hung else 0.0, "mb": 0.0}

    def _start(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-P", __file__, "--work"]
        scripts = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        self._child = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": scripts},
        )  # fmt: skip
        if self._answer(self._child, 120.0) is None:
            raise SystemExit("the child did not start")
        return self._child

    @staticmethod
    def _answer(child: subprocess.Popen[bytes], seconds: float) -> dict[str, Any] | None:
        assert child.stdout is not None
        if not select.select([child.stdout], [], [], seconds)[0]:
            return None
        line = child.stdout.readline()
        return dict(json.loads(line)) if line else None

    def words(self) -> str:
        """What the child has written on stderr since: libraries that speak where nobody asked them to."""
        child = self._child
        if child is None or child.stderr is None or not select.select([child.stderr], [], [], 0)[0]:
            return ""
        return os.read(child.stderr.fileno(), 65536).decode("utf-8", "replace")

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


def by_command(path: Path, out: Path) -> dict[str, Any]:
    """What `sjplan plan --untrusted` says of a case."""
    spoken, written = io.StringIO(), io.StringIO()
    begun = time.monotonic()
    with contextlib.redirect_stderr(spoken), contextlib.redirect_stdout(written):
        code = run(["plan", str(path), "--untrusted", "--no-pictures", "--out", str(out)])
    text = spoken.getvalue()
    one_line = text.count("\n") == 1 and text.startswith("sjplan: ") and not written.getvalue()
    return {"code": code, "one_line": one_line, "nothing_written": not out.exists(),
            "seconds": round(time.monotonic() - begun, 2)}  # fmt: skip


def row(case: Hostile, root: Path, reader: Reader, watch: Watch) -> dict[str, Any]:
    """Make one case, read it, and say what became of it."""
    folder = root / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = case.make(folder)
    watch.opened()
    answer = reader.read(path)
    command = by_command(path, root / "plan") if case.group == "by hand" else None
    outside, words = watch.opened(), reader.words()
    said = answer["said"].replace(str(folder), "").replace(str(root), "")
    bad = []
    if answer["outcome"] not in ("read", "refused"):
        bad.append(answer["outcome"])
    if outside:
        bad.append("opened a file outside its folder")
    if words:
        bad.append("wrote on stderr")
    if "\n" in said or len(said) > 4000:
        bad.append("more than a line")
    if command is not None:
        wrong = command["code"] != 2 or not command["one_line"] or not command["nothing_written"]
        bad += ["command"] * (wrong or command["seconds"] > MOST_S)
    return {
        "run": f"{case.group}: {case.name}", "group": case.group, "seed": case.seed, "outcome": answer["outcome"],
        "said": said[:200], "seconds": round(answer["seconds"], 2), "mb": round(answer["mb"]), "bad": bad,
        "command": command,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "hostile.json")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work()
        return
    settings = {"seeds": SEEDS, "memory_limit_bytes": MEMORY_LIMIT_BYTES, "most_s": MOST_S, "every": arguments.every}
    rows = {} if arguments.fresh else read_rows(arguments.out, "run", settings)
    cases = list(corpus())[:: arguments.every]
    reader = Reader()
    with tempfile.TemporaryDirectory(prefix="hostile-") as scratch:
        root = Path(scratch)
        (root / OUTSIDE).mkdir()
        index_of(root / OUTSIDE, ["1.DCM"])
        series(root / OUTSIDE)
        for name in ("secret.raw", "secret1.raw"):
            (root / OUTSIDE / name).write_bytes(SECRET)
        watch = Watch(root / OUTSIDE)
        try:
            for n, case in enumerate(cases):
                key = f"{case.group}: {case.name}"
                if key in rows:
                    continue
                rows[key] = found = row(case, root, reader, watch)
                if found["bad"] or n % 50 == 0:
                    print(n, key, found["outcome"], found["bad"], found["said"][:100], flush=True)
                if n % 25 == 0:
                    write_rows(arguments.out, rows.values(), seed=0, settings=settings)
        finally:
            reader.close()
    write_rows(arguments.out, rows.values(), seed=0, settings=settings)
    bad = [one["run"] for one in rows.values() if one["bad"]]
    slowest, largest = (max(one[name] for one in rows.values()) for name in ("seconds", "mb"))
    print(f"{len(rows)} cases, {len(bad)} bad; slowest {slowest} s, largest {largest} MB")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
