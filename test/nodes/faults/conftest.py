"""Notes every fault down, and writes the report where one is asked for."""

from contextlib import contextmanager
from pathlib import Path

from nodes.faults.records import Outcome
import pytest

from sara_ros.core.errors import describe
from sara_ros.evaluation.fault_report import FaultRecord, stop_limit_ms, write_report

PERIOD_MS = 50.0
LAX_LIMIT_MS = 3000.0
"""Longest time to stop on a machine that is busy with something else."""


@pytest.fixture(scope='session')
def records(request):
    """Collect the records of the session; ``--faults-report`` says where they go."""
    noted = []
    yield noted
    folder = request.config.getoption('--faults-report')
    if folder:
        print(f'\nreport: {write_report(Path(folder), noted)}')


@pytest.fixture
def fault(records, request, tmp_path_factory):
    """
    Return a context manager around one fault, which yields what to note down about it.

    On leaving it the arm must have stopped. How soon, and whether a command was late, is judged
    where a report is asked for: a machine that does other things besides is late as well.
    """

    @contextmanager
    def inject(name, expected):
        outcome = Outcome()
        passed = False
        try:
            yield outcome
            assert outcome.seen
            judged = request.config.getoption('--faults-report')
            limit_ms = stop_limit_ms(PERIOD_MS) if judged else LAX_LIMIT_MS
            assert (outcome.time_to_stop_ms or 0.0) <= limit_ms
            assert not (judged and outcome.commands_lost)
            passed = True
        except BaseException as err:
            outcome.seen = f'{outcome.seen} {describe(err)}'.strip()
            raise
        finally:
            records.append(
                FaultRecord(
                    fault=name,
                    expected=expected,
                    seen=outcome.seen.replace(f'{tmp_path_factory.getbasetemp()}/', ''),
                    passed=passed,
                    time_to_stop_ms=outcome.time_to_stop_ms,
                    commands_lost=outcome.commands_lost,
                )
            )

    return inject
