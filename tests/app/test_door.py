"""Who is let in, asked of a trainer that really runs: wrong keys, foreign pages, foreign names, paths, sizes."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
import msgpack
import psutil
import pytest
from app_support import Guest, Trainer, ask, come_in, start

WRONG = ("%ff%fe", "%ed%a0%80", "", "x", "wslink-secret", "None", "..", "%00", "token", "a" * 7_000)


@pytest.fixture(scope="module")
def guest(trainer: Trainer) -> Guest:
    return come_in(trainer)


@pytest.mark.parametrize("token", [*WRONG, "SHORTER", "LONGER", "OTHER CASE"])
def test_wrong_token_is_refused(trainer: Trainer, token: str) -> None:
    near = {"SHORTER": trainer.token[:-1], "LONGER": trainer.token + "A", "OTHER CASE": trainer.token.swapcase()}
    answer = ask(trainer, f"/?token={near.get(token, token)}")
    assert answer.status == 403
    assert "Set-Cookie" not in answer.headers
    assert trainer.token.encode() not in answer.body


def test_without_a_key_there_is_a_plain_page(trainer: Trainer) -> None:
    answer = ask(trainer, "/")
    assert answer.status == 403
    assert b"sjplan train" in answer.body
    assert b"Not for clinical use" in answer.body


def test_cookie_is_for_this_site_alone_and_not_for_scripts(trainer: Trainer) -> None:
    cookie = ask(trainer, f"/?token={trainer.token}").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert str(trainer.port) in cookie.partition("=")[0], "two trainers on one machine would share it"


def test_guest_gets_the_page_and_its_files(trainer: Trainer, guest: Guest) -> None:
    page = ask(trainer, f"/v/{guest.visit}/index.html?secret={guest.secret}", headers=guest.headers)
    assert page.status == 200
    assert b"<script" in page.body


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", ""])
@pytest.mark.parametrize("path", ["/", "/login", "PAGE", "SOCKET", "PICTURES"])
def test_foreign_host_is_refused(trainer: Trainer, guest: Guest, host: str, path: str) -> None:
    """A stranger's name that points at this machine (DNS rebinding) gets nothing, cookie or not."""
    names = {"PAGE": "index.html", "SOCKET": "ws", "PICTURES": "pictures"}
    own = f"/v/{guest.visit}/{names[path]}" if path in names else path
    answer = ask(trainer, own, headers={**guest.headers, "Host": host})
    assert answer.status == 403
    assert b"<script" not in answer.body


async def _socket(trainer: Trainer, guest: Guest, origin: str | None, secret: str) -> str:
    """What comes of opening the websocket and of naming a secret."""
    headers = {**guest.headers, **({} if origin is None else {"Origin": origin})}
    async with aiohttp.ClientSession() as session:
        try:
            async with session.ws_connect(f"http://{trainer.host}/v/{guest.visit}/ws", headers=headers) as ws:
                call = {"wslink": "1.0", "id": "system:c0:0", "method": "wslink.hello", "args": [{"secret": secret}]}
                await ws.send_bytes(_chunk(msgpack.packb(call)))
                reply = await ws.receive(10)
                said = msgpack.unpackb(reply.data[12:])
                if "error" not in said:
                    return "in"
                state = {"wslink": "1.0", "id": "rpc:c0:1", "method": "trame.state.get", "args": []}
                await ws.send_bytes(_chunk(msgpack.packb(state)))
                again = msgpack.unpackb((await ws.receive(10)).data[12:])
                return "refused" if "error" in again else "leaked"
        except aiohttp.WSServerHandshakeError as error:
            return f"{error.status}"


def _chunk(message: bytes) -> bytes:
    """A message as wslink sends it: an id, the offset and the whole size in front."""
    return b"\x01\x00\x00\x00" + (0).to_bytes(4, "little") + len(message).to_bytes(4, "little") + message


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost", None])
def test_foreign_origin_gets_no_websocket(trainer: Trainer, guest: Guest, origin: str | None) -> None:
    assert asyncio.run(_socket(trainer, guest, origin, guest.secret)) == "403"


async def _pictures(trainer: Trainer, guest: Guest, origin: str | None) -> int:
    """What the connection for pictures answers while the guest's page is open: 101 lets in."""
    headers, visit = dict(guest.headers), f"http://{trainer.host}/v/{guest.visit}"
    own = {**headers, "Origin": f"http://{trainer.host}"}
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{visit}/ws", headers=own):
        try:
            given = {**headers, **({} if origin is None else {"Origin": origin})}
            async with session.ws_connect(f"{visit}/pictures", headers=given):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost", None])
def test_foreign_origin_sees_no_pictures(trainer: Trainer, guest: Guest, origin: str | None) -> None:
    assert asyncio.run(_pictures(trainer, guest, origin)) == 403
    assert asyncio.run(_pictures(trainer, guest, f"http://{trainer.host}")) == 101


