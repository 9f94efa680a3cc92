"""Diagnostics as robot monitors show them: a level, a sentence, and values with units."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from sara_ros.core.statistics import Percentiles
from sara_ros.core.timing import TOTAL
from sara_ros_msgs.msg import PolicyStatus, StageStatistics, TimingSummary


def stage_statistics(percentiles: Mapping[str, Percentiles]) -> list[StageStatistics]:
    """Return percentiles, ms, as messages, in their order."""
    return [
        StageStatistics(
            stage=stage,
            count=each.count,
            p50_ms=each.p50,
            p95_ms=each.p95,
            p99_ms=each.p99,
            max_ms=each.max,
        )
        for stage, each in percentiles.items()
    ]


def policy_status(
    owner: str, status: PolicyStatus | None, age_sec: float | None, *, stale_sec: float
) -> DiagnosticStatus:
    """Tell how the policy node is; STALE when it was not heard of for ``stale_sec``."""
    if status is None or age_sec is None:
        return _diagnostic(owner, 'policy', DiagnosticStatus.STALE, 'never heard of', {})
    level, text = DiagnosticStatus.OK, status.state
    if age_sec > stale_sec:
        level, text = DiagnosticStatus.STALE, f'not heard of for {age_sec:.1f} s'
    elif status.last_error:
        level, text = DiagnosticStatus.ERROR, status.last_error
    elif status.state != 'active':
        level = DiagnosticStatus.WARN
    dropped = zip(status.drop_reasons, status.drop_counts, strict=True)
    return _diagnostic(owner, 'policy', level, text, {
        'model_id': status.model_id,
        'attention_backend': status.attention_backend,
        'instruction': status.instruction,
        'observations_received (count)': status.observations_received,
        'commands_published (count)': status.commands_published,
        'holds (count)': status.holds,
        'clipped_values (count)': status.clipped_values,
        'deadline_misses (count)': status.deadline_misses,
        **{f'dropped {reason} (count)': count for reason, count in dropped},
    })  # fmt: skip


def timing_status(owner: str, summary: TimingSummary, *, warn_ms: float) -> DiagnosticStatus:
    """Tell the latency; WARN when the p95 of sensor-to-command is above ``warn_ms``."""
    total = next((each for each in summary.stages if each.stage == TOTAL), None)
    if total is None:
        return _diagnostic(owner, 'timing', DiagnosticStatus.OK, 'no commands yet', {})
    slow = total.p95_ms > warn_ms
    level = DiagnosticStatus.WARN if slow else DiagnosticStatus.OK
    text = f'sensor-to-command p95 {total.p95_ms:.1f} ms'
    values: dict[str, object] = {'command_rate (Hz)': f'{summary.command_rate_hz:.2f}'}
    for each in summary.stages:
        values[f'{each.stage} p50 (ms)'] = f'{each.p50_ms:.3f}'
        values[f'{each.stage} p95 (ms)'] = f'{each.p95_ms:.3f}'
    return _diagnostic(
        owner, 'timing', level, f'{text} is above {warn_ms:g} ms' if slow else text, values
    )


def _diagnostic(
    owner: str, what: str, level: bytes, text: str, values: Mapping[str, object]
) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=level,
        name=f'{owner}: {what}',
        message=text,
        values=[KeyValue(key=key, value=str(each)) for key, each in values.items()],
    )
