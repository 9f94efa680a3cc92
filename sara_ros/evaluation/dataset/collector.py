"""A policy that does nothing but keep what it sees, at a fixed rate and beside what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ActionChunk, ActionSpec, Observation, ParameterError, PolicySpec
from sara_ros.core.action import FloatArray
from sara_ros.decoding.stamps import NS
from sara_ros.evaluation.dataset.grid import FrameGrid, Pick
from sara_ros.evaluation.dataset.plan import GAP_SEC, STATE, UNRECORDED, Plan
from sara_ros.evaluation.dataset.writer import Written
from sara_ros.evaluation.replay.messages import at
from sara_ros.evaluation.replay.recorded_actions import RecordedActions


class FrameSink(Protocol):
    """Where frames go."""

    def add(
        self, instruction: str, state: FloatArray, action: FloatArray,
        images: Mapping[str, NDArray[np.uint8]],
    ) -> None:  # fmt: skip
        """Add a frame to the episode in progress, or begin one with it."""
        ...

    def end(self) -> Written | None:
        """End the episode in progress; None when it was too short to keep, or there is none."""
        ...


@dataclass(slots=True)
class Tally:
    """
    What became of a bag.

    :param observed: complete observations.
    :param unused: observations that were nearest to no instant.
    :param repeated: instants at which the frame before was nearest.
    :param held: frames between actions, in which the robot kept still.
    :param without_action: instants that no recorded action belongs to, and no episode.
    :param gaps_ns: stamp before each gap without pictures, and how long it was.
    """

    observed: int = 0
    unused: int = 0
    repeated: int = 0
    held: int = 0
    without_action: int = 0
    episodes: list[Written] = field(default_factory=list)
    gaps_ns: list[tuple[int, int]] = field(default_factory=list)
    seen_ns: int = 0

    @property
    def frames(self) -> int:
        """Frames of all episodes."""
        return sum(each.frames for each in self.episodes)

    @property
    def rate_hz(self) -> float:
        """Rate of the observations between gaps."""
        pairs = self.observed - 1 - len(self.gaps_ns)
        return pairs * NS / self.seen_ns if self.seen_ns and pairs > 0 else 0.0


class RecordedLabels:
    """The action of each frame: recorded, or none."""

    def __init__(self, recorded: RecordedActions, spec: ActionSpec, plan: Plan) -> None:
        """Look actions up in ``recorded``, which is complete."""
        self._recorded = recorded
        self._absent = [place for place, name in enumerate(spec.names) if name not in plan.given]
        self._constants = [UNRECORDED[spec.names[place]] for place in self._absent]
        self._ahead_ns = [round(row * NS / plan.fps) for row in range(1, _rows(plan.fps) + 1)]

    def at(self, at_ns: int) -> FloatArray | None:
        """Return the action of an instant, shape ``(dimensions,)``; None where none is known."""
        row = self._recorded.at([at_ns])[0]
        row[self._absent] = self._constants
        return None if np.isnan(row).any() else row.astype(np.float32)

    def resumes(self, at_ns: int) -> bool:
        """Tell whether there is an action again before an episode would end."""
        rows = self._recorded.at([at_ns + ahead_ns for ahead_ns in self._ahead_ns])
        rows[:, self._absent] = 0.0
        return bool((~np.isnan(rows).any(axis=1)).any())


class Collector:
    """
    Writes an episode for each run of the serving loop, and for each part between two gaps.

    ``error`` is why it failed, which the loop only tells as a text.
    """

    def __init__(self, plan: Plan, labels: RecordedLabels, sink: FrameSink) -> None:
        """Write into ``sink``."""
        self.tally = Tally()
        self.error: Exception | None = None
        self._plan = plan
        self._labels = labels
        self._sink = sink
        self._grid: FrameGrid[Observation] | None = None
        self._last: FloatArray | None = None
        self._still = np.zeros((1, len(plan.spec.action.names)), np.float32)

    @property
    def spec(self) -> PolicySpec:
        """What frames consist of."""
        return self._plan.spec

    def act(self, observation: Observation) -> ActionChunk:
        """Keep the observation, and ask for nothing."""
        try:
            self._keep(observation)
        except Exception as err:
            self.error = err
            raise
        return ActionChunk(self._still, observation.timing)

    def reset(self) -> None:
        """End the episode, because another run begins."""
        if self._grid is not None:
            for pick in self._grid.close():
                self._take(pick)
        self._grid = None
        self._end()

    def _keep(self, observation: Observation) -> None:
        stamp_ns, tally = observation.timing.stamp_ns, self.tally
        gap_ns = 0 if self._grid is None else stamp_ns - self._grid.last_ns
        if gap_ns > max(GAP_SEC * NS, 2 * NS / self._plan.fps) or gap_ns < 0:
            tally.gaps_ns.append((stamp_ns - gap_ns, gap_ns))
            self.reset()
        else:
            tally.seen_ns += gap_ns
        tally.observed += 1
        tally.unused += 1
        if self._grid is None:
            self._grid = FrameGrid(self._plan.fps, stamp_ns, observation)
            return
        for pick in self._grid.add(stamp_ns, observation):
            self._take(pick)

    def _take(self, pick: Pick[Observation]) -> None:
        tally, action = self.tally, self._labels.at(pick.at_ns)
        tally.unused -= not pick.repeated
        held = action is None and self._last is not None and self._labels.resumes(pick.at_ns)
        if held and self._last is not None:
            action = self.spec.action.hold(self._last)
        if action is None:
            tally.without_action += 1
            self._end()
            return
        self._add(pick, action)
        tally.repeated += pick.repeated
        tally.held += held

    def _add(self, pick: Pick[Observation], action: FloatArray) -> None:
        seen, self._last = pick.item, action
        images = {name: _image(seen[name]) for name in self._plan.cameras}
        try:
            self._sink.add(seen.instruction, np.asarray(seen[STATE], np.float32), action, images)
        except ParameterError as err:
            raise ParameterError(f'stamp {at(seen.timing.stamp_ns)}: {err}') from err

    def _end(self) -> None:
        self._last = None
        written = self._sink.end()
        if written is not None:
            self.tally.episodes.append(written)


def _rows(fps: int) -> int:
    return max(1, round(GAP_SEC * fps))


def _image(values: Any) -> NDArray[np.uint8]:
    return np.asarray(values, np.uint8)
