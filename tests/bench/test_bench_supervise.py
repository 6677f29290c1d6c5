"""Every kind of planner gets its row, and the next one gets a process in which nothing is left of it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from bench_support import bench_text, runs
from odd_planners import DAEMON_S

from sjplan.bench.rows import Row
from sjplan.bench.runs import Run, RunBudget
from sjplan.bench.supervise import Job, Stopped, Supervisor, Watch

HERE = Path(__file__).parent
WALL_S, MEMORY_MB = 15.0, 900.0

ENDS = {
    "prints": ("infeasible", None, None),
    "raises": ("crashed", "ValueError", "no idea what to do with <object object at 0x...> (odd_planners.py, line "),
    "exits": ("crashed", "SystemExit", "3 (odd_planners.py, line "),
    "exits_at_once": ("crashed", "Exit", "its process ended itself with code 5"),
    "faults": ("killed", "SIGSEGV", "its process was ended by SIGSEGV"),
    "kills_itself": ("killed", "SIGKILL", "its process was ended by SIGKILL"),
    "eats": ("killed", "MemoryLimit", "more than 900 MB of memory"),
    "asks_for_all": ("killed", "MemoryLimit", "more than 900 MB of memory"),
    "child_eats": ("killed", "MemoryLimit", "more than 900 MB of memory"),
    "children_spin": ("killed", None, "more than 2 s"),
    "sleeps": ("killed", "WallLimit", "more than 2 s"),
    "leaves_a_child": ("infeasible", None, None),
    "leaves_a_daemon": ("infeasible", None, None),
    "leaves_a_daemon_and_exits": ("crashed", "Exit", "its process ended itself with code 5"),
    "goes_elsewhere": ("infeasible", None, None),
    "changes_arithmetic": ("infeasible", None, None),
    "claims": ("found", None, None),
    "leaves_a_thread": ("infeasible", None, None),
    "none": ("rejected", "Rejected", "the answer: found NoneType None; wanted an Outcome"),
    "garbage": ("rejected", "Rejected", "the answer: found dict "),
    "nan": ("rejected", "Rejected", "the plan: implant 1: found GeometryError: entry_lps_mm: NaN or infinite"),
    "others": ("rejected", "Rejected", "the answer: found the plan is signed 'certified-v1'"),
    "changes_its_problem": ("rejected", "Rejected", "the planner: found a problem that is another than before"),
}
KEEPS = {"prints", "claims"}
"""Ways after which the process is kept."""

QUICK = {"prints", "raises", "exits_at_once", "none"}
"""Every other one costs a new process as well: they run with the slow tests."""

SHORT = {"sleeps": 2.0, "children_spin": 2.0}


@pytest.fixture(scope="module")
def job(anatomies: Path) -> Job:
    return Job(anatomies.parent, "e", "try", HERE)


@pytest.fixture(scope="module")
def worker(job: Job) -> Iterator[Supervisor]:
    supervisor = Supervisor(job, "1")
    yield supervisor
    supervisor.close()


def run_of(folder: Path, way: str, **limits: float) -> Run:
    return runs(folder, bench_text([way], wall_s=SHORT.get(way, WALL_S), memory_mb=MEMORY_MB, **limits))[0]


def process_of(worker: Supervisor) -> int | None:
    return None if worker._child is None else worker._child._process.pid


def found(row: Row) -> Row:
    return {name: row[name] for name in ("status", "slack_mm", "plan", "evaluations", "error_message")}


@pytest.mark.parametrize("way", [way if way in QUICK else pytest.param(way, marks=pytest.mark.slow) for way in ENDS])
def test_every_planner_gets_its_row_and_the_next_one_is_none_the_worse(
    way: str, worker: Supervisor, tmp_path: Path
) -> None:
    plain = runs(tmp_path, bench_text(["straight"]))[0]
    before = worker.do(plain)
    process = process_of(worker)
    row = worker.do(run_of(tmp_path, way))
    status, kind, text = ENDS[way]
    if way == "children_spin":  # where others leave it less than a core, the clock is first
        assert row["error_type"] in ("CpuLimit", "WallLimit")
        kind = row["error_type"]
    assert (row["status"], row["error_type"]) == (status, kind), row["error_message"]
    assert text is None or row["error_message"].startswith(text)
    assert row["error_message"] is None or "\n" not in row["error_message"]
    assert (row["planner"], row["worker"], row["suite"]) == (way, "1", "try")
    kept = process_of(worker)
    assert kept == process if way in KEEPS else kept is None
    assert found(worker.do(plain)) == found(before)
    if process != kept:
        assert process is not None
        assert not psutil.pid_exists(process)
    if sys.platform == "linux":
        left = [p.info["cmdline"] for p in psutil.process_iter(["cmdline"]) if DAEMON_S in (p.info["cmdline"] or ())]
        assert not left, "no process outlives its run"


def test_a_plan_counts_from_when_the_planner_answered(worker: Supervisor, tmp_path: Path) -> None:
    row = worker.do(run_of(tmp_path, "claims"))
    assert (row["accepted"], row["false_accept"]) == (False, True)
    assert [seconds for seconds, *_ in row["anytime"]] == [pytest.approx(row["seconds"], abs=1e-6)]


@pytest.mark.slow
def test_limits_come_with_what_was_used(worker: Supervisor, tmp_path: Path) -> None:
    row = worker.do(run_of(tmp_path, "sleeps"))
    assert 2.0 <= row["seconds"] < 8.0
    assert 0.0 <= row["cpu_seconds"] < 2.0
    assert 50.0 < row["memory_mb"] < MEMORY_MB


class Used:
    """What a child uses, as it is told."""

    def __init__(self) -> None:
        self.cpu_s, self.mb = 100.0, 300.0

    def cpu_seconds(self) -> float:
        return self.cpu_s

    def memory_mb(self) -> float:
        return self.mb


def test_processor_time_counts_from_where_the_run_begins() -> None:
    child = Used()
    watch = Watch(child, RunBudget(wall_limit_s=10.0))
    child.cpu_s += 10.5
    assert watch.broken() == "", "clocks of processes are coarse"
    child.cpu_s += 1.0
    assert watch.broken() == "CpuLimit"
    assert watch.measures()["cpu_seconds"] == pytest.approx(11.5)
    watch.judging()
    assert watch.broken() == "", "the judge's time is not the planner's"


def test_a_planner_that_is_not_there_is_no_crash(worker: Supervisor, tmp_path: Path) -> None:
    text = bench_text(["straight"]).replace("odd_planners:Straight", "odd_planners:Straigth")
    row = worker.do(runs(tmp_path, text)[0])
    assert row["status"] == "invalid_input"
    assert "did you mean 'Straight'" in row["error_message"]


def test_a_case_that_cannot_be_used_is_found_out_once(worker: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "none.nii.gz").write_bytes(b"no image")
    cases = f'[[cases]]\nlabels = ["{tmp_path}/none.nii.gz"]\n'
    rows = [worker.do(run) for run in runs(tmp_path, bench_text(["straight"], cases, sides="both", seeds=[0, 1]))]
    assert {row["status"] for row in rows} == {"invalid_input"}
    assert len({row["error_message"] for row in rows}) == 1
    assert "none.nii.gz" in rows[0]["error_message"]


def test_a_child_has_one_thread_and_steady_hashes(worker: Supervisor, tmp_path: Path) -> None:
    worker.do(runs(tmp_path, bench_text(["straight"]))[0])
    environment = psutil.Process(process_of(worker)).environ()
    assert {environment[name] for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS")} == {"1"}
    assert environment["PYTHONHASHSEED"] == "0"


def test_a_run_whose_process_is_killed_is_done_again(worker: Supervisor, tmp_path: Path) -> None:
    slow = runs(tmp_path, bench_text(["straight 1500"]))[0]
    whole = worker.do(slow)
    process = process_of(worker)
    assert process is not None
    timer = threading.Timer(0.5, os.kill, (process, signal.SIGKILL))
    timer.start()
    assert found(worker.do(slow)) == found(whole)
    timer.join()
    assert process_of(worker) != process


@pytest.mark.slow
def test_memory_that_others_left_behind_is_no_runs_fault(job: Job, tmp_path: Path) -> None:
    worker = Supervisor(job, "1")
    worker.do(runs(tmp_path, bench_text(["straight"]))[0])
    process = process_of(worker)
    # Less than a process holds that has done a run: each run gets one that has done none, and says so.
    row = worker.do(runs(tmp_path, bench_text(["straight"], memory_mb=450.0, seeds=[1]))[0])
    assert row["status"] == "infeasible"
    assert process_of(worker) != process
    worker.close()


@pytest.mark.slow
def test_stopping_ends_the_run_and_its_process(job: Job, tmp_path: Path) -> None:
    worker = Supervisor(job, "1")
    worker.do(runs(tmp_path, bench_text(["straight"]))[0])
    process = process_of(worker)
    assert process is not None
    threading.Timer(0.3, worker.stop).start()
    begun = time.monotonic()
    with pytest.raises(Stopped):
        worker.do(runs(tmp_path, bench_text(["sleeps"]))[0])
    assert time.monotonic() - begun < 5.0
    assert not psutil.pid_exists(process)


WATCHER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from bench_support import bench_text, runs
from sjplan.bench.supervise import Job, Supervisor
folder, scratch = Path(sys.argv[1]), Path(sys.argv[2])
worker = Supervisor(Job(folder, "e", "try", Path(sys.argv[3])), "1")
worker.do(runs(scratch, bench_text(["straight"]))[0])
print(worker._child._process.pid, flush=True)
worker.do(runs(scratch, bench_text([sys.argv[4]]))[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["sleeps", "sleeps_alone"])
def test_a_child_ends_with_its_supervisor(way: str, job: Job, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WATCHER, str(job.folder), str(tmp_path), str(HERE), way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        child = int(watcher.stdout.readline())
        time.sleep(0.5)
        assert psutil.pid_exists(child)
        watcher.kill()
    until = time.monotonic() + 10.0
    while psutil.pid_exists(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not psutil.pid_exists(child)


def test_a_process_is_kept_while_its_runs_go_well(worker: Supervisor, tmp_path: Path) -> None:
    text = bench_text(["straight"], seeds=[0, 1, 2]).replace(
        'name = "straight"\n', 'name = "straight"\nparameters = {tell_process = true}\n'
    )
    rows = [worker.do(run) for run in runs(tmp_path, text.replace("evaluations = 1000", "evaluations = 100000000"))]
    assert len({row["evaluations"] for row in rows}) == 1
    assert len({str(row["plan"]) for row in rows}) == 3, "seeds differ"
