"""A trainer that really runs, in a process of its own, and requests to it that no library tidies up."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SJPLAN = (sys.executable, "-m", "sjplan.cli.main")
START_S = 60.0


@dataclass
class Trainer:
    """A trainer and where it listens."""

    process: subprocess.Popen[str]
    port: int
    token: str
    history: Path
    cache: Path
    instructor: str = ""

    @property
    def url(self) -> str:
        """Where a trainee comes in."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    @property
    def course_url(self) -> str:
        """Where an instructor comes in."""
        return f"http://127.0.0.1:{self.port}/?token={self.instructor}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def start(folder: Path, case: Path | None, *more: str) -> Trainer:
    """Start a trainer whose history and cache lie in a folder, and read what it prints."""
    history, cache = folder / "history.sqlite", folder / "cache"
    words = [*SJPLAN, "train", *([str(case)] if case else []), "--port", "0", "--history", str(history)]
    words += ["--cache", str(cache), *more]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines, until = "", time.monotonic() + START_S
    while "instructor:" not in lines:
        line = process.stdout.readline()
        assert line, f"the trainer ended: {lines}"
        assert time.monotonic() < until, lines
        lines += line
    port = re.search(r":(\d+)/", lines)
    token = re.search(r"trainees:.*token=(\S+)", lines)
    instructor = re.search(r"instructor:.*token=(\S+)", lines)
    assert port is not None
    assert instructor is not None
    return Trainer(process, int(port[1]), token[1] if token else "", history, cache, instructor[1])


def ask(
    trainer: Trainer,
    path: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """One request, its path as it is written."""
    connection = http.client.HTTPConnection("127.0.0.1", trainer.port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        given = {"Host": trainer.host, **(headers or {})}
        if body is not None:
            given.setdefault("Content-Length", str(len(body)))
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders()
        if body:
            connection.send(body)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


@dataclass
class Guest:
    """Somebody who has come in: a cookie, and the visit that was made for them."""

    cookie: str
    visit: str
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Cookie": self.cookie}


def come_in(trainer: Trainer, token: str | None = None) -> Guest:
    """Come in with a token, and have a visit made."""
    first = ask(trainer, f"/?token={trainer.token if token is None else token}")
    assert first.status == 302, first.body
    cookie = first.headers["Set-Cookie"].partition(";")[0]
    second = ask(trainer, "/", headers={"Cookie": cookie})
    assert second.status == 302, second.body
    found = re.fullmatch(r"/v/([^/]+)/index\.html\?secret=(.+)", second.headers["Location"])
    assert found is not None
    return Guest(cookie, found[1], found[2])
