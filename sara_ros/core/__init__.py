"""Values and rules shared by every room; imports neither rclpy nor torch."""

from sara_ros.core.action import ActionChunk
from sara_ros.core.errors import (
    ActionError,
    CheckpointError,
    ObservationError,
    ParameterError,
    SaraError,
    SpecError,
)
from sara_ros.core.observation import Observation
from sara_ros.core.policy import SCRIPTED_EXPERT, Policy
from sara_ros.core.spec import ActionDimension, ActionSpec, ObservationSpec, PolicySpec
from sara_ros.core.timing import STAGES, TimingRecord

__all__ = [
    'SCRIPTED_EXPERT',
    'STAGES',
    'ActionChunk',
    'ActionDimension',
    'ActionError',
    'ActionSpec',
    'CheckpointError',
    'Observation',
    'ObservationError',
    'ObservationSpec',
    'ParameterError',
    'Policy',
    'PolicySpec',
    'SaraError',
    'SpecError',
    'TimingRecord',
]
