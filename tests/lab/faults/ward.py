"""Patients examined side by side: several labs at a time, since an examination is mostly waiting for what is dead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Generic, Self, TypeVar

from pytest_calico_perf.cluster.lab.cluster import LabCluster

Case = TypeVar("Case")
Result = TypeVar("Result")


class Ward(Generic[Case, Result]):
    """Examines cases in labs that all look the same, each lab used for one case after the other.

    Args:
        open_lab: Makes such a lab; it is entered here.
        examine: Examines a case in a lab and leaves the lab as it was.
        cases: What is to be examined, in this order.
        beds: How many labs at a time.
    """

    def __init__(
        self,
        open_lab: Callable[[], LabCluster],
        examine: Callable[[LabCluster, Case], Result],
        cases: Iterable[Case],
        *,
        beds: int,
    ) -> None:
        self._open_lab = open_lab
        self._examine = examine
        self._results: dict[Case, Future[Result]] = {case: Future() for case in cases}
        self._waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
        for case in self._results:
            self._waiting.put(case)
        count = min(beds, len(self._results))
        # Daemons: a run that is cut short does not wait for them, and the kernel takes the labs down.
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        self._closing = threading.Event()
        for thread in self._threads:
            thread.start()

    def result(self, case: Case, *, deadline: float) -> Result:
        """What came of a case; raises what its examination raised, and TimeoutError after `deadline` seconds."""
        return self._results[case].result(timeout=deadline)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Let every lab end after the case it is at."""
        self._closing.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        healthy = False
        while not healthy and not self._waiting.empty():
            try:
                with self._open_lab() as cluster:
                    healthy = self._work_in(cluster)
            except Exception as problem:  # noqa: BLE001  # whoever waits for a case shall hear it
                self._give_up(problem)

    def _work_in(self, cluster: LabCluster) -> bool:
        """Whether the lab lasted: one in which an examination failed may be ill for good, and is given up."""
        while not self._closing.is_set():
            try:
                case = self._waiting.get_nowait()
            except queue.Empty:
                break
            try:
                self._results[case].set_result(self._examine(cluster, case))
            except Exception as problem:  # noqa: BLE001  # raised again where the result is asked for
                self._results[case].set_exception(problem)
                return False
        return True

    def _give_up(self, problem: Exception) -> None:
        """No lab can be had: nobody must wait for one."""
        while True:
            try:
                self._results[self._waiting.get_nowait()].set_exception(problem)
            except queue.Empty:
                return
