"""The commands of a replay as an MCAP file, to be opened beside the recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import re
from typing import Any, Final

import numpy as np

from sara_ros.core.files import replacing
from sara_ros.decoding.stamps import NS
from sara_ros.evaluation.mcap_log import McapLog, Topic
from sara_ros.evaluation.replay.message_types import ros2_types
from sara_ros.evaluation.replay.replay import Replayed
from sara_ros.evaluation.replay.scores import reference_times_ns

JOINTS: Final = 'sensor_msgs/msg/JointState'
ACTION: Final = 'sara_ros_msgs/msg/EndEffectorAction'
TRAJECTORY: Final = 'trajectory_msgs/msg/JointTrajectory'
FLUSH_EVERY: Final = 5000


def write_predictions(replayed: Replayed, name: str, path: Path) -> None:
    """
    Write ``/replay/NAME/action`` as the node publishes it, and plots beside it.

    ``/replay/NAME/values`` and ``/replay/recorded`` are joint states whose names are the
    dimensions of the action, for any plotting tool. The same actions give the same bytes.
    """
    space = f'/replay/{re.sub(r"[^a-zA-Z0-9_]", "_", name)}'
    with replacing(path) as partial:
        log = McapLog(partial)
        try:
            items = sorted(_items(replayed, space), key=lambda item: item[0])
            for count, (at_ns, topic, data) in enumerate(items, start=1):
                log.add(topic, at_ns, data)
                if count % FLUSH_EVERY == 0:
                    log.flush()
            log.flush()
        finally:
            log.close()


def _items(replayed: Replayed, space: str) -> Iterator[tuple[int, Topic, bytes]]:
    trace, builder = replayed.trace, _Builder(replayed)
    kind = ACTION if trace.spec.action.kind == 'end_effector_delta' else TRAJECTORY
    action = _topic(f'{space}/action', kind)
    values = _topic(f'{space}/values', JOINTS)
    for index, at_ns in enumerate(trace.times_ns):
        message = builder.action(index) if kind == ACTION else builder.trajectory(index)
        yield at_ns, action, _bytes(message, kind)
        if not trace.holds[index]:
            row = builder.joints(at_ns, trace.rows[index])
            yield at_ns, values, _bytes(row, JOINTS)
    recorded = _topic('/replay/recorded', JOINTS)
    times_ns = reference_times_ns(replayed)
    for at_ns, row in zip(times_ns.tolist(), replayed.recorded.at(times_ns), strict=True):
        if np.isfinite(row).any():
            yield at_ns, recorded, _bytes(builder.joints(at_ns, row), JOINTS)


def _topic(name: str, kind: str) -> Topic:
    return Topic(name, kind, ros2_types().generate_msgdef(kind, ros_version=2)[0])


def _bytes(message: Any, kind: str) -> bytes:
    return bytes(ros2_types().serialize_cdr(message, kind))


class _Builder:
    """Builds messages of the types that bags are read with."""

    def __init__(self, replayed: Replayed) -> None:
        self._trace = replayed.trace
        self._spec = replayed.trace.spec
        self._period_ns = replayed.recorded.period_ns

    def action(self, index: int) -> Any:
        trace, action = self._trace, self._spec.action
        row = [float(value) for value in trace.rows[index]]
        linear, angular = (
            self._new('geometry_msgs/msg/Vector3', *part) for part in (row[1:4], row[4:7])
        )
        return self._new(
            ACTION,
            header=self._header(trace.times_ns[index], action.frame),
            observation_stamp=self._time(trace.stamps_ns[index]),
            model_id=self._spec.model_id,
            sequence=index,
            delta=self._new('geometry_msgs/msg/Twist', linear, angular),
            gripper_opening=row[7],
            terminate=action.terminates(trace.rows[index]),
            hold=bool(trace.holds[index]),
        )

    def trajectory(self, index: int) -> Any:
        none = np.zeros(0)
        point = self._new(
            'trajectory_msgs/msg/JointTrajectoryPoint',
            positions=self._trace.rows[index].astype(np.float64),
            velocities=none,
            accelerations=none,
            effort=none,
            time_from_start=self._new(
                'builtin_interfaces/msg/Duration', self._period_ns // NS, self._period_ns % NS
            ),
        )
        header = self._header(self._trace.times_ns[index], self._spec.action.frame)
        return self._new(TRAJECTORY, header, list(self._spec.action.names), [point])

    def joints(self, at_ns: int, row: Any) -> Any:
        none = np.zeros(0)
        names = list(self._spec.action.names)
        positions = np.asarray(row, np.float64)
        return self._new(JOINTS, self._header(at_ns, ''), names, positions, none, none)

    def _header(self, at_ns: int, frame: str) -> Any:
        return self._new('std_msgs/msg/Header', self._time(at_ns), frame)

    def _time(self, at_ns: int) -> Any:
        return self._new('builtin_interfaces/msg/Time', at_ns // NS, at_ns % NS)

    def _new(self, kind: str, *values: Any, **fields: Any) -> Any:
        return ros2_types().types[kind](*values, **fields)
