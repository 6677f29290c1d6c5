"""Datasets are fetched from a server on this machine: whole, checked, with their licence, or not at all."""

import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sjplan.cli.main import run
from sjplan.core.errors import InputError
from sjplan.io.datasets import read_datasets

COMMIT = "0123456789" * 4


class Server(ThreadingHTTPServer):
    """Serves bytes by path; an int is a status, a str a redirect, a callable does what it likes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, bytes | int | str | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        page = self.server.pages.get(self.path, 404)
        if callable(page):
            page(self)
        elif isinstance(page, bytes):
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)
        elif isinstance(page, str):
            self.send_response(302)
            self.send_header("Location", page)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.send_error(page)

    def log_message(self, *words: Any) -> None:
        """Stay quiet."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    found = Server()
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


class Case:
    """A registry with one dataset, and the command that fetches it."""

    def __init__(self, server: Server, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.server, self.folder, self.capsys = server, folder, capsys
        self.files: list[dict[str, Any]] = []
        self.dataset: dict[str, Any] = {
            "title": "bones", "about": "two of them", "licence": "CC-BY-NC-4.0", "cite": "Somebody 2020",
            "licence_url": "https://creativecommons.org/licenses/by-nc/4.0/", "commercial": False,
            "source": "https://example.org/bones", "commit": COMMIT, "base_url": server.url,
        }  # fmt: skip
        self.out = folder / "out"

    def add(self, path: str, data: bytes, *, known: bool = True, **more: Any) -> None:
        self.server.pages["/" + quote(path)] = data
        sha = {"sha256": hashlib.sha256(data).hexdigest()} if known else {}
        self.files.append({"path": path, **sha, **more})

    def registry(self) -> Path:
        lines = ['schema = "sjplan.datasets/1"', "[datasets.bones]"]
        lines += [f"{k} = {json.dumps(v)}" for k, v in self.dataset.items()]
        tables = ["{ " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in f.items()) + " }" for f in self.files]
        path = self.folder / "registry.toml"
        path.write_text("\n".join([*lines, f"files = [{', '.join(tables)}]"]), encoding="utf-8")
        return path

    def fetch(self, *words: str) -> tuple[int, str, str]:
        self.capsys.readouterr()
        code = run(["datasets", "fetch", "bones", "--registry", str(self.registry()), "--out", str(self.out), *words])
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err

    def refused(self, words: str, *options: str) -> None:
        """Exit 2, one line that holds the words, and no file that is not whole."""
        code, out, err = self.fetch("--json", *options)
        assert (code, json.loads(out)["status"]) == (2, "invalid_input")
        assert err.count("\n") == 1, err
        assert words in err
        names = {p.name for p in self.out.rglob("*") if p.is_file()} if self.out.exists() else set()
        assert not any("tmp" in name for name in names), names


@pytest.fixture
def case(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Case:
    return Case(server, tmp_path, capsys)


def test_a_dataset_comes_with_its_licence_and_is_not_asked_for_twice(case: Case) -> None:
    case.add("left hip.stl", b"left" * 1000)
    case.add("right.stl", b"right" * 1000, name="r.stl")
    code, out, err = case.fetch()
    assert (code, err) == (0, "")
    assert out.startswith("bones: CC-BY-NC-4.0; NON-COMMERCIAL use only (https://creativecommons.org")
    assert (case.out / "bones" / "left hip.stl").read_bytes() == b"left" * 1000
    assert (case.out / "bones" / "r.stl").read_bytes() == b"right" * 1000
    licence = (case.out / "bones" / "LICENCE.txt").read_text(encoding="utf-8")
    assert "NON-COMMERCIAL" in licence
    assert COMMIT in licence
    asked = len(case.server.asked)
    code, out, _ = case.fetch("--json")
    assert code == 0
    assert [f["kept"] for f in json.loads(out)["files"]] == [True, True]
    assert len(case.server.asked) == asked
    (case.out / "bones" / "r.stl").write_bytes(b"right, spoilt")
    assert [f["kept"] for f in json.loads(case.fetch("--json")[1])["files"]] == [True, False]
    assert (case.out / "bones" / "r.stl").read_bytes() == b"right" * 1000


def test_an_interrupted_fetch_goes_on_where_it_was(case: Case) -> None:
    case.add("a.stl", b"a" * 5000)
    case.add("b.stl", b"b" * 200_000)

    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "200000")
        handler.end_headers()
        handler.wfile.write(b"b" * 70_000)
        handler.wfile.flush()
        handler.connection.close()

    whole, case.server.pages["/b.stl"] = case.server.pages["/b.stl"], cut
    case.refused("no answer that can be used")
    assert sorted(p.name for p in (case.out / "bones").iterdir()) == ["LICENCE.txt", "a.stl", "source.json"]
    case.server.pages["/b.stl"] = whole
    assert [f["kept"] for f in json.loads(case.fetch("--json")[1])["files"]] == [True, False]


