"""Every run is given out once; runs of a case together, in batches that are worth their hand-over."""

import threading
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sjplan.bench.batches import BATCH_S, MOST, RunQueue
from sjplan.bench.runs import CaseRef, PlannerRef, Run, RunBudget

MODELS = ("tri-7",) * 3


def some(cases: int, planners: int = 2, seeds: int = 2) -> list[Run]:
    return [
        Run(CaseRef(f"c{c}", "cohort", "adults", "0", c), "left", PlannerRef(f"p{p}", "a"), MODELS, RunBudget(), s)
        for c in range(cases)
        for p in range(planners)
        for s in range(seeds)
    ]  # fmt: skip


@given(
    cases=st.integers(0, 6), seeds=st.integers(1, 9), seconds=st.floats(1e-4, 3.0),
    who=st.lists(st.integers(0, 3), min_size=1, max_size=40),
)  # fmt: skip
def test_every_run_is_given_out_once(cases: int, seeds: int, seconds: float, who: list[int]) -> None:
    runs = some(cases, seeds=seeds)
    queue, given_out = RunQueue(runs), list[Run]()
    turn = 0
    while batch := queue.take(who[turn % len(who)]):
        assert len({run.case.key for run in batch}) == 1
        given_out += batch
        queue.took(batch, [seconds] * len(batch))
        turn += 1
    assert Counter(run.id for run in given_out) == Counter(run.id for run in runs)
    assert len(queue) == 0


def test_batches_grow_to_half_a_second_and_no_further() -> None:
    runs = some(1, planners=1, seeds=100)
    queue = RunQueue(runs)
    first = queue.take("a")
    assert len(first) == 1, "nothing is known yet"
    queue.took(first, [BATCH_S / 9.5])
    assert len(queue.take("a")) == 10
    queue.took(first, [10.0])
    queue.took(first, [10.0])
    assert len(queue.take("a")) == 1
    quick = RunQueue(some(1, planners=1, seeds=1000))
    quick.took(quick.take("a"), [1e-6])
    assert len(quick.take("a")) == MOST


def test_who_has_a_case_keeps_it_and_who_has_none_helps_at_the_end() -> None:
    queue = RunQueue(some(2, seeds=4))
    mine, theirs = queue.take("a")[0].case.key, queue.take("b")[0].case.key
    assert mine != theirs
    for _ in range(7):
        assert {run.case.key for run in queue.take("a")} == {mine}
    assert {run.case.key for run in queue.take("a")} == {theirs}, "no case is left that nobody has"
    assert {run.case.key for run in queue.take("b")} == {theirs}


def test_threads_share_a_queue() -> None:
    runs = some(20, seeds=20)
    queue, seen = RunQueue(runs), [list[str]() for _ in range(4)]

    def work(mine: list[str], who: int) -> None:
        while batch := queue.take(who):
            mine += [run.id for run in batch]
            queue.took(batch, [0.001] * len(batch))

    threads = [threading.Thread(target=work, args=(mine, n)) for n, mine in enumerate(seen)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(name for mine in seen for name in mine) == sorted(run.id for run in runs)
