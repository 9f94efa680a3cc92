"""The timing record that travels with an observation from the sensor to the command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

STAGES: Final = ('transport', 'sync_wait', 'preprocess', 'inference', 'queue_wait', 'publish')
"""Stages in the order an observation passes them; together they cover its whole way."""

TOTAL: Final = 'sensor_to_command'
"""Name of the sum of all stages in reports and messages."""


@dataclass(frozen=True, slots=True)
class TimingRecord:
    """
    Contiguous stage durations of one observation, in nanoseconds.

    ``stamp_ns`` is the sensor stamp in ROS time; ``mark_ns`` is the end of the latest finished
    stage on the monotonic clock, so a stage begins exactly where the one before it ended.
    """

    stamp_ns: int
    mark_ns: int
    stages_ns: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def received(cls, *, stamp_ns: int, received_ros_ns: int, received_ns: int) -> TimingRecord:
        """Start a record on reception: ``transport`` is ROS time of reception minus the stamp."""
        transport = MappingProxyType({'transport': received_ros_ns - stamp_ns})
        return cls(stamp_ns=stamp_ns, mark_ns=received_ns, stages_ns=transport)

    def mark(self, stage: str, now_ns: int) -> TimingRecord:
        """Return a record in which ``stage`` lasted from the previous mark until ``now_ns``."""
        stages = dict(self.stages_ns)
        stages[stage] = stages.get(stage, 0) + now_ns - self.mark_ns
        return replace(self, mark_ns=now_ns, stages_ns=MappingProxyType(stages))

    @property
    def sensor_to_command_ns(self) -> int:
        """Sensor stamp to the end of the latest stage."""
        return sum(self.stages_ns.values())
