"""What tests of reading in a child process share."""

import tempfile
from collections.abc import Iterator

import pytest


@pytest.fixture
def nothing_left_behind(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Temporary files go to a folder of their own, which is empty in the end."""
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    yield
    assert list(scratch.iterdir()) == []
