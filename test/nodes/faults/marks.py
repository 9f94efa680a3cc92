"""Which faults are left to ``make test-faults``."""

import pytest

LONG = (pytest.mark.faults, pytest.mark.slow)


def some_always(cases, *always):
    """Return ``cases`` as parameters, of which only those named ``always`` run with the suite."""
    return [
        case if (case[0] if isinstance(case, tuple) else case) in always
        else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=LONG)
        for case in cases
    ]  # fmt: skip
