"""Some dimensions of the recorded action over time."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ActionSpec, ObservationError
from sara_ros.decoding.stamps import NS, to_ns
from sara_ros.decoding.states import decode_pose
from sara_ros.evaluation.replay.action_readers import MOTION, Reader
from sara_ros.evaluation.replay.mapping import ActionSource
from sara_ros.evaluation.replay.messages import plausible
from sara_ros.evaluation.replay.rotations import rotation_between, unit_between

Floats = NDArray[np.float64]
Times = NDArray[np.int64]


class Track(Protocol):
    """Some dimensions of the recorded action over time."""

    def add(self, message: Any, log_ns: int) -> None:
        """
        Take a message.

        :raises ObservationError: when it holds no action.
        """
        ...

    def at(self, times_ns: Times) -> Floats:
        """Return the actions at ``times_ns``, shape ``(N, dimensions)``, NaN where unknown."""
        ...


class _Series:
    """
    Rows by their instants, put in order once for many questions.

    :param distinct: of rows of one instant, keep the first.
    """

    def __init__(self, *, distinct: bool = False) -> None:
        self._distinct = distinct
        self._times_ns: list[int] = []
        self._rows: list[NDArray[np.float32]] = []
        self._ordered: tuple[Times, Floats] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, at_ns: int, row: NDArray[np.float32]) -> None:
        self._times_ns.append(at_ns)
        self._rows.append(row)
        self._ordered = None

    def ordered(self) -> tuple[Times, Floats]:
        """Return instants and rows; of one instant in the order in which they came."""
        if self._ordered is None:
            times = np.asarray(self._times_ns, np.int64)
            order = np.argsort(times, kind='stable')
            if self._distinct:
                order = np.unique(times, return_index=True)[1]
            self._ordered = times[order], np.stack(self._rows).astype(np.float64)[order]
        return self._ordered


class SampledTrack:
    """Actions that are messages; each holds for its own instant."""

    def __init__(
        self, places: dict[str, tuple[int, ...]], source: ActionSource, reader: Reader,
        spec: ActionSpec, align: str, tolerance_ns: int,
    ) -> None:  # fmt: skip
        """Read ``places`` of every message."""
        self._places = places
        self._source = source
        self._reader = reader
        self._size = len(spec.names)
        self._align = align
        self._tolerance_ns = tolerance_ns
        self._series = _Series()

    @np.errstate(over='ignore')  # what is too large becomes infinity, and is refused
    def add(self, message: Any, log_ns: int) -> None:
        """Take a message; see :class:`Track`."""
        names, values = self._reader.read(message)
        by_name = dict(zip(names, values, strict=True))
        missing = [name for name in self._places if name not in by_name]
        if missing:
            raise ObservationError(
                'missing_joint',
                f'action lacks {", ".join(missing)}; it holds {", ".join(names) or "no names"}',
            )
        instant_ns = plausible(self._reader.stamp_ns(message) or log_ns)
        row = np.full(self._size, np.nan, np.float32)
        for name, places in self._places.items():
            row[list(places)] = by_name[name] * self._source.scale + self._source.offset
        if not np.isfinite(row[[place for each in self._places.values() for place in each]]).all():
            raise ObservationError('not_finite', 'action contains NaN or infinity')
        self._series.add(instant_ns, row)

    def at(self, times_ns: Times) -> Floats:
        """Return the actions at ``times_ns``; see :class:`Track`."""
        if not len(self._series):
            return np.full((len(times_ns), self._size), np.nan)
        known, rows = self._series.ordered()
        after = np.searchsorted(known, times_ns, side='left').clip(max=len(known) - 1)
        before = (np.searchsorted(known, times_ns, side='right') - 1).clip(min=0)
        chosen = {'next': after, 'previous': before}.get(self._align)
        if chosen is None:
            nearer = np.abs(known[after] - times_ns) < np.abs(times_ns - known[before])
            chosen = np.where(nearer, after, before)
        distance = known[chosen] - times_ns
        wrong_side = {'next': distance < 0, 'previous': distance > 0}.get(self._align, False)
        values: Floats = rows[chosen]
        values[(np.abs(distance) > self._tolerance_ns) | wrong_side] = np.nan
        return values


class PoseTrack:
    """
    Displacements between the poses at an instant and one command period later.

    Poses are interpolated; rotations are in the frame that the poses are in.
    """

    def __init__(
        self, places: dict[str, tuple[int, ...]], spec: ActionSpec, tolerance_ns: int
    ) -> None:
        """Fill ``places`` of the action."""
        self._places = places
        self._size = len(spec.names)
        self._period_ns = round(NS / spec.rate_hz)
        self._tolerance_ns = tolerance_ns
        self._series = _Series(distinct=True)

    def add(self, message: Any, log_ns: int) -> None:
        """Take a message; see :class:`Track`."""
        pose = decode_pose(message)
        self._series.add(plausible(to_ns(message.header.stamp) or log_ns), pose)

    def at(self, times_ns: Times) -> Floats:
        """Return the displacements at ``times_ns``; see :class:`Track`."""
        values = np.full((len(times_ns), self._size), np.nan)
        if len(self._series) < 2:
            return values
        start, end = self._at(times_ns), self._at(times_ns + self._period_ns)
        motion = np.hstack([end[:, :3] - start[:, :3], rotation_between(start[:, 3:], end[:, 3:])])
        for name, places in self._places.items():
            values[:, list(places)] = motion[:, [MOTION.index(name)]]
        return values

    def _at(self, times_ns: Times) -> Floats:
        known, poses = self._series.ordered()
        after = np.searchsorted(known, times_ns, side='left').clip(1, max(len(known) - 1, 1))
        after = after.clip(max=len(known) - 1)
        before = (after - 1).clip(min=0)
        gap = np.maximum(known[after] - known[before], 1)
        share = ((times_ns - known[before]) / gap).clip(0, 1)[:, None]
        mixed: Floats = np.hstack([
            poses[before, :3] + share * (poses[after, :3] - poses[before, :3]),
            unit_between(poses[before, 3:], poses[after, 3:], share),
        ])  # fmt: skip
        outside_ns = np.maximum(known[0] - times_ns, times_ns - known[-1])
        # Between poses far apart nobody knows where the arm was.
        far_ns = np.minimum(np.abs(times_ns - known[before]), np.abs(known[after] - times_ns))
        mixed[(outside_ns > self._tolerance_ns) | (far_ns > self._tolerance_ns)] = np.nan
        return mixed
