"""Many recordings and models, one after the other or in several processes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
import multiprocessing

from rich.progress import Progress

from sara_ros.evaluation.replay.job import Job, JobResult, run_job
from sara_ros.training.progress import running


def run_jobs(
    jobs: Sequence[Job], *, workers: int = 1, progress: Progress | None = None
) -> list[JobResult]:
    """
    Run every job and return the results in the order of the jobs.

    :raises SaraError: the first one that a job raises.
    """
    with running(progress) as bar:
        if workers == 1 or len(jobs) == 1:
            return [_one(job, bar) for job in jobs]
        return _spread(jobs, min(workers, len(jobs)), bar)


def _one(job: Job, bar: Progress) -> JobResult:
    name = job.place.path.name if job.place.episode is None else f'episode {job.place.episode}'
    task = bar.add_task(f'{name}, {job.contender.name}', total=None)

    def watch(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)

    result = run_job(job, watch)
    bar.update(task, completed=bar.tasks[task].total)
    return result


def _spread(jobs: Sequence[Job], workers: int, bar: Progress) -> list[JobResult]:
    task = bar.add_task(f'{len(jobs)} replays, {workers} processes', total=len(jobs))
    # A forked process would share locks of torch with this one.
    with ProcessPoolExecutor(workers, multiprocessing.get_context('spawn')) as pool:
        running_jobs = [pool.submit(run_job, job) for job in jobs]
        try:
            for done in as_completed(running_jobs):
                done.result()
                bar.advance(task)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        return [each.result() for each in running_jobs]
