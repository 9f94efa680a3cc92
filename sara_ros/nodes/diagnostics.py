"""Diagnostics as robot monitors show them: a level, a sentence, and values with units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from sara_ros.core.health import CounterWindow, Finding, Level, judged, worst
from sara_ros.core.statistics import Percentiles
from sara_ros.core.timing import TOTAL
from sara_ros.evaluation.exporter import ExportCounts
from sara_ros.nodes.telemetry_parameters import Thresholds
from sara_ros_msgs.msg import PolicyStatus, StageStatistics, TimingSummary

MIB: Final = 2**20
LEVELS: Final = {
    Level.OK: DiagnosticStatus.OK,
    Level.WARN: DiagnosticStatus.WARN,
    Level.ERROR: DiagnosticStatus.ERROR,
    Level.STALE: DiagnosticStatus.STALE,
}
NEVER: Final = Finding(Level.STALE, 'never heard of')
IDLE: Final = Finding(Level.OK, 'no run in progress')


def stage_statistics(stage: str, percentiles: Percentiles | None) -> StageStatistics:
    """Return percentiles, ms, as a message; without values its count is 0."""
    if percentiles is None:
        return StageStatistics(stage=stage)
    return StageStatistics(
        stage=stage,
        count=percentiles.count,
        p50_ms=percentiles.p50,
        p95_ms=percentiles.p95,
        p99_ms=percentiles.p99,
        max_ms=percentiles.max,
    )


def policy_status(
    owner: str, status: PolicyStatus | None, age_sec: float | None, *, stale_sec: float
) -> DiagnosticStatus:
    """Tell how the policy node is; STALE when it was not heard of for ``stale_sec``."""
    if status is None or age_sec is None:
        return _diagnostic(owner, 'policy', NEVER, {})
    finding = Finding(Level.OK, f'{status.state}, dry run' if status.dry_run else status.state)
    unheard = silence(age_sec, stale_sec)
    if unheard:
        finding = unheard
    elif status.last_error:
        finding = Finding(Level.ERROR, status.last_error)
    elif status.state != 'active':
        finding = Finding(Level.WARN, status.state)
    clipped = zip(status.clip_reasons, status.clip_counts, strict=True)
    return _diagnostic(owner, 'policy', finding, {
        'status_age (s)': f'{age_sec:.3f}',
        'model_id (text)': status.model_id,
        'attention_backend (text)': status.attention_backend,
        'instruction (text)': status.instruction,
        'dry_run (bool)': status.dry_run,
        'last_termination_reason (text)': status.last_termination_reason,
        'clipped_values (count)': status.clipped_values,
        **{f'clipped {reason} (count)': count for reason, count in clipped},
    })  # fmt: skip


def silence(age_sec: float | None, stale_sec: float) -> Finding | None:
    """Return that the policy node was not heard of for ``stale_sec``; None when it was."""
    if age_sec is None:
        return NEVER
    if age_sec > stale_sec:
        return Finding(Level.STALE, f'not heard of for {age_sec:.1f} s')
    return None


def outdated(status: DiagnosticStatus, unheard: Finding) -> DiagnosticStatus:
    """Return ``status`` with its values, which nobody vouches for any more."""
    status.level, status.message = LEVELS[unheard.level], unheard.text
    return status


def timing_status(
    owner: str, summary: TimingSummary, silent_sec: float | None, limits: Thresholds
) -> DiagnosticStatus:
    """
    Judge the p95 of sensor-to-command.

    :param silent_sec: time without a command in a run; None while there is no run.
    """
    total = next((each for each in summary.stages if each.stage == TOTAL), None)
    values: dict[str, object] = {
        'window (s)': f'{summary.window_sec:.3f}',
        'warm_up_excluded (count)': summary.warm_up_excluded,
    }
    for each in summary.stages:
        values |= _percentiles(each)
    if silent_sec is not None and silent_sec > limits.stale_sec:
        finding = Finding(Level.STALE, f'no command for {silent_sec:.1f} s of a run')
    elif total is None:
        finding = Finding(Level.OK, 'no commands yet')
    else:
        text = f'sensor-to-command p95 {total.p95_ms:.1f} ms'
        finding = judged(limits.latency_sec, total.p95_ms * 1e-3, text, 's')
    return _diagnostic(owner, 'timing', finding, values)


def command_status(
    owner: str,
    summary: TimingSummary,
    status: PolicyStatus,
    recent: CounterWindow,
    limits: Thresholds,
) -> DiagnosticStatus:
    """Judge command rate, deadline misses and holds of the run in progress."""
    rate_hz, wanted_hz = summary.command_rate_hz, status.rate_hz
    known = rate_hz > 0 and wanted_hz > 0
    short = max(0.0, 100.0 * (1.0 - rate_hz / wanted_hz)) if known else 0.0
    missed = recent.share_percent('deadline_misses', 'periods')
    held = recent.share_percent('holds', 'commands_published')
    finding = IDLE
    if status.instruction:
        rate = f'{rate_hz:.1f} Hz, {short:.1f} % below that of the model'
        finding = worst(
            judged(limits.rate_shortfall_percent, short, rate, '%'),
            judged(limits.deadline_miss_percent, missed, f'{missed:.1f} % of periods late', '%'),
            judged(limits.hold_percent, held, f'{held:.1f} % of commands hold', '%'),
        )
    return _diagnostic(owner, 'commands', finding, {
        'command_rate (Hz)': f'{rate_hz:.3f}',
        'command_rate of the model (Hz)': f'{wanted_hz:g}',
        'commands_published (count)': status.commands_published,
        'deadline_misses (count)': status.deadline_misses,
        'deadline_misses recently (%)': f'{missed:.2f}',
        'holds (count)': status.holds,
        'holds recently (%)': f'{held:.2f}',
    })  # fmt: skip


def observation_status(
    owner: str,
    summary: TimingSummary,
    status: PolicyStatus,
    recent: CounterWindow,
    limits: Thresholds,
) -> DiagnosticStatus:
    """Judge the age of what commands rest on, and the share of observations dropped."""
    age, dropped = summary.observation_age, recent.share_percent('dropped', 'observations')
    finding = IDLE
    if status.instruction:
        text = f'age p95 {age.p95_ms:.1f} ms'
        finding = worst(
            judged(limits.observation_age_sec, age.p95_ms * 1e-3, text, 's'),
            judged(limits.drop_percent, dropped, f'{dropped:.1f} % dropped', '%'),
        )
    reasons = zip(status.drop_reasons, status.drop_counts, strict=True)
    return _diagnostic(owner, 'observations', finding, {
        'driving_topic (text)': status.driving_topic,
        **_percentiles(age),
        'observations_received (count)': status.observations_received,
        'observations_idle (count)': status.observations_idle,
        'dropped recently, superseded left out (%)': f'{dropped:.2f}',
        **{f'dropped {reason} (count)': count for reason, count in reasons},
    })  # fmt: skip


def process_status(
    owner: str, summary: TimingSummary, status: PolicyStatus, limits: Thresholds
) -> DiagnosticStatus:
    """Judge what the policy process takes of its machine."""
    cpu = summary.cpu_percent
    memory_mib, gpu_mib = summary.memory_bytes / MIB, summary.gpu_memory_bytes / MIB
    finding = worst(
        judged(limits.cpu_percent, cpu, f'CPU {cpu:.0f} %', '%'),
        judged(limits.memory_mib, memory_mib, f'memory {memory_mib:.0f} MiB', 'MiB'),
        judged(limits.gpu_memory_mib, gpu_mib, f'GPU memory {gpu_mib:.0f} MiB', 'MiB'),
    )
    return _diagnostic(owner, 'process', finding, {
        'pid (id)': status.pid,
        'running (s)': f'{status.running_sec:.1f}',
        'cpu (% of one core)': f'{cpu:.2f}',
        'memory (MiB)': f'{memory_mib:.1f}',
        'gpu_memory (MiB)': f'{gpu_mib:.1f}',
    })  # fmt: skip


def export_status(owner: str, counts: Mapping[str, ExportCounts], folder: str) -> DiagnosticStatus:
    """Tell how the export is; WARN while the disk takes no data, ERROR once some is lost."""
    values: dict[str, object] = {'folder (path)': folder}
    findings = [Finding(Level.OK, 'writing' if counts else 'off')]
    for name, each in counts.items():
        for key in ('written', 'held', 'lost', 'failures'):
            values[f'{name} {key} (count)'] = getattr(each, key)
        if each.error:
            findings.append(Finding(Level.WARN, f'{name}: {each.error}'))
        if each.lost:
            findings.append(Finding(Level.ERROR, f'{name}: {each.lost} lost; {each.error}'))
    return _diagnostic(owner, 'export', worst(*findings), values)


def _percentiles(each: StageStatistics) -> dict[str, object]:
    return {
        f'{each.stage} p50 (ms)': f'{each.p50_ms:.3f}',
        f'{each.stage} p95 (ms)': f'{each.p95_ms:.3f}',
        f'{each.stage} p99 (ms)': f'{each.p99_ms:.3f}',
        f'{each.stage} max (ms)': f'{each.max_ms:.3f}',
        f'{each.stage} samples (count)': each.count,
    }


def _diagnostic(
    owner: str, what: str, finding: Finding, values: Mapping[str, object]
) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=LEVELS[finding.level],
        name=f'{owner}: {what}',
        message=finding.text,
        values=[KeyValue(key=key, value=str(each)) for key, each in values.items()],
    )
