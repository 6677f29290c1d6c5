"""Parts are whole or do not count; what was done twice counts once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sjplan.bench.parts import PARTS, clear_unfinished, part_name, read_parts, write_part
from sjplan.bench.rows import Row, checked, result_hash
from sjplan.core.errors import InputError


def row(name: str, **more: object) -> Row:
    least = {"run": name, "case_key": "x", "side": "left", "planner": "p", "seed": 0, "status": "found"}
    return checked(least | more)


def test_a_part_is_named_by_its_runs() -> None:
    assert part_name(["a", "b"]) != part_name(["ab"]) != part_name(["b", "a"])


@given(slack=st.floats(allow_nan=False, allow_infinity=False), text=st.text(max_size=40))
def test_rows_come_back_to_the_last_digit(slack: float, text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("e")
    before = [row("a", slack_mm=slack, error_message=text, traits={"name": text}), row("b")]
    write_part(folder, before)
    after = read_parts(folder)
    assert list(after.rows.values()) == before
    assert result_hash(after.rows.values()) == result_hash(before)
    assert after.damaged == ()


def test_a_run_done_twice_counts_once(tmp_path: Path) -> None:
    write_part(tmp_path, [row("a", seconds=1.0), row("b")])
    write_part(tmp_path, [row("a", seconds=2.0)])
    write_part(tmp_path, [row("a", seconds=3.0)])
    assert sorted(read_parts(tmp_path).rows) == ["a", "b"]
    assert len(list((tmp_path / PARTS).iterdir())) == 2, "the same runs have the same part"


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"schema": "sjplan.bench-part/1"}', "half", "digit", "row"])
def test_a_part_that_is_not_whole_does_not_count_and_is_named(tmp_path: Path, torn: str) -> None:
    write_part(tmp_path, [row("kept")])
    file = write_part(tmp_path, [row("a", slack_mm=1.25), row("b")])
    whole = file.read_text()
    changed = {"half": whole[: len(whole) // 2], "digit": whole.replace("1.25", "1.35")}
    if torn == "row":  # whole by its checksum, but no row
        other = write_part(tmp_path, [row("c")]).read_text()
        changed["row"] = other.replace('"found"', '"fond"')
        (tmp_path / PARTS / part_name(["c"])).unlink()
    file.write_text(changed.get(torn, torn))
    found = read_parts(tmp_path)
    assert list(found.rows) == ["kept"]
    assert found.damaged == (file,)


def test_a_part_of_a_later_schema_stops_in_one_line(tmp_path: Path) -> None:
    file = write_part(tmp_path, [row("a")])
    document = json.loads(file.read_text())
    file.write_text(json.dumps(document | {"schema": "sjplan.bench-part/2"}))
    with pytest.raises(InputError, match=r"schema sjplan\.bench-part/2; wanted sjplan\.bench-part/1; fix: update"):
        read_parts(tmp_path)


def test_what_a_killed_writer_left_is_no_part_and_goes(tmp_path: Path) -> None:
    file = write_part(tmp_path, [row("a")])
    left = file.with_name(".sjplan-abc.json")
    left.write_text(file.read_text()[:20])
    assert read_parts(tmp_path).damaged == ()
    clear_unfinished(tmp_path)
    assert [f.name for f in file.parent.iterdir()] == [file.name]


def test_no_part_holds_what_is_no_row(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="slack_mm"):
        write_part(tmp_path, [row("a") | {"slack_mm": float("nan")}])
    assert read_parts(tmp_path).rows == {}


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_bench_parts import row
from sjplan.bench.parts import write_part
from sjplan.core.errors import InputError
folder = Path(sys.argv[1])
write_part(folder, [row("a")])
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    write_part(folder, [row("b", error_message="x" * 5000)])
except InputError as error:
    print(error)
"""


def test_where_no_more_fits_nothing_torn_is_left(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "file too large" in done.stdout
    assert done.stdout.count("\n") == 1
    assert list(read_parts(tmp_path).rows) == ["a"]
    assert len(list((tmp_path / PARTS).iterdir())) == 1
