"""What a check found, how bad it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sara_ros.core.health import Level
from sara_ros.evaluation.formatting import one_line

WORDS: Final = {Level.OK: 'ok', Level.WARN: 'warning', Level.ERROR: 'error'}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """
    One line of the report.

    :param check: what was looked at, such as ``GPU`` or ``topic /image_raw``.
    :param seen: what was found.
    :param advice: what to do; empty when nothing needs doing.
    """

    level: Level
    check: str
    seen: str
    advice: str = ''

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            'level': WORDS[self.level],
            'check': self.check,
            'seen': self.seen,
            'advice': self.advice,
        }


def ok(check: str, seen: str) -> CheckResult:
    """Return that all is well."""
    return CheckResult(Level.OK, check, one_line(seen))


def warning(check: str, seen: str, advice: str) -> CheckResult:
    """Return that something works, but not as well as it could, or not for everybody."""
    return CheckResult(Level.WARN, check, one_line(seen), one_line(advice))


def error(check: str, seen: str, advice: str) -> CheckResult:
    """Return that something does not work."""
    return CheckResult(Level.ERROR, check, one_line(seen), one_line(advice))


def worst_level(results: Sequence[CheckResult]) -> Level:
    """Return the worst level of ``results``; OK for none."""
    return max((result.level for result in results), default=Level.OK)
