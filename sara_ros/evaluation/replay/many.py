"""Many recordings and models: one after the other, in several processes, or on a cluster."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
import multiprocessing
from typing import Protocol

from rich.progress import Progress

from sara_ros.core import SaraError
from sara_ros.evaluation.replay.job import Job, JobResult, run_job
from sara_ros.evaluation.replay.messages import BagError
from sara_ros.training.progress import running

Outcome = JobResult | str
"""A result, or what the error of a job says: an error itself may not survive the way back."""
Outcomes = Generator[tuple[int, Outcome], None, None]
"""The place of each job among all jobs, and its outcome."""


class Workers(Protocol):
    """Where jobs run beside each other."""

    name: str

    def outcomes(self, jobs: Sequence[Job]) -> Outcomes:
        """
        Yield an outcome for each of ``jobs``, in whatever order they finish.

        :raises SaraError: when a worker is lost.
        """
        ...


def run_jobs(
    jobs: Sequence[Job], *, workers: Workers | None = None, progress: Progress | None = None
) -> list[JobResult]:
    """
    Run every job and return the results in the order of the jobs.

    :param workers: None runs them one after the other in this process.
    :raises SaraError: the first one that a job raises.
    """
    with running(progress) as bar:
        if workers is None:
            return [_one(job, bar) for job in jobs]
        return _spread(jobs, workers, bar)


def attempt(job: Job) -> Outcome:
    """Run a job on a worker."""
    try:
        return run_job(job)
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
                    yield places[done], done.result()
            except BrokenProcessPool as err:
                raise BagError(
                    'a process was killed while it replayed, perhaps for want of memory; '
                    f'--workers {self._count} may be too many: {err}'
                ) from err
            finally:
                pool.shutdown(cancel_futures=True)


def _one(job: Job, bar: Progress) -> JobResult:
    name = job.place.path.name if job.place.episode is None else f'episode {job.place.episode}'
    task = bar.add_task(f'{name}, {job.contender.name}', total=None)

    def watch(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)

    result = run_job(job, watch)
    bar.update(task, completed=bar.tasks[task].total)
    return result


def _spread(jobs: Sequence[Job], workers: Workers, bar: Progress) -> list[JobResult]:
    count = f'{len(jobs)} replays' if len(jobs) > 1 else '1 replay'
    task = bar.add_task(f'{count}, {workers.name}', total=len(jobs))
    results: dict[int, JobResult] = {}
    with closing(workers.outcomes(jobs)) as outcomes:
        for place, outcome in outcomes:
            if isinstance(outcome, str):
                raise BagError(outcome)
            results[place] = outcome
            bar.advance(task)
    return [results[place] for place in range(len(jobs))]
