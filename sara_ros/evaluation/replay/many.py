"""Many recordings and models: one after the other, in several processes, or on a cluster."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
import multiprocessing
from typing import Protocol

from rich.progress import Progress

from sara_ros.core import SaraError
from sara_ros.evaluation.replay.job import Job, JobResult, run_job
from sara_ros.evaluation.replay.replay import Watch
from sara_ros.training.progress import running

Outcome = JobResult | str
"""A result, or what the error of a job says: an error itself may not survive the way back."""
Outcomes = Generator[tuple[int, Outcome], None, None]
"""The place of each job among all jobs, and its outcome."""


@dataclass(frozen=True, slots=True)
class Failure:
    """
    A replay that gave no result.

    :param model: empty where none of them could be replayed.
    """

    bag: str
    model: str
    reason: str

    def text(self) -> str:
        """Return it for people."""
        return f'{", ".join(name for name in (self.bag, self.model) if name)}: {self.reason}'


class Workers(Protocol):
    """Where jobs run beside each other."""

    name: str

    def outcomes(self, jobs: Sequence[Job]) -> Outcomes:
        """
        Yield an outcome for each of ``jobs``, in whatever order they finish.

        :raises SaraError: when all workers are lost.
        """
        ...


def run_jobs(
    jobs: Sequence[Job], *, workers: Workers | None = None, progress: Progress | None = None
) -> list[JobResult | Failure]:
    """
    Run every job, whatever becomes of the others, and return outcomes in the order of the jobs.

    :param workers: None runs them one after the other in this process.
    :raises SaraError: when all workers are lost before the first outcome.
    """
    with running(progress) as bar:
        if workers is None:
            outcomes = [_one(job, bar) for job in jobs]
        else:
            outcomes = _spread(jobs, workers, bar)
    return [
        Failure(job.place.name, job.contender.name, each) if isinstance(each, str) else each
        for job, each in zip(jobs, outcomes, strict=True)
    ]


def attempt(job: Job, watch: Watch = lambda done, total: None) -> Outcome:
    """Run a job; see :func:`run_job`."""
    try:
        return run_job(job, watch)
    except SaraError as err:
        return str(err)


class Processes:
    """
    Processes of this machine.

    :param count: how many at once.
    """

    def __init__(self, count: int) -> None:
        """Start none yet."""
        self._count = count
        self.name = f'{count} processes'

    def outcomes(self, jobs: Sequence[Job]) -> Outcomes:
        """Yield places and outcomes; see :class:`Workers`."""
        # A forked process would share locks of torch with this one.
        spawn = multiprocessing.get_context('spawn')
        with ProcessPoolExecutor(min(self._count, len(jobs)), spawn) as pool:
            places = {pool.submit(attempt, job): place for place, job in enumerate(jobs)}
            try:
                for done in as_completed(places):
                    yield places[done], self._outcome(done)
            finally:
                pool.shutdown(cancel_futures=True)

    def _outcome(self, done: Future[Outcome]) -> Outcome:
        try:
            return done.result()
        except BrokenProcessPool as err:
            return (
                'a process was killed while it replayed, perhaps for want of memory; '
                f'--workers {self._count} may be too many: {err}'
            )


def _one(job: Job, bar: Progress) -> Outcome:
    task = bar.add_task(f'{job.place.name}, {job.contender.name}', total=None)

    def watch(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)

    outcome = attempt(job, watch)
    bar.update(task, completed=bar.tasks[task].total)
    return outcome


def _spread(jobs: Sequence[Job], workers: Workers, bar: Progress) -> list[Outcome]:
    count = f'{len(jobs)} replays' if len(jobs) > 1 else '1 replay'
    task = bar.add_task(f'{count}, {workers.name}', total=len(jobs))
    found: dict[int, Outcome] = {}
    lost = ''
    with closing(workers.outcomes(jobs)) as outcomes:
        try:
            for place, outcome in outcomes:
                found[place] = outcome
                bar.advance(task)
        except SaraError as err:
            if not found:
                raise
            lost = str(err)
    return [found.get(place, lost) for place in range(len(jobs))]
