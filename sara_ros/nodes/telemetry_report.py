"""Puts what was gathered of a policy into messages."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray

from sara_ros.core.health import CounterWindow
from sara_ros.core.timing_windows import AGE, ModelWindow, TimingWindows
from sara_ros.evaluation.exporter import ExportCounts
from sara_ros.nodes.diagnostics import (
    command_status,
    export_status,
    observation_status,
    outdated,
    policy_status,
    process_status,
    silence,
    stage_statistics,
    timing_status,
)
from sara_ros.nodes.telemetry_parameters import Thresholds
from sara_ros_msgs.msg import ModelTiming, PolicyStatus, TimingSummary


def summarise(windows: TimingWindows, status: PolicyStatus, before: PolicyStatus) -> TimingSummary:
    """
    Return the figures of the window.

    :param before: the status of the period before, for the CPU share.
    """
    serving = windows.of(status.model_id, status.attention_backend)
    return TimingSummary(
        model_id=serving.model_id,
        window_sec=windows.rate.span_sec,
        command_rate_hz=windows.rate.rate_hz,
        stages=[stage_statistics(name, each) for name, each in serving.stages().items()],
        drop_reasons=status.drop_reasons,
        drop_counts=status.drop_counts,
        observations_received=status.observations_received,
        commands_published=status.commands_published,
        deadline_misses=status.deadline_misses,
        holds=status.holds,
        warm_up_excluded=serving.warm_up_excluded,
        observation_age=stage_statistics(AGE, serving.observation_age()),
        models=[_model_timing(each) for each in windows.models],
        cpu_percent=cpu_percent(status, before),
        memory_bytes=status.memory_bytes,
        gpu_memory_bytes=status.gpu_memory_bytes,
    )


def cpu_percent(status: PolicyStatus, before: PolicyStatus) -> float:
    """Return the CPU share between two statuses of a process, percent of one core."""
    passed_sec = status.running_sec - before.running_sec
    if status.pid != before.pid or passed_sec <= 0:
        return 0.0
    return float(100.0 * (status.cpu_time_sec - before.cpu_time_sec) / passed_sec)


def diagnose(
    owner: str,
    summary: TimingSummary,
    status: PolicyStatus | None,
    recent: CounterWindow,
    limits: Thresholds,
    *,
    age_sec: float | None,
    silent_sec: float | None,
    export: Mapping[str, ExportCounts],
    folder: str,
) -> DiagnosticArray:
    """
    Return everything that is judged.

    :param age_sec: age of ``status``.
    :param silent_sec: time without a command in a run; None while there is no run.
    """
    known = status or PolicyStatus()
    resting_on_status = [
        command_status(owner, summary, known, recent, limits),
        observation_status(owner, summary, known, recent, limits),
        process_status(owner, summary, known, limits),
    ]
    unheard = silence(age_sec, limits.stale_sec)
    if unheard:
        resting_on_status = [outdated(each, unheard) for each in resting_on_status]
    return DiagnosticArray(status=[
        policy_status(owner, status, age_sec, stale_sec=limits.stale_sec),
        timing_status(owner, summary, silent_sec, limits),
        *resting_on_status,
        export_status(owner, export, folder),
    ])  # fmt: skip


def _model_timing(window: ModelWindow) -> ModelTiming:
    return ModelTiming(
        model_id=window.model_id,
        attention_backend=window.attention_backend,
        commands=window.commands,
        warm_up_excluded=window.warm_up_excluded,
        stages=[stage_statistics(name, each) for name, each in window.stages().items()],
    )
