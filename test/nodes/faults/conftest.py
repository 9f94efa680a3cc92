"""Notes every fault down, and writes the report where one is asked for."""

from contextlib import contextmanager
from pathlib import Path

from nodes.faults.records import Outcome
import pytest

from sara_ros.core.errors import describe
from sara_ros.evaluation.fault_report import FaultRecord, stop_limit_ms, write_report

PERIOD_MS = 50.0


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

    Where a report is asked for, times are judged on leaving it: a machine that does other things
    besides is late as well.
    """

    @contextmanager
    def inject(name, expected):
        outcome = Outcome()
        passed = False
        try:
            yield outcome
            assert outcome.seen
            if request.config.getoption('--faults-report'):
                assert (outcome.time_to_stop_ms or 0.0) <= stop_limit_ms(PERIOD_MS)
                assert not outcome.commands_lost
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
