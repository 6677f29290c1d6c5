"""A Dask cluster gives the rows that processes give; what a lost worker had is done by another."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from bench_support import (
    CASES,
    MIX,
    SEEDS,
    bench_text,
    done_in_this_process,
    parts_of,
    runs,
    started,
    wait_for,
    written,
)
from distributed import KilledWorker

from sjplan.bench.batches import RunQueue
from sjplan.bench.dask_engine import _Flight, do_task
from sjplan.bench.parts import read_parts, write_part
from sjplan.bench.runs import CaseRef, PlannerRef, Run
from sjplan.bench.supervise import Job, row_of
from sjplan.core.errors import InputError

pytestmark = pytest.mark.slow
Experiment = Callable[..., Path]
HERE = Path(__file__).parent


class Cluster:
    """A scheduler and workers, each a process; a task may lose so many workers before it is given up."""

    def __init__(self, folder: Path, workers: int = 2, allowed_failures: int = 3) -> None:
        self.folder = folder
        self.settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures)}
        self.file = folder / "scheduler.json"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(self.file))
        wait_for(lambda: self.file.exists() and self.file.read_text().endswith("}"))
        self.address = json.loads(self.file.read_text())["address"]
        self.workers = [self.add_worker() for _ in range(workers)]

    def add_worker(self) -> subprocess.Popen[bytes]:
        return self._start("worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard")

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *words]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=self.folder, env=os.environ | self.settings, **quiet)
        self.processes.append(process)
        return process

    def end(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


def children_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children()


def command_lines_below(process: subprocess.Popen[bytes]) -> Iterator[str]:
    for child in children_of(process):
        with contextlib.suppress(psutil.Error):  # it has ended since
            yield " ".join(child.cmdline())


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.end()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = bench_text([*MIX, "straight 200"], CASES, sides="alternate", seeds=SEEDS)
    return written(tmp_path_factory.mktemp("bench"), text)


def test_a_cluster_finds_what_processes_find(bench: Path, cluster: Cluster, experiment: Experiment) -> None:
    here, _ = done_in_this_process(bench, experiment("here"), workers=2)
    out = experiment("there")
    there, _ = done_in_this_process(bench, out, scheduler=cluster.address)
    assert there.result_hash == here.result_hash
    assert len({row["worker"] for row in read_parts(out).rows.values()}) == 2
    wait_for(lambda: not any(children_of(w) for w in cluster.workers), 20.0)


def test_what_a_lost_worker_had_is_done_by_another(bench: Path, cluster: Cluster, experiment: Experiment) -> None:
    out = experiment()
    with started(bench, out, "--scheduler", cluster.address) as runner:
        wait_for(lambda: parts_of(out) >= 2)
        lost = cluster.workers[0]
        children = children_of(lost)
        lost.kill()
        assert not psutil.wait_procs(children, timeout=10)[1], "no run outlives its worker"
        cluster.add_worker()
        _, said = runner.communicate(timeout=240)
    assert runner.returncode == 0, said
    end, _ = done_in_this_process(bench, out)
    assert end.made == 0
    assert end.result_hash == done_in_this_process(bench, experiment("here"), workers=2)[0].result_hash


def test_a_scheduler_that_goes_away_is_one_line_and_another_goes_on(
    bench: Path, cluster: Cluster, experiment: Experiment, tmp_path: Path
) -> None:
    out = experiment()
    with started(bench, out, "--scheduler", cluster.address) as runner:
        wait_for(lambda: parts_of(out) >= 2)
        cluster.scheduler.kill()
        _, said = runner.communicate(timeout=120)
    assert runner.returncode == 2
    assert said.splitlines()[-1].startswith(f"sjplan: --scheduler: found {cluster.address}, which went away")
    assert "Traceback" not in said
    (tmp_path / "second").mkdir()
    second = Cluster(tmp_path / "second")
    try:
        end, _ = done_in_this_process(bench, out, scheduler=second.address)
    finally:
        second.end()
    assert end.kept >= 2
    assert end.result_hash == done_in_this_process(bench, experiment("here"), workers=2)[0].result_hash


def test_no_scheduler_is_one_line(bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sjplan.bench.dask_engine.CONNECT_S", 1.0)
    with pytest.raises(InputError, match=r"no scheduler with workers at tcp://127\.0\.0\.1:9"):
        done_in_this_process(bench, tmp_path / "out", scheduler="tcp://127.0.0.1:9")


def test_a_run_that_no_worker_lives_through_gets_its_row(tmp_path: Path, experiment: Experiment) -> None:
    text = bench_text(["sleeps", "straight"])
    out, cluster = experiment(), Cluster(tmp_path, workers=1, allowed_failures=0)
    try:
        with started(written(tmp_path, text), out, "--scheduler", cluster.address) as runner:
            wait_for(lambda: any("sjplan.bench.worker" in line for line in command_lines_below(cluster.workers[0])))
            cluster.workers[0].kill()
            cluster.add_worker()
            _, said = runner.communicate(timeout=240)
    finally:
        cluster.end()
    assert runner.returncode == 0, said
    rows = {row["planner"]: row for row in read_parts(out).rows.values()}
    assert (rows["sleeps"]["status"], rows["sleeps"]["error_type"]) == ("killed", "KilledWorker")
    assert rows["straight"]["status"] == "infeasible"


class NoCluster:
    """A client that is given tasks and does none."""

    def __init__(self) -> None:
        self.given: list[tuple[str, ...]] = []

    def submit(self, do: object, job: Job, batch: tuple[Run, ...], *more: object, **options: object) -> Future[None]:
        self.given.append(tuple(run.id for run in batch))
        return Future()


def test_a_worker_that_lacks_a_file_is_one_line_and_no_row(tmp_path: Path) -> None:
    run, own = runs(tmp_path, bench_text(["straight"]))[0], PlannerRef("mine", "odd_planners:Straight")
    case, nowhere = CaseRef("a", "labels", str(tmp_path / "a_labels.nii.gz"), "0" * 64), tmp_path / "nowhere"
    unread = replace(case, sha256="")  # for the runner neither: that is its row
    lacking = {
        "nowhere": (Job(nowhere, "e", "try"), run),
        "planners of one's own": (Job(tmp_path, "e", "try", home=nowhere), replace(run, planner=own)),
        "a_labels.nii.gz": (Job(tmp_path, "e", "try"), replace(run, case=case)),
        "limits.toml": (Job(tmp_path, "e", "try"), replace(run, limits=str(tmp_path / "limits.toml"))),
    }
    for what, (job, lacks) in lacking.items():
        with pytest.raises(InputError, match=re.escape(what)):
            do_task(job, [replace(run, case=unread), lacks], 0.5)
    assert not read_parts(tmp_path).rows


def test_rows_that_a_dead_worker_had_written_stay(tmp_path: Path) -> None:
    first, second = found = runs(tmp_path, bench_text(["rule"], seeds=[0, 1]))
    job, client = Job(tmp_path, "e", "try"), NoCluster()
    write_part(tmp_path, [row_of(first, job, {"status": "found", "slack_mm": 1.0})])
    flight = _Flight(cast("Any", client), job, RunQueue(()))
    died = KilledWorker("task", None, 3)
    assert flight._failed(tuple(found), died).runs == (first.id,)
    assert client.given == [(second.id,)]
    assert flight._failed((first,), died).statuses == ("found",)
    assert flight._failed((second,), died).statuses == ("killed",)
    assert {run: row["status"] for run, row in read_parts(tmp_path).rows.items()} == {
        first.id: "found", second.id: "killed",
    }  # fmt: skip