def test_what_is_not_what_it_should_be_is_refused(case: Case) -> None:
    case.add("a.stl", b"a" * 5000)
    case.server.pages["/a.stl"] = b"another"
    case.refused("other bytes than the registry says")
    assert not case.out.exists()
    case.server.pages["/a.stl"] = 404
    case.refused("status 404")
    case.server.pages["/a.stl"] = b"0" * (2**20 + 1)
    case.files[0]["max_mb"] = 1
    case.refused("more than 1 MB")
    assert not case.out.exists()
    case.server.pages["/a.stl"] = "http://example.org/a.stl"
    case.refused("an address without encryption")
    case.server.pages["/a.stl"] = "file:///etc/hostname"
    case.refused("an address without encryption")
    case.server.pages["/a.stl"] = "/a.stl"
    case.refused("more than 5 redirects")


def test_a_redirect_on_this_machine_is_followed(case: Case) -> None:
    case.add("a.stl", b"a" * 500)
    case.server.pages["/there"] = b"a" * 500
    case.server.pages["/a.stl"] = "/there"
    assert case.fetch()[0] == 0


def test_no_network_is_one_line(case: Case) -> None:
    case.add("a.stl", b"a")
    case.dataset["base_url"] = "http://127.0.0.1:9/"
    case.refused("check the network")
    assert not case.out.exists()


def test_an_unknown_hash_needs_a_word_and_is_held_to_later(case: Case) -> None:
    case.add("a.stl", b"a" * 100, known=False)
    case.add("b.stl", b"b" * 100)
    case.refused("1 of 2 files whose sha256 nobody here knows")
    assert case.server.asked == []
    code, out, _ = case.fetch("--accept-unknown-hash")
    assert code == 0
    assert f"sha256 {hashlib.sha256(b'a' * 100).hexdigest()} (not known before: recorded)" in out
    (case.out / "bones" / "a.stl").unlink()
    case.server.pages["/a.stl"] = b"something else"
    case.refused("other bytes than came the last time", "--accept-unknown-hash")


def archive(kind: str, members: dict[str, bytes], link: bool = False) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
            for name, data in members.items():
                out.writestr(name, data)
            if link:
                info = zipfile.ZipInfo("top/In/link")
                info.external_attr = 0o120777 << 16
                out.writestr(info, "/etc/hostname")
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w:xz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        if link:
            info = tarfile.TarInfo("top/In/link")
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
            tar.addfile(info)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_is_unpacked_inside_its_folder(case: Case, kind: str) -> None:
    members = {"top/In/1.dcm": b"one", "top/In/deep/2.dcm": b"two", "top/Out/3.dcm": b"three"}
    case.add(f"set.{kind}", archive(kind, members, link=True), members="In/")
    assert case.fetch()[0] == 0
    found = sorted(p.relative_to(case.out / "bones").as_posix() for p in case.out.rglob("*.dcm"))
    assert found == ["set/1.dcm", "set/deep/2.dcm"]
    assert not (case.out / "bones" / "set" / "link").exists()


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["top/In/../../../../evil", "top/In//etc/evil", "top/In/a\\..\\evil"])
def test_an_archive_that_would_leave_its_folder_is_refused(case: Case, kind: str, name: str) -> None:
    case.add(f"set.{kind}", archive(kind, {name: b"evil", "top/In/1": b"one"}), members="In/")
    case.refused("files that stay in their folder")
    assert not list(case.folder.rglob("evil"))
    assert not (case.out / "bones" / "set").exists()


