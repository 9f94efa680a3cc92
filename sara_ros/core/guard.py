"""The last check between a policy and the robot."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
import time
from typing import Final

import numpy as np

from sara_ros.core.action import FloatArray
from sara_ros.core.drops import DropCounter
from sara_ros.core.errors import ActionError
from sara_ros.core.limits import MOTION, TRANSLATION, SafetyLimits, WorkspaceBox
from sara_ros.core.observation import Observation
from sara_ros.core.spec import ActionSpec, PolicySpec

NS: Final = 1_000_000_000
CLIP_REASONS: Final = ('range', 'step_change', 'workspace', 'no_pose', 'not_finite', 'shape')
"""Why a value was limited, or (the last two) an action refused."""


class SafetyGuard:
    """
    Refuses actions that are not numbers and limits the others to what is allowed.

    Every limited value is counted by reason. Holds do not pass here: keeping still is always
    allowed. ``clipped_values`` counts the values that were changed.
    """

    def __init__(
        self,
        spec: ActionSpec,
        limits: SafetyLimits | None = None,
        *,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Guard actions of ``spec`` with its own ranges, or with tighter limits."""
        self._spec = spec
        self._limits = limits or SafetyLimits.of(spec)
        self._now_ns = monotonic_ns
        self._relative = spec.kind == 'end_effector_delta'
        self._fence = _Fence(self._limits.workspace) if self._limits.workspace else None
        self._clips = DropCounter()
        self.clipped_values = 0

    def counts(self) -> dict[str, int]:
        """Return the limited values and the refused actions so far, by reason."""
        return self._clips.counts()

    def saw_pose(self, position_m: FloatArray, at_ns: int) -> None:
        """Take where the end effector was at ``at_ns`` of the monotonic clock, shape ``(3,)``."""
        if self._fence is not None:
            self._fence.saw(position_m, at_ns)

    @property
    def pose_ns(self) -> int | None:
        """When the newest pose was taken, 0 for never; ``None`` where none is needed."""
        return None if self._fence is None else self._fence.pose_ns

    @property
    def blind(self) -> bool:
        """Whether a workspace is set and the newest pose is too old to judge it by."""
        return self._fence is not None and self._fence.blind(self._now_ns())

    def check(self, action: FloatArray, previous: FloatArray | None = None) -> FloatArray:
        """
        Return ``action`` within the limits, shape ``(dimensions,)``.

        :param previous: the command before this one; ``None`` at the start of a run, when an
            end effector is at rest and joints are anywhere.
        :raises ActionError: for a wrong number of dimensions, NaN or infinity.
        """
        self._refuse(action)
        limits = self._limits
        safe = self._clip('range', action, limits.low, limits.high)
        if previous is None and self._relative:
            previous = np.zeros_like(safe)
        if previous is not None:
            safe = self._clip('step_change', safe, *self._reachable(previous))
        if self._fence is not None:
            safe = self._within(self._fence, safe)
        self.clipped_values += int(np.count_nonzero(safe != action))
        return safe

    def _refuse(self, action: FloatArray) -> None:
        if action.shape != self._limits.low.shape:
            self._clips.add('shape')
            raise ActionError(
                f'action has shape {action.shape}; the spec has {len(self._limits.low)} dimensions'
            )
        bad = ~np.isfinite(action)
        if bad.any():
            self._clips.add('not_finite')
            name = self._spec.names[int(np.argmax(bad))]
            raise ActionError(f"action dimension '{name}' is {action[bad][0]}")

    def _reachable(self, previous: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what may follow ``previous``; a displacement may always shrink to nothing."""
        low = np.subtract(previous, self._limits.max_change, dtype=np.float32)
        high = np.add(previous, self._limits.max_change, dtype=np.float32)
        if self._relative:
            np.minimum(low, 0, out=low)
            np.maximum(high, 0, out=high)
        return low, high

    def _within(self, fence: _Fence, action: FloatArray) -> FloatArray:
        now_ns = self._now_ns()
        safe: FloatArray = action.copy()
        if fence.blind(now_ns):
            safe[MOTION] = 0
            self._count('no_pose', safe, action)
            return safe
        safe[TRANSLATION] = fence.limit(action[TRANSLATION])
        self._count('workspace', safe, action)
        fence.sent(safe[TRANSLATION], now_ns)
        return safe

    def _clip(
        self, reason: str, action: FloatArray, low: FloatArray, high: FloatArray
    ) -> FloatArray:
        safe: FloatArray = np.clip(action, low, high)
        self._count(reason, safe, action)
        return safe

    def _count(self, reason: str, safe: FloatArray, action: FloatArray) -> None:
        changed = int(np.count_nonzero(safe != action))
        if changed:
            self._clips.add(reason, changed)


def reported_joints(spec: PolicySpec, observation: Observation) -> FloatArray | None:
    """Return where the robot's joints are, in the order of the action; ``None`` if unknown."""
    if spec.action.kind != 'joint_positions':
        return None
    for need in spec.observations:
        if need.kind == 'joint_positions' and set(spec.action.names) <= set(need.names):
            order = [need.names.index(name) for name in spec.action.names]
            joints: FloatArray = observation[need.name][order]
            return joints
    return None


class _Fence:
    """
    Keeps the end effector in a box by the pose it reports.

    A reported pose lags behind what was commanded, by an unknown part of the lag. So each
    displacement that may be on its way counts in full where it leads outwards and not at all
    where it leads inwards, whatever the others do.
    """

    def __init__(self, box: WorkspaceBox) -> None:
        # Poses, displacements and their sums are rounded to float32.
        margin = 4 * np.spacing(np.float32(np.abs([box.low_m, box.high_m]).max()))
        self._low_m, self._high_m = box.low_m + margin, box.high_m - margin
        self._lag_ns = int(box.lag_sec * NS)
        self._timeout_ns = int(box.pose_timeout_sec * NS)
        self._pose = (np.zeros(3, np.float32), 0)
        self._sent: deque[tuple[int, FloatArray]] = deque(maxlen=256)

    @property
    def pose_ns(self) -> int:
        return self._pose[1]

    def saw(self, position_m: FloatArray, at_ns: int) -> None:
        if at_ns >= self.pose_ns:
            self._pose = (position_m, at_ns)

    def blind(self, now_ns: int) -> bool:
        return not self.pose_ns or now_ns - self.pose_ns > self._timeout_ns

    def sent(self, displacement_m: FloatArray, now_ns: int) -> None:
        self._sent.append((now_ns, displacement_m.copy()))

    def limit(self, displacement_m: FloatArray) -> FloatArray:
        """Return the part of a displacement that stays in the box; it never changes its sign."""
        position_m, pose_ns = self._pose
        sent = [each for at_ns, each in self._sent if at_ns > pose_ns - self._lag_ns]
        under_way_m = np.reshape(sent, (-1, 3))
        above = self._high_m - (position_m + np.maximum(under_way_m, 0).sum(axis=0))
        below = self._low_m - (position_m + np.minimum(under_way_m, 0).sum(axis=0))
        kept: FloatArray = np.clip(displacement_m, np.minimum(below, 0), np.maximum(above, 0))
        return kept