def test_without_a_page_there_are_no_pictures(trainer: Trainer) -> None:
    answer = ask(trainer, f"/v/{(new := come_in(trainer)).visit}/pictures", headers=new.headers)
    assert answer.status == 409


@pytest.mark.parametrize("secret", ["wslink-secret", "vtkweb-secret", "", "x"])
def test_default_and_wrong_secrets_open_nothing(trainer: Trainer, guest: Guest, secret: str) -> None:
    assert asyncio.run(_socket(trainer, guest, f"http://{trainer.host}", secret)) == "refused"


def test_own_page_with_its_secret_is_let_in(trainer: Trainer, guest: Guest) -> None:
    """Without this the two tests above could pass by refusing everybody."""
    assert asyncio.run(_socket(trainer, guest, f"http://{trainer.host}", guest.secret)) == "in"


def test_another_guest_gets_nothing_of_a_visit(trainer: Trainer, guest: Guest) -> None:
    other = come_in(trainer)
    for path in ("index.html", "ws", "pictures", "download/report.html", "upload"):
        answer = ask(trainer, f"/v/{guest.visit}/{path}", headers=other.headers)
        assert answer.status in (403, 405), path
    mixed = Guest(other.cookie, guest.visit, guest.secret)
    assert asyncio.run(_socket(trainer, mixed, f"http://{trainer.host}", guest.secret)) == "403"


@pytest.mark.parametrize(
    "path",
    ["../../../../etc/passwd", "%2e%2e/%2e%2e/%2e%2e/etc/passwd", "..%2f..%2f..%2fetc/passwd",
     "/etc/passwd", "//etc/passwd",
     "assets/../../../../../../../etc/passwd", "..\\..\\etc\\passwd", "file:///etc/passwd", "index.html%00.png",
     "download/..%2f..%2fetc%2fpasswd", "download//etc/passwd", "style.css", "visit.py"],
)  # fmt: skip
def test_no_path_of_a_client_is_opened(trainer: Trainer, guest: Guest, path: str) -> None:
    answer = ask(trainer, f"/v/{guest.visit}/{path}", headers=guest.headers)
    assert answer.status in (400, 403, 404)
    assert b"root:" not in answer.body


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null"])
@pytest.mark.parametrize("path", ["/login", "upload", "plan"])
def test_foreign_forms_are_refused(trainer: Trainer, guest: Guest, path: str, origin: str | None) -> None:
    own = path if path.startswith("/") else f"/v/{guest.visit}/{path}"
    headers = {**guest.headers, **({} if origin is None else {"Origin": origin})}
    assert ask(trainer, own, "POST", headers, b"password=x").status == 403


def test_every_answer_has_its_headers(trainer: Trainer, guest: Guest) -> None:
    for path in ("/", "/?token=x", "/nothing", f"/v/{guest.visit}/index.html", f"/v/{guest.visit}/nothing", "/v/x/ws"):
        headers = ask(trainer, path, headers=guest.headers if path.startswith("/v") else {}).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Referrer-Policy"] == "same-origin", path
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path
        assert headers["Cache-Control"] == "no-store", path


def _form(name: str, filename: str, content: bytes) -> tuple[dict[str, str], bytes]:
    head = f'--B\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
    return {"Content-Type": "multipart/form-data; boundary=B"}, head.encode() + content + b"\r\n--B--\r\n"


@pytest.mark.parametrize(
    ("filename", "content", "said"),
    [("scan.nii.gz", b"no scan at all", "scan.nii.gz"), ("scan.mhd", b"ElementDataFile = /etc/passwd", ".mhd"),
     ("../../evil.nii", b"\x00" * 400, "scan.nii"), ("scan.exe", b"MZ", ".exe"), ("scan.nrrd", b"", "scan.nrrd")],
)  # fmt: skip
def test_what_is_no_scan_is_refused_in_words(trainer: Trainer, filename: str, content: bytes, said: str) -> None:
    guest = come_in(trainer)
    headers, body = _form("scan", filename, content)
    headers |= {**guest.headers, "Origin": f"http://{trainer.host}"}
    assert ask(trainer, f"/v/{guest.visit}/upload", "POST", headers, body).status == 303
    shown = asyncio.run(_state(trainer, guest))
    assert said in shown["error"]
    assert next(b["title"] for b in shown["beds"]) == "phantom", "nothing was added"
    assert "/tmp" not in shown["error"], "no path of this machine is shown"


