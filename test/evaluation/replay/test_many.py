"""Outcomes of many replays, where some fail and workers are lost."""

from pathlib import Path

import pytest

from sara_ros.core import SaraError
from sara_ros.evaluation.replay.contender import Contender
from sara_ros.evaluation.replay.job import Job, JobResult
from sara_ros.evaluation.replay.many import Failure, run_jobs
from sara_ros.evaluation.replay.messages import BagError
from sara_ros.evaluation.replay.page_data import PageData, Series
from sara_ros.evaluation.replay.places import Place

RESULT = JobResult({}, PageData('a', [], [], Series('', [], []), Series('', [], []), [], []))
JOBS = [Job(Place(Path(name)), Contender('toy'), Path()) for name in ('a', 'b', 'c')]


class Losing:
    """Workers of which the last is lost after the outcomes that are given."""

    name = 'two workers'

    def __init__(self, *outcomes):
        self._outcomes = outcomes

    def outcomes(self, jobs):
        yield from self._outcomes
        raise BagError('the cluster is gone')


def test_lost_workers_leave_what_was_finished():
    """Everything was discarded."""
    found = run_jobs(JOBS, workers=Losing((2, RESULT), (0, 'a: no such topic')))
    assert found == [
        Failure('a', 'toy', 'a: no such topic'),
        Failure('b', 'toy', 'the cluster is gone'),
        RESULT,
    ]
    assert found[1].text() == 'b, toy: the cluster is gone'
    with pytest.raises(SaraError, match='the cluster is gone'):
        run_jobs(JOBS, workers=Losing())


def test_without_workers_a_failure_does_not_end_the_others():
    found = run_jobs(JOBS)
    assert [each.reason for each in found] == [f'{name} does not exist' for name in 'abc']
