"""Replays side by side: the JSON, and whether they keep to what was asked of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from sara_ros.evaluation.machine import describe_machine
from sara_ros.evaluation.replay.job import JobResult
from sara_ros.evaluation.replay.many import Failure
from sara_ros.evaluation.replay.remarks import idle
from sara_ros.evaluation.replay.scores import STATEMENT

SCHEMA: Final = 'sara_ros/replay/1'
Report = Mapping[str, Any]


def report_of(
    results: Sequence[JobResult],
    *,
    command: str = '',
    live: Sequence[Mapping[str, Any]] = (),
    failures: Sequence[Failure] = (),
) -> dict[str, Any]:
    """
    Return the content of the JSON file.

    Two runs differ in ``machine`` and in ``measured`` of each result, and in nothing else.

    :param live: what the same recordings did in the live graph.
    :param failures: replays without a result.
    """
    return {
        'schema': SCHEMA,
        'statement': STATEMENT,
        'command': command,
        'results': [result.report for result in results],
        'live': list(live),
        'failures': [asdict(each) for each in failures],
        'machine': describe_machine(),
    }


def shortcomings(
    report: Report, *, max_error: float | None = None, max_p95_ms: float | None = None
) -> list[str]:
    """
    Return every limit that a result does not keep, in words.

    A result without recorded actions keeps no limit on the error, and one without an inference
    none on the time. A recording that broke off, one on which the policy chose no action,
    one without a result, and an action of the live graph that timing does not explain always fall
    short.
    """
    found = [Failure(**each).text() for each in report['failures']]
    for each in report['live']:
        found += [f'{each["bag"]}, {each["model"]}, live: {text}' for text in each['unexplained']]
    for result in report['results']:
        where = f'{result["bag"]["name"]}, {result["model"]["name"]}'
        if result['bag']['broken']:
            found.append(result['bag']['broken'])
        elif idle(result):
            found.append(f'{where}: {idle(result)}')
        checks = (
            ('mean absolute error', result['error']['mean_absolute']['policy'], max_error, ''),
            ('p95 of the policy', result['measured']['stages_ms']['compute']['p95'], max_p95_ms,
             ' ms'),
        )  # fmt: skip
        for name, value, limit, unit in checks:
            if limit is not None and (value is None or value > limit):
                seen = 'unknown' if value is None else f'{value:.6g}{unit}'
                found.append(f'{where}: {name} is {seen}, the limit {limit:g}{unit}')
    return found