def test_uploads_are_read_in_a_process_of_their_own(trainer: Trainer) -> None:
    """Told by the processes that the trainer starts meanwhile: what a file does to its reader, it does to that one."""
    guest = come_in(trainer)
    headers, body = _form("scan", "scan.nii.gz", b"no scan at all")
    headers |= {**guest.headers, "Origin": f"http://{trainer.host}"}
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(ask, trainer, f"/v/{guest.visit}/upload", "POST", headers, body)
        seen: set[str] = set()
        while not sent.done():
            for child in psutil.Process(trainer.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    seen.add(" ".join(child.cmdline()))
        assert sent.result().status == 303
    assert any("sjplan.io.child" in line for line in seen), seen


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"{", "no valid JSON"), (b"[" * 100_000, "no valid JSON"), (b'{"schema": "x"}', "schema 'x'"), (b"", "no file"),
     (b"\x00\xff\xfe", "plan.json")],
)  # fmt: skip
def test_what_is_no_plan_is_refused_in_words(trainer: Trainer, content: bytes, said: str) -> None:
    guest = come_in(trainer)
    headers, body = _form("plan", "../../../etc/passwd", content)
    headers |= {**guest.headers, "Origin": f"http://{trainer.host}"}
    assert ask(trainer, f"/v/{guest.visit}/plan", "POST", headers, body).status == 303
    shown = asyncio.run(_state(trainer, guest))
    assert said in shown["error"]
    assert "/tmp" not in shown["error"], "no path of this machine is shown"


@pytest.mark.parametrize("told", [True, False])
def test_a_plan_that_is_too_large_is_refused(trainer: Trainer, guest: Guest, told: bool) -> None:
    headers, body = _form("plan", "plan.json", b" " * (2 * 2**20 + 10))
    headers |= {**guest.headers, "Origin": f"http://{trainer.host}"}
    if told:
        headers["Content-Length"], body = str(600 * 2**20), b""
    assert ask(trainer, f"/v/{guest.visit}/plan", "POST", headers, body).status == 413


def test_there_is_no_plan_to_be_had_before_one_is_laid(trainer: Trainer, guest: Guest) -> None:
    assert ask(trainer, f"/v/{guest.visit}/download/plan.json", headers=guest.headers).status == 409
    other = come_in(trainer)
    assert ask(trainer, f"/v/{guest.visit}/download/plan.json", headers=other.headers).status == 403


def test_oversize_upload_is_refused_before_it_is_read(trainer: Trainer, guest: Guest) -> None:
    headers = {**guest.headers, "Origin": f"http://{trainer.host}", "Content-Type": "multipart/form-data; boundary=B"}
    headers["Content-Length"] = str(600 * 2**20)
    assert ask(trainer, f"/v/{guest.visit}/upload", "POST", headers, None).status == 413


def test_oversize_login_is_refused(trainer: Trainer) -> None:
    headers = {"Origin": f"http://{trainer.host}", "Content-Type": "application/x-www-form-urlencoded"}
    assert ask(trainer, "/login", "POST", headers, b"password=" + b"x" * 200_000).status in (403, 413)


async def _state(trainer: Trainer, guest: Guest) -> dict[str, object]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"http://{trainer.host}/v/{guest.visit}/ws", headers={**guest.headers, "Origin": f"http://{trainer.host}"}
        ) as ws,
    ):
        hello = {"wslink": "1.0", "id": "system:c0:0", "method": "wslink.hello", "args": [{"secret": guest.secret}]}
        await ws.send_bytes(_chunk(msgpack.packb(hello)))
        await ws.receive(10)
        get = {"wslink": "1.0", "id": "rpc:c0:1", "method": "trame.state.get", "args": []}
        await ws.send_bytes(_chunk(msgpack.packb(get)))
        while True:
            said = msgpack.unpackb((await ws.receive(10)).data[12:])
            if said.get("id") == "rpc:c0:1":
                state: dict[str, object] = said["result"]["state"]
                return state


def test_beyond_this_machine_a_password_is_asked_for(tmp_path: Path) -> None:
    from sjplan.cli.main import run

    assert run(["train", "--host", "0.0.0.0", "--port", "0", "--history", str(tmp_path / "h.sqlite")]) == 2
    secret = tmp_path / "password"
    secret.write_text("a long password\n")
    secret.chmod(0o644)
    words = ["train", "--host", "0.0.0.0", "--port", "0", "--history", str(tmp_path / "h.sqlite")]
    assert run([*words, "--password-file", str(secret)]) == 2


def test_with_a_password(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("correct horse battery\n")
    secret.chmod(0o600)
    running = start(tmp_path, None, "--password-file", str(secret))
    try:
        page = ask(running, "/")
        assert page.status == 200
        assert b"Password" in page.body
        headers = {"Origin": f"http://{running.host}", "Content-Type": "application/x-www-form-urlencoded"}
        assert ask(running, "/login", "POST", headers, b"password=wrong").status == 403
        right = ask(running, "/login", "POST", headers, b"password=correct+horse+battery")
        assert right.status == 302
        cookie = right.headers["Set-Cookie"].partition(";")[0]
        assert ask(running, "/", headers={"Cookie": cookie}).status == 302
    finally:
        running.stop()
