"""Commands, chunks and timing to messages."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

from geometry_msgs.msg import TwistStamped, Vector3
import numpy as np
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from sara_ros.core import STAGES, ActionChunk, PolicySpec, TimingRecord
from sara_ros.core.action import FloatArray
from sara_ros.core.serving import Command
from sara_ros.nodes.ros_time import NS, to_duration, to_time
from sara_ros_msgs import msg


def encode_action(command: Command, spec: PolicySpec, now_ns: int) -> msg.EndEffectorAction:
    """Return an end-effector command, stamped now."""
    message = msg.EndEffectorAction(
        observation_stamp=to_time(command.observation_stamp_ns),
        model_id=command.model_id or spec.model_id,
        sequence=command.sequence,
        gripper_opening=float(command.values[7]),
        terminate=command.terminate,
        hold=command.hold,
    )
    message.header.stamp = to_time(now_ns)
    message.header.frame_id = spec.action.frame
    message.delta.linear = _vector(command.values[1:4])
    message.delta.angular = _vector(command.values[4:7])
    return message


def encode_twist(command: Command, spec: PolicySpec, now_ns: int) -> TwistStamped:
    """Return the command as a velocity, m/s and rad/s, as MoveIt Servo takes it."""
    message = TwistStamped()
    message.header.stamp = to_time(now_ns)
    message.header.frame_id = spec.action.frame
    message.twist.linear = _vector(command.values[1:4] * spec.action.rate_hz)
    message.twist.angular = _vector(command.values[4:7] * spec.action.rate_hz)
    return message


def encode_trajectory(command: Command, spec: PolicySpec, now_ns: int) -> JointTrajectory:
    """Return joint targets to be reached within one command period."""
    message = JointTrajectory(joint_names=list(spec.action.names))
    message.header.stamp = to_time(now_ns)
    point = JointTrajectoryPoint(positions=[float(value) for value in command.values])
    point.time_from_start = to_duration(round(NS / spec.action.rate_hz))
    message.points = [point]
    return message


def encode_chunk(
    chunk: ActionChunk, spec: PolicySpec, sequence: int, now_ns: int
) -> msg.ActionChunk:
    """Return a whole chunk, for people and recorders."""
    message = msg.ActionChunk(
        observation_stamp=to_time(chunk.timing.stamp_ns),
        model_id=chunk.model_id or spec.model_id,
        sequence=sequence,
        rate_hz=float(spec.action.rate_hz),
        dimension_names=list(spec.action.names),
        dimension_units=[dimension.unit for dimension in spec.action.dimensions],
        horizon=chunk.horizon,
    )
    message.values = array('f', np.ascontiguousarray(chunk.values, np.float32).tobytes())
    message.header.stamp = to_time(now_ns)
    message.header.frame_id = spec.action.frame
    return message


def encode_timing(
    command: Command, timing: TimingRecord | None, spec: PolicySpec, now_ns: int
) -> msg.InferenceTiming:
    """Return where the time of one command went; without ``timing``, that it was a hold."""
    model_id = command.model_id or spec.model_id
    message = msg.InferenceTiming(
        model_id=model_id,
        # Of a model that was swapped out since, the backend is not known here any more.
        attention_backend=_backend(spec) if model_id == spec.model_id else '',
        sequence=command.sequence,
        warm_up=command.warm_up,
        hold=command.hold,
        later_step=command.later_step,
    )
    if timing is not None:
        message.observation_stamp = to_time(timing.stamp_ns)
        message.sensor_to_command = to_duration(timing.sensor_to_command_ns)
        for stage in STAGES:
            setattr(message, stage, to_duration(timing.stages_ns.get(stage, 0)))
    message.header.stamp = to_time(now_ns)
    return message


def _backend(spec: PolicySpec) -> str:
    return str(spec.attention.get('backend', ''))


def counts_by_reason(counts: Mapping[str, int]) -> dict[str, list[str] | list[int]]:
    """Return drop counts as the two parallel lists that messages hold."""
    return {'drop_reasons': list(counts), 'drop_counts': list(counts.values())}


def _vector(values: FloatArray) -> Vector3:
    return Vector3(x=float(values[0]), y=float(values[1]), z=float(values[2]))
