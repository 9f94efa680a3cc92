"""Timing messages and diagnostics for the tests of the telemetry."""

from __future__ import annotations

from dataclasses import replace
import time

from core.fakes import action, policy_spec

from sara_ros.core import STAGES, TimingRecord
from sara_ros.core.serving import Command
from sara_ros.nodes.command_codec import encode_timing


def timing_message(
    sequence, *, total_ms=30.0, stamp_ns=None, model='fake', backend='softmax', **changes
):
    """Return the timing of a command: every stage the same, inference what is left."""
    stamp_ns = stamp_ns or time.time_ns()
    seen_ns = stamp_ns - round(total_ms * 1e6)
    timing = TimingRecord.received(
        stamp_ns=seen_ns, received_ros_ns=seen_ns + 1_000_000, received_ns=0
    )
    ends = dict(zip(STAGES[1:], (1, 2, total_ms - 3, total_ms - 2, total_ms - 1), strict=True))
    for stage, end_ms in ends.items():
        timing = timing.mark(stage, int(end_ms * 1e6))
    command = Command(
        values=action(), sequence=sequence, terminate=False, hold=False, warm_up=False,
        observation_stamp_ns=seen_ns, timing=timing,
    )  # fmt: skip
    command = replace(command, **changes)
    spec = replace(policy_spec(), model_id=model, attention={'backend': backend})
    return encode_timing(command, None if command.hold else timing, spec, stamp_ns)


def diagnostic(diagnostics, what):
    """Return level, message and values of the newest diagnostic about ``what``."""
    for array in reversed(diagnostics):
        for status in array.status:
            if status.name.endswith(f': {what}'):
                return status.level, status.message, {v.key: v.value for v in status.values}
    return None, '', {}
