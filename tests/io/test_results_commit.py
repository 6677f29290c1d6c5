"""Results name the commit that made them; what they write themselves is no change of the code."""

import subprocess
from pathlib import Path

import pytest

from sjplan.io import results


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *words], capture_output=True, encoding="utf-8", check=True
    ).stdout.strip()


def test_only_changes_outside_the_docs_make_a_commit_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, table = tmp_path / "sjplan" / "io" / "results.py", tmp_path / "docs" / "results" / "table.json"
    for file in (code, table):
        file.parent.mkdir(parents=True)
        file.write_text("1")
    monkeypatch.setattr(results, "__file__", str(code))
    git(tmp_path, "init", "-q")
    assert results.commit() == ""
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    head = git(tmp_path, "rev-parse", "HEAD")[:12]
    assert results.commit() == head
    table.write_text("2")
    assert results.commit() == head
    code.write_text("2")
    assert results.commit() == f"{head}+"


def test_a_row_of_another_commit_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rows.json"
    for now in ("a" * 12, "b" * 12, "c" * 12):
        monkeypatch.setattr(results, "commit", lambda now=now: now)
        rows = results.read_rows(file, "case") | {now[0]: {"case": now[0]}}
        results.write_rows(file, rows.values(), seed=0, settings={})
    rows = results.read_rows(file, "case")
    assert {name: row.get("commit") for name, row in rows.items()} == {"a": "a" * 12, "b": "b" * 12, "c": None}
