"""What `sjplan train` says before it listens."""

import pytest
from cli_support import Sjplan

from sjplan.app.guard import Gate
from sjplan.cli import train


def test_without_the_extra_it_says_what_to_install(sjplan: Sjplan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "find_spec", lambda name: None if name == "trame_rca" else object())
    done = sjplan("train")
    assert done.code == 2
    assert "found no trame_rca" in done.err
    assert "pip install 'sjplan[app]'" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--port", "70000"), "--port: found 70000"), (("nowhere",), "nowhere: found no such file"),
     (("--host", "0.0.0.0"), "--host: found 0.0.0.0 without a password"),
     (("--exercises", "nowhere"), "nowhere: found no folder")],
)  # fmt: skip
def test_bad_input(sjplan: Sjplan, words: tuple[str, ...], said: str) -> None:
    done = sjplan("train", *words)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("password", [None, "correct horse battery"])
def test_the_second_line_is_the_instructors_way_in_and_says_so(
    capsys: pytest.CaptureFixture[str], password: str | None
) -> None:
    gate = Gate.new(password=password)
    train._announce(gate, False, "127.0.0.1", 8765)
    first, second = capsys.readouterr().out.splitlines()
    keyed = "" if password else f"?token={gate.tokens['trainee']}"
    assert first == f"trainees: http://127.0.0.1:8765/{keyed}"
    assert second.startswith(f"instructor: http://127.0.0.1:8765/?token={gate.tokens['instructor']} ")
    assert "everybody's sessions" in second
    assert gate.tokens["instructor"] not in first
