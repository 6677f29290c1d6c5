"""An experiment ends with the same rows whoever does them, however often it is stopped, by whatever means."""

import json
import os
import random
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from bench_support import CASES, MIX, SEEDS, bench_text, done_in_this_process, parts_of, started, wait_for, written

from sjplan.bench.parts import read_parts
from sjplan.bench.runner import BenchEnd
from sjplan.core.errors import InputError, SjplanError

Experiment = Callable[..., Path]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 runs: two cases, a side each, three planners, four seeds."""
    return written(tmp_path_factory.mktemp("bench"), bench_text(MIX, CASES, sides="alternate", seeds=SEEDS))


@pytest.fixture(scope="module")
def undisturbed(bench: Path, anatomies: Path, tmp_path_factory: pytest.TempPathFactory) -> BenchEnd:
    """What one worker finds."""
    out = tmp_path_factory.mktemp("one") / "out"
    out.mkdir()
    (out / anatomies.name).symlink_to(anatomies)
    before = Path.cwd()
    os.chdir(Path(__file__).parent)
    try:
        end, _ = done_in_this_process(bench, out)
    finally:
        os.chdir(before)
    assert end.statuses == {"infeasible": 22, "crashed": 2}
    return end


@pytest.mark.slow
def test_two_workers_find_what_one_finds(bench: Path, undisturbed: BenchEnd, experiment: Experiment) -> None:
    out = experiment()
    end, notes = done_in_this_process(bench, out, workers=2)
    assert end.result_hash == undisturbed.result_hash
    assert notes == []
    assert {row["worker"] for row in read_parts(out).rows.values()} == {"1", "2"}
    document = json.loads((out / "experiment.json").read_text())
    assert (document["name"], document["wanted"], document["engine"]) == ("try", 24, "processes")
    assert set(document["host"]) == {"processor", "machine", "cores", "memory_gb", "system"}
    assert (out / "bench.toml").read_bytes() == bench.read_bytes()


@pytest.mark.slow
def test_it_goes_on_with_what_is_left_and_does_damaged_parts_again(
    bench: Path, undisturbed: BenchEnd, experiment: Experiment
) -> None:
    out = experiment()
    done_in_this_process(bench, out, workers=2)
    files = sorted((out / "parts").iterdir())
    files[0].unlink()
    files[1].write_text(files[1].read_text()[:-40])
    files[2].write_text(files[2].read_text().replace('"left"', '"right"', 1).replace("infeasible", "found", 1))
    end, notes = done_in_this_process(bench, out, workers=2)
    assert end.result_hash == undisturbed.result_hash
    assert 0 < end.made < 24
    damaged, there, changed = notes
    assert damaged == f"2 damaged parts in {out.name}: their runs are done again"
    assert there == f"{end.kept} of 24 runs were there"
    assert "code of odd_planners:Straight has changed since, name another --out" in changed
    again, notes = done_in_this_process(bench, out)
    assert (again.made, again.result_hash) == (0, undisturbed.result_hash)
    assert notes == ["24 of 24 runs were there", changed]


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["runner", "worker", "both workers", "Ctrl-C"])
def test_killed_at_any_moment_it_ends_the_same(
    whom: str, bench: Path, undisturbed: BenchEnd, experiment: Experiment
) -> None:
    out, moment = experiment(), 1 if whom == "Ctrl-C" else random.randrange(1, 4)
    with started(bench, out, "--workers", "2") as runner:
        wait_for(lambda: parts_of(out) >= moment)
        children = psutil.Process(runner.pid).children()
        if whom == "runner":
            runner.kill()
        elif whom == "Ctrl-C":
            for child in children:
                child.suspend()  # what is left is not done before the signal arrives
            runner.send_signal(signal.SIGINT)
        else:
            for child in children[: 1 if whom == "worker" else 2]:
                child.kill()
        _, said = runner.communicate(timeout=240)
    if whom == "Ctrl-C":
        assert runner.returncode == 130
        assert said.splitlines()[-1] == "sjplan: interrupted; nothing half-written was left behind"
    elif whom != "runner":
        assert runner.returncode == 0, said
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive, "no worker outlives the runner"
    there = len(read_parts(out).rows)
    end, _ = done_in_this_process(bench, out, workers=2)
    assert end.kept == there > 0
    assert end.result_hash == undisturbed.result_hash


@pytest.mark.parametrize(
    ("planner", "said"),
    [("odd_planners:Straigth", "did you mean 'Straight'"), ("exec:./nowhere --fast", "found no such program")],
)
def test_a_planner_of_ones_own_is_looked_for_before_anything_runs(tmp_path: Path, planner: str, said: str) -> None:
    file = written(tmp_path, bench_text(["straight"]).replace("odd_planners:Straight", planner))
    with pytest.raises(SjplanError, match=rf"^bench-file\.toml: planners: .*{said}"):
        done_in_this_process(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_a_folder_is_refused_for_is_one_line(experiment: Experiment, tmp_path: Path) -> None:
    bench, out = written(tmp_path, bench_text(["straight"])), experiment()
    done_in_this_process(bench, out)
    (tmp_path / "more").mkdir()
    more = written(tmp_path / "more", bench_text(["straight"], seeds=[0, 1]))
    with pytest.raises(InputError, match="an experiment with other runs"):
        done_in_this_process(more, out)
    longer = written(tmp_path / "more", bench_text(["straight"], wall_s=70.0))
    assert done_in_this_process(longer, out)[0].made == 0, "limits may be raised"
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="a folder with other files"):
        done_in_this_process(bench, foreign)
    (out / "experiment.json").write_text(
        '{"schema": "sjplan.bench/9", "experiment": "e", "runs_sha256": "", "sessions": []}'
    )
    with pytest.raises(InputError, match=r"schema sjplan\.bench/9; wanted sjplan\.bench/1; fix: update sjplan"):
        done_in_this_process(bench, out)


@pytest.mark.slow
def test_a_second_runner_is_refused_and_a_full_disk_stops_the_first(experiment: Experiment, tmp_path: Path) -> None:
    bench = written(tmp_path, bench_text(["straight 300"], seeds=range(30)))
    out = experiment()
    with started(bench, out, "--workers", "1") as runner:
        wait_for(lambda: parts_of(out) >= 2)
        with started(bench, out) as second:
            said = second.communicate(timeout=120)[1]
        assert second.returncode == 2
        assert said.splitlines()[-1].startswith(f"sjplan: {out}: found a folder that another run is writing to")
        psutil.Process(runner.pid).rlimit(resource.RLIMIT_FSIZE, (500, 500))
        printed, said = runner.communicate(timeout=120)
    assert runner.returncode == 2
    assert "a place that cannot be written (file too large)" in said.splitlines()[-1]
    assert json.loads(printed)["status"] == "invalid_input"
    there = read_parts(out)
    assert there.damaged == ()
    assert len(there.rows) >= 2
    assert not list((out / "parts").glob(".*"))
    end, _ = done_in_this_process(bench, out)
    assert end.kept == len(there.rows)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["no-such-suite"], "bench file: found 'no-such-suite'"),
        (["smoke", "--workers", "0"], "--workers: found 0; wanted 1 or more"),
        (["smoke", "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"], "--workers: found 2 beside --scheduler"),
    ],
)
def test_bad_arguments_are_one_line(
    arguments: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sjplan.cli.main import run

    assert run(["bench", "run", *arguments, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert text in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