def test_bombs_and_damaged_archives_are_refused(case: Case) -> None:
    case.add("set.zip", archive("zip", {"top/In/1": bytes(21 * 2**20)}), members="In/", max_mb=1)
    case.refused("expands without end")
    case.files.clear()
    case.add("set.zip", archive("zip", {f"top/In/{n}": b"" for n in range(2001)}), members="In/")
    case.refused("over 2000 files")
    case.files.clear()
    case.add("set.zip", archive("zip", {"top/In/1": b"one"})[:-30], members="In/")
    case.refused("a damaged archive")
    case.files.clear()
    case.add("set.zip", archive("zip", {"top/Out/1": b"one"}), members="In/")
    case.refused("nothing below In/")
    assert not case.out.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base_url": "http://example.org/"}, "base_url"),
        ({"base_url": "ftp://example.org/"}, "base_url"),
        ({"commit": "main"}, "commit"),
        ({"licence": ""}, "licence"),
        ({"extra": 1}, "unknown field"),
    ],
)
def test_bad_registries_are_refused(case: Case, change: dict[str, Any], words: str) -> None:
    case.add("a.stl", b"a")
    case.dataset |= change
    case.refused(words)


@pytest.mark.parametrize("file", [{"path": "../a"}, {"path": "a", "name": "/etc/a"}, {"path": "a", "sha256": "123"}])
def test_bad_files_are_refused(case: Case, file: dict[str, Any]) -> None:
    case.files.append(file)
    case.refused("datasets.bones.files.0")


def test_shipped_datasets_are_pinned_and_open() -> None:
    """Each is pinned to its commit, says its licence, and claims no hash where none was looked at."""
    found = read_datasets()
    assert {"vsd-v2", "vsd-v3", "jhu-atlas", "jhu-corridors", "totalsegmentator-example", "hipbones-ct",
            "visible-human-sacra", "ge-gantry-tilt"} <= set(found)  # fmt: skip
    for name, dataset in found.items():
        assert dataset.source.startswith("https://github.com/"), name
        assert all(dataset.commit in dataset.url(file) for file in dataset.files), name
        assert dataset.commercial == ("-NC-" not in dataset.licence), name
    assert [name for name, d in found.items() if d.unknown < len(d.files)] == ["jhu-corridors"]


@pytest.mark.real
def test_known_hashes_are_those_of_the_files(real_data: Path) -> None:
    for file in read_datasets()["jhu-corridors"].files:
        data = (real_data / "jhu_pelvis_atlas" / "corridor" / file.local).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file.sha256


def test_an_unknown_dataset_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["datasets", "fetch", "vsd-v4"]) == 2
    assert "did you mean 'vsd-v3'?" in capsys.readouterr().err


def test_pooch_is_asked_for_by_name(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pooch", None)
    case.add("a.stl", b"a")
    case.refused("pip install 'sjplan[data]'")


def test_the_list_asks_nobody(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case.add("a.stl", b"a")
    assert run(["datasets", "list", "--registry", str(case.registry())]) == 0
    out = capsys.readouterr().out
    assert "NON-COMMERCIAL use only" in out
    assert case.server.asked == []
    assert run(["datasets", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["datasets"]["vsd-v2"]["commercial"] is False
    with pytest.raises(InputError, match="no such file"):
        read_datasets(case.folder / "none.toml")
