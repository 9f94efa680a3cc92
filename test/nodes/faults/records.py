"""What a test fills in about the fault it injects."""

from dataclasses import dataclass


@dataclass
class Outcome:
    """See ``sara_ros.evaluation.fault_report.FaultRecord``."""

    seen: str = ''
    time_to_stop_ms: float | None = None
    commands_lost: int | None = None
