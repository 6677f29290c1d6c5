"""What `sjplan train` says before it listens."""

import pytest
from cli_support import Sjplan

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
     (("--host", "0.0.0.0"), "--host: found 0.0.0.0 without a password")],
)  # fmt: skip
def test_bad_input(sjplan: Sjplan, words: tuple[str, ...], said: str) -> None:
    done = sjplan("train", *words)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1
