"""The actions that a recording holds, brought to the dimensions and rate of a policy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from sara_ros.core import ActionSpec, ObservationError, ParameterError
from sara_ros.decoding.stamps import NS
from sara_ros.evaluation.replay.action_readers import (
    MOTION,
    EndEffectorReader,
    JointsReader,
    Reader,
    TrajectoryReader,
    TwistReader,
)
from sara_ros.evaluation.replay.mapping import ActionSource, ReplayMap
from sara_ros.evaluation.replay.tracks import Floats, PoseTrack, SampledTrack, Track


class RecordedActions:
    """
    Every recorded action of a bag.

    :param sources: with their forms filled in; a dimension that several of them give is that of
        the first.
    """

    def __init__(
        self, spec: ActionSpec, sources: Sequence[ActionSource], known: ReplayMap
    ) -> None:
        """
        Prepare one track for each source.

        :raises ParameterError: for a dimension that the policy does not have.
        """
        self._spec = spec
        self.period_ns = round(NS / spec.rate_hz)
        tolerance_ns = round(known.tolerance_sec * NS) or self.period_ns // 2
        self._tracks = [
            (source.topic, _track(source, spec, known.align, tolerance_ns)) for source in sources
        ]

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics to feed to :meth:`add`."""
        return tuple(dict.fromkeys(topic for topic, _ in self._tracks))

    def add(self, topic: str, message: Any, log_ns: int) -> None:
        """
        Take a message of one of ``topics``.

        :raises ObservationError: when none of the sources of that topic finds an action in it.
        """
        tracks = [track for known, track in self._tracks if known == topic]
        refused = []
        for track in tracks:
            try:
                track.add(message, log_ns)
            except ObservationError as err:
                refused.append(err)
        if len(refused) == len(tracks):
            raise refused[0]

    def at(self, times_ns: Iterable[int]) -> Floats:
        """Return the recorded actions at ``times_ns``, ``(N, dimensions)``, NaN where unknown."""
        times = np.fromiter(times_ns, np.int64)
        merged = np.full((len(times), len(self._spec.names)), np.nan)
        for _, track in self._tracks:
            values = track.at(times)
            merged = np.where(np.isnan(merged), values, merged)
        return merged


def _track(source: ActionSource, spec: ActionSpec, align: str, tolerance_ns: int) -> Track:
    if source.form == 'pose_difference':
        period_ns = round(NS / spec.rate_hz)
        return PoseTrack(_places(source, spec, MOTION), spec, max(tolerance_ns, period_ns))
    readers: dict[str, Callable[[], Reader]] = {
        'end_effector_action': lambda: EndEffectorReader(),
        'twist': lambda: TwistReader(spec.rate_hz),
        'joint_state': lambda: JointsReader(source.field),
        'joint_trajectory': lambda: TrajectoryReader(),
    }
    reader = readers[source.form]()
    return SampledTrack(_places(source, spec, reader.names), source, reader, spec, align,
                        tolerance_ns)  # fmt: skip


def _places(
    source: ActionSource, spec: ActionSpec, names: Sequence[str] | None
) -> dict[str, tuple[int, ...]]:
    """Return the places of the action by the name within the message."""
    unknown = [each for each in source.dimensions if each not in spec.names]
    if unknown:
        raise ParameterError(
            f"actions of '{source.topic}': the policy has no dimension '{unknown[0]}'; it has "
            f'{", ".join(spec.names)}'
        )
    pairs = dict(source.dimensions) or {
        each: each for each in spec.names if names is None or each in names
    }
    wrong = [each for each in pairs.values() if names is not None and each not in names]
    if wrong or not pairs:
        raise ParameterError(
            f"actions of '{source.topic}': form {source.form} gives {', '.join(names or ())}, "
            f'not {", ".join(wrong) or "any dimension of the policy"}'
        )
    found: dict[str, tuple[int, ...]] = {}
    for dimension, name in pairs.items():
        found[name] = (*found.get(name, ()), spec.names.index(dimension))
    return found
