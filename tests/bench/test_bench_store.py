"""The results file: nothing is lost or doubled on the way through it, and what is none gets one line."""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from bench_rows import synthetic_rows, write_experiment, write_part

from sjplan.bench import store
from sjplan.bench.results import SCHEMA
from sjplan.bench.rows import COLUMNS, result_hash
from sjplan.bench.store import compile_results, open_results, read_results, result_hash_of, write_results
from sjplan.core.errors import InputError, SjplanError

duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed (extra batch)")

OLD = Path(__file__).parent / "data" / "results-1.duckdb.gz"
"""Written by the version that brought schema 1, and never again: three planners on two cases."""

ROWS = synthetic_rows(4, {"good": 0.1, "poor": 0.6}, seeds=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_experiment(tmp_path_factory.mktemp("bench") / "experiment", ROWS)
    compile_results(made)
    return made


def by_run(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return sorted(rows, key=lambda row: str(row["run"]))


def test_rows_come_back_to_the_last_bit(folder: Path) -> None:
    assert by_run(read_results(folder)) == by_run(ROWS)
    assert result_hash_of(folder / "results.duckdb") == result_hash(ROWS)
    known = open_results(folder).experiment
    assert known["result_hash"] == result_hash(ROWS)
    assert (known["done"], known["wanted"], known["damaged_parts"]) == (len(ROWS), len(ROWS), 0)
    assert known["host"] == {"cpu": "a processor", "cores": 2}
    assert not list(folder.glob(".sjplan-*"))


def test_every_column_says_what_it_means(folder: Path) -> None:
    with duckdb.connect(str(folder / "results.duckdb"), read_only=True) as connection:
        query = "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'runs'"
        assert dict(connection.execute(query).fetchall()) == {c.name: c.text for c in COLUMNS}


def test_columns_as_arrays(folder: Path) -> None:
    got = open_results(folder).columns(
        "planner", "slack_mm", "accepted", "regret_mm", "traits", "pairing", "budget_s", "error_type"
    )
    assert set(got["planner"]) == {"good", "poor"}
    assert set(got["accepted"]) == {0.0, 1.0}
    assert np.isnan(got["regret_mm"]).sum() == sum(row["regret_mm"] is None for row in ROWS)
    assert np.isnan(got["budget_s"]).all()
    assert set(got["error_type"]) == {""}
    assert json.loads(got["traits"][0])["sex"] in ("male", "female")
    assert len(set(got["pairing"])) == len(ROWS) / 2
    with pytest.raises(SjplanError, match="did you mean 'slack_mm'"):
        open_results(folder).columns("slak_mm")


def test_parts_that_came_since_are_taken_in(tmp_path: Path) -> None:
    made = write_experiment(tmp_path / "e", ROWS[:8])
    assert len(read_results(made)) == 8
    write_part(made / "parts" / "more.json", ROWS[6:])
    assert by_run(read_results(made)) == by_run(ROWS)


def test_a_damaged_part_is_left_out_and_counted(tmp_path: Path) -> None:
    made = write_experiment(tmp_path / "e", ROWS, chunk=8)
    parts = sorted((made / "parts").glob("*.json"))
    parts[0].write_text(parts[0].read_text().replace('"tri-7"', '"tri-8"', 1))
    parts[1].write_text(parts[1].read_text()[:-40])
    assert open_results(made).experiment["damaged_parts"] == 2
    assert len(read_results(made)) == len(ROWS) - 16


def test_a_part_that_is_being_written_is_no_part_yet(tmp_path: Path) -> None:
    made = write_experiment(tmp_path / "experiment", ROWS)
    compile_results(made)
    state = (made / store.RESULTS).stat()
    whole = next((made / "parts").glob("*.json")).read_text()
    (made / "parts" / ".sjplan-a.json").write_text(whole)
    (made / "parts" / ".sjplan-b.json").touch()
    known = open_results(made).experiment
    assert (known["done"], known["damaged_parts"]) == (len(ROWS), 0)
    assert (made / store.RESULTS).stat().st_mtime_ns == state.st_mtime_ns, "it was not made anew"


def test_a_damaged_results_file_is_made_anew_from_the_parts(folder: Path) -> None:
    file = folder / "results.duckdb"
    file.write_bytes(file.read_bytes()[:5000])
    assert result_hash_of(folder) == result_hash(ROWS)


@pytest.mark.parametrize("content", [b"", b"no database", "cut"])
def test_a_damaged_file_alone_gets_one_line(folder: Path, tmp_path: Path, content: bytes | str) -> None:
    whole = (folder / "results.duckdb").read_bytes()
    file = tmp_path / "damaged.duckdb"
    file.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    with pytest.raises(InputError, match=r"damaged\.duckdb: found .*; wanted") as told:
        read_results(file)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("suffix", [".duckdb", ".parquet"])
def test_a_schema_from_the_future_gets_one_line(folder: Path, tmp_path: Path, suffix: str) -> None:
    file, future = tmp_path / f"later{suffix}", SCHEMA.replace("/1", "/2")
    if suffix == ".duckdb":
        file.write_bytes((folder / "results.duckdb").read_bytes())
        with duckdb.connect(str(file)) as connection:
            connection.execute(f"UPDATE about SET value = '{future}' WHERE key = 'schema'")
    else:
        duckdb.execute(f"COPY (SELECT 1 AS run) TO '{file}' (FORMAT parquet, KV_METADATA {{schema: '{future}'}})")
    with pytest.raises(InputError, match=f"found schema {future}; wanted {SCHEMA} or older; fix: update sjplan"):
        open_results(file)


def test_parts_from_the_future_get_one_line(tmp_path: Path) -> None:
    made = write_experiment(tmp_path / "e", ROWS[:7])
    write_part(made / "parts" / "z.json", ROWS[7:9], schema="sjplan.bench-part/2")
    with pytest.raises(InputError, match=r"found schema sjplan\.bench-part/2"):
        compile_results(made)
    assert not (made / "results.duckdb").exists()


def test_what_is_no_experiment_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        open_results(tmp_path / "nowhere")
    with pytest.raises(InputError, match="neither parts nor results"):
        open_results(tmp_path)
    with pytest.raises(InputError, match="no folder named parts"):
        compile_results(tmp_path)
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    with pytest.raises(InputError, match="a database of something else"):
        open_results(other)


def test_without_duckdb_one_line_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(InputError, match=r"no duckdb .* fix: pip install 'sjplan\[batch\]'"):
        open_results(folder / "results.duckdb")


def test_a_lost_description_loses_no_row(tmp_path: Path) -> None:
    made = write_experiment(tmp_path / "e", ROWS[:8])
    (made / "experiment.json").write_text("{", encoding="utf-8")
    assert len(read_results(made)) == 8
    assert open_results(made).experiment["name"] is None


def test_a_file_of_schema_1_opens_for_ever(tmp_path: Path) -> None:
    file = tmp_path / "old.duckdb"
    file.write_bytes(gzip.decompress(OLD.read_bytes()))
    results = open_results(file)
    assert results.experiment["result_hash"] == "0dbb1a07162e35084431cbcef01b52f108237a8e0d36241d465a3684a73effe2"
    rows = results.rows()
    assert len(rows) == 12
    assert {row["planner"] for row in rows} == {"certified", "raster", "random"}
    assert sum(row["status"] == "crashed" for row in rows) == 1


def test_columns_that_an_older_file_lacks_are_empty(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "older.duckdb"
    file.write_bytes((folder / "results.duckdb").read_bytes())
    with duckdb.connect(str(file)) as connection:
        connection.execute("ALTER TABLE runs DROP COLUMN breach_low")
        connection.execute("ALTER TABLE experiments DROP COLUMN engine")
    assert np.isnan(open_results(file).columns("breach_low")["breach_low"]).all()
    assert {row["breach_low"] for row in read_results(file)} == {None}


def test_parquet_and_csv(folder: Path, tmp_path: Path) -> None:
    risky = [*ROWS[:3], ROWS[3] | {"error_message": "=cmd|'/c calc'!A1", "source": 'a,"b"\nc'}]
    results = open_results(write_results(tmp_path / "some.duckdb", {}, risky))
    again = open_results(results.export(tmp_path / "runs.parquet"))
    assert by_run(again.rows()) == by_run(risky)
    assert again.experiment == {}
    text = results.export(tmp_path / "runs.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == ",".join(c.name for c in COLUMNS)
    assert "'=cmd|" in text
    assert ",=cmd" not in text
    with pytest.raises(InputError, match=r"found suffix '\.xls'; wanted \.parquet or \.csv"):
        results.export(tmp_path / "runs.xls")
    assert not list(tmp_path.glob(".sjplan-*"))


def test_pandas_opens_all_three_without_sjplan(folder: Path, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed (extra dev)")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra dev)")
    results = open_results(folder)
    parquet = pandas.read_parquet(results.export(tmp_path / "runs.parquet"))
    csv = pandas.read_csv(results.export(tmp_path / "runs.csv"))
    with duckdb.connect(str(results.path), read_only=True) as connection:
        frame = connection.execute("SELECT * FROM runs").df()
    for found in (parquet, csv, frame):
        assert list(found.columns) == [c.name for c in COLUMNS]
        assert found.sort_values("run")["slack_mm"].tolist() == [row["slack_mm"] for row in by_run(ROWS)]


def test_a_place_that_cannot_be_written_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_results(tmp_path / "r.duckdb", {}, ROWS[:2])

    def broken() -> object:
        yield ROWS[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="no space left on device"):
        write_results(file, {}, broken())  # type: ignore[arg-type]
    assert len(read_results(file)) == 2
    monkeypatch.setattr(store, "_STORAGE", "v0")
    with pytest.raises(InputError, match="what DuckDB refuses"):
        write_results(file, {}, ROWS[:3])
    assert len(read_results(file)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["r.duckdb"]
