"""What the page of a replay shows, small enough to be inside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sara_ros.decoding.stamps import NS
from sara_ros.evaluation.replay.frames import Frame
from sara_ros.evaluation.replay.replay import Replayed
from sara_ros.evaluation.replay.scores import reference_times_ns

MOST_POINTS: Final = 1500


@dataclass(frozen=True, slots=True)
class Series:
    """Values over time: ``times_sec`` since the start, ``values`` by dimension, None: unknown."""

    name: str
    times_sec: list[float]
    values: list[list[float | None]]


@dataclass(frozen=True, slots=True)
class PageData:
    """One recording with the commands of one policy."""

    bag: str
    dimensions: list[str]
    units: list[str]
    policy: Series
    recorded: Series
    frames: list[Frame]
    frame_times_sec: list[float]


def page_data(replayed: Replayed, name: str) -> PageData:
    """Return the commands that the policy chose beside the recorded actions, thinned out."""
    trace, start_ns = replayed.trace, replayed.span_ns[0]
    spec = trace.spec.action
    times_ns = reference_times_ns(replayed)
    every = max(1, -(-len(times_ns) // MOST_POINTS))
    thin_ns = times_ns[::every]
    return PageData(
        bag=replayed.source.name,
        dimensions=list(spec.names),
        units=[dimension.unit for dimension in spec.dimensions],
        policy=_series(name, thin_ns, trace.values[trace.chosen][::every], start_ns),
        recorded=_series('recorded', thin_ns, replayed.recorded.at(thin_ns), start_ns),
        frames=list(trace.frames.frames),
        frame_times_sec=_seconds(
            np.array([frame.stamp_ns for frame in trace.frames.frames], np.int64), start_ns
        ),
    )


def _series(name: str, times_ns: NDArray[np.int64], values: NDArray[Any], start_ns: int) -> Series:
    columns = [[_number(each) for each in column] for column in values.T]
    return Series(name, _seconds(times_ns, start_ns), columns)


def _seconds(times_ns: NDArray[np.int64], start_ns: int) -> list[float]:
    return [round(int(each - start_ns) / NS, 4) for each in times_ns]


def _number(value: float) -> float | None:
    return float(f'{value:.5g}') if np.isfinite(value) else None
