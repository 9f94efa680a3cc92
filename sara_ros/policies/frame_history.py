"""The last frames a policy saw, as tokens, at the times its network was trained with."""

from __future__ import annotations

from typing import Final

from torch import Tensor

_NS: Final = 1_000_000_000


class FrameHistory:
    """
    Keeps the encoded frames of the recent past and picks ``count`` of them.

    The frames picked are those nearest to now, ``spacing_sec`` ago, twice that, and so on. Before
    there are as many, the first one stands for those that were never seen.
    """

    def __init__(self, count: int, spacing_sec: float, period_sec: float) -> None:
        """
        Begin empty.

        :param period_sec: time that passes between observations whose stamps do not advance.
        """
        self._offsets = [round(back * spacing_sec * _NS) for back in range(count - 1, -1, -1)]
        self._period_ns = round(period_sec * _NS)
        self._frames: list[tuple[int, Tensor]] = []
        self._stamp_ns = 0

    def add(self, stamp_ns: int, frame: Tensor) -> list[Tensor]:
        """
        Add the present frame and return ``count`` of them, the oldest first.

        A stamp before the last one means that time began anew: what was before is forgotten.
        """
        if self._frames and stamp_ns < self._stamp_ns:
            self.clear()
        now_ns = stamp_ns
        if self._frames:
            last_ns = self._frames[-1][0]
            advanced = stamp_ns > self._stamp_ns
            now_ns = last_ns + (stamp_ns - self._stamp_ns if advanced else self._period_ns)
        self._stamp_ns = stamp_ns
        self._frames.append((now_ns, frame))
        self._forget(now_ns - self._offsets[0])
        return [self._nearest(now_ns - offset) for offset in self._offsets]

    def clear(self) -> None:
        """Forget all frames."""
        self._frames.clear()

    def _forget(self, oldest_ns: int) -> None:
        """Drop frames before the one that is nearest to the oldest time of interest."""
        nearest = min(self._frames, key=lambda item: abs(item[0] - oldest_ns))
        while self._frames[0][0] < nearest[0]:
            self._frames.pop(0)

    def _nearest(self, wanted_ns: int) -> Tensor:
        return min(self._frames, key=lambda item: abs(item[0] - wanted_ns))[1]


__all__ = ['FrameHistory']
