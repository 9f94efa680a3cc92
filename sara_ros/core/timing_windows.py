"""Latency of the commands of a window, apart for each model and attention backend."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sara_ros.core.statistics import CommandRate, Percentiles, Window
from sara_ros.core.timing import TOTAL

MOST_MODELS: Final = 8
"""Models remembered; the one that has not served for longest is forgotten first."""

AGE: Final = 'observation_age'
"""Name of the series of observation ages."""


@dataclass(frozen=True, slots=True)
class CommandTiming:
    """
    One published command and where its time went.

    :ivar stamp_sec: ROS time of publication.
    :ivar stages_ms: duration of each stage; zeros for a hold.
    :ivar observation_age_ms: stamp of the observation to the command; None for a hold.
    :ivar later_step: not the first command of its chunk, and older by design.
    """

    model_id: str
    attention_backend: str
    sequence: int
    stamp_sec: float
    stages_ms: Mapping[str, float]
    total_ms: float
    observation_age_ms: float | None
    warm_up: bool = False
    hold: bool = False
    later_step: bool = False


class ModelWindow:
    """The latest commands of one model."""

    def __init__(self, model_id: str, attention_backend: str, size: int) -> None:
        """Start empty."""
        self.model_id = model_id
        self.attention_backend = attention_backend
        self.commands = 0
        self.warm_up_excluded = 0
        self._stages = Window(size)
        self._ages = Window(size)
        self._percentiles: dict[str, Percentiles] | None = None

    def add(self, command: CommandTiming) -> None:
        """Take a command into account; warm-up is counted only, and a hold has no latency."""
        if command.warm_up:
            self.warm_up_excluded += 1
            return
        if command.hold:
            return
        if command.observation_age_ms is not None:
            self._ages.add(AGE, command.observation_age_ms)
        if command.later_step:
            return
        self.commands += 1
        self._percentiles = None
        for stage, duration_ms in command.stages_ms.items():
            self._stages.add(stage, duration_ms)
        self._stages.add(TOTAL, command.total_ms)

    def stages(self) -> dict[str, Percentiles]:
        """Return the percentiles of every stage and of their sum, ms; empty without commands."""
        # A model that no longer serves is summed up with every summary; its figures stay.
        if self._percentiles is None:
            self._percentiles = self._stages.percentiles()
        return self._percentiles

    def observation_age(self) -> Percentiles | None:
        """Return the percentiles of the observation age, ms; None without commands."""
        return self._ages.percentiles().get(AGE)


class TimingWindows:
    """
    The latest ``size`` commands of each model, and the command rate over all of them.

    The rate goes on when another model takes over, so that a swap which costs commands shows.
    """

    def __init__(self, size: int) -> None:
        """Start empty."""
        self._size = size
        self._windows: OrderedDict[tuple[str, str], ModelWindow] = OrderedDict()
        self.rate = CommandRate(size)

    def add(self, command: CommandTiming) -> None:
        """Take a command into account."""
        key = self._key(command)
        if key not in self._windows:
            self._windows[key] = ModelWindow(*key, self._size)
            if len(self._windows) > MOST_MODELS:
                self._windows.popitem(last=False)
        self._windows.move_to_end(key)
        self._windows[key].add(command)
        if command.warm_up:
            self.rate.pause()
        elif not command.hold:  # the hold that ends a run goes out off the beat
            self.rate.add(command.sequence, command.stamp_sec)

    def _key(self, command: CommandTiming) -> tuple[str, str]:
        """Right after a swap a command of the model before it comes without its backend."""
        if not command.attention_backend:
            for key in reversed(self._windows):
                if key[0] == command.model_id:
                    return key
        return (command.model_id, command.attention_backend)

    @property
    def models(self) -> list[ModelWindow]:
        """Every model that served, the one that did so last at the end."""
        return list(self._windows.values())

    def of(self, model_id: str, attention_backend: str) -> ModelWindow:
        """Return a model's window, an empty one if it never served; the newest for no model."""
        if not model_id and self._windows:
            return self.models[-1]
        key = (model_id, attention_backend)
        return self._windows.get(key) or ModelWindow(*key, self._size)
