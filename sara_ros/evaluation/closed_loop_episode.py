"""One closed-loop episode as an object, so that many can be played in step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import Observation, Policy, PolicySpec
from sara_ros.policies.seats import Seats
from sara_ros.sim.noisy_depth import Cameras, cameras_of
from sara_ros.sim.pair_expert import task_action
from sara_ros.sim.policy_sensors import Sensors
from sara_ros.sim.suites import Suite
from sara_ros.sim.world import TabletopWorld

Actions = NDArray[np.float32]

_HOLD: Final = np.array([0, 0, 0, 0, 0, 0, 0, 1], np.float32)


class Job(NamedTuple):
    """One episode to play: a slot of a suite, and the seed of everything that is drawn."""

    slot: int
    seed: int


class Stage(NamedTuple):
    """A world and what draws pictures of it."""

    world: TabletopWorld
    rig: Cameras


@dataclass(frozen=True, slots=True)
class Rules:
    """
    How episodes go.

    :param delay: steps between an observation and the action that answers it, unless the suite
        draws another.
    :param max_steps: steps after which an episode ends, if the policy does not end it.
    """

    delay: int = 1
    max_steps: int = 100


RULES: Final = Rules()


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How one episode ended.

    :param task: the task's name in reports.
    """

    task: str
    verb: str
    slot: int
    seed: int
    success: bool
    terminated: bool
    steps: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


class Episode:
    """An episode under way: it shows what there is to see and takes actions until it is over."""

    def __init__(
        self, suite: Suite, job: Job, stage: Stage, spec: PolicySpec, rules: Rules
    ) -> None:
        """Begin; the world is reset and dressed as the suite says."""
        self._job, self._rules, self.world = job, rules, stage.world
        self.task = suite.task(job.slot, job.seed)
        state = self.world.reset(job.seed, self.task)
        conditions = suite.conditions(job.seed, self.task, state)
        self.world.dress(conditions)
        self._instruction = conditions.wording or self.task.instruction
        self._sensors = Sensors(self.world, cameras_of(conditions, stage.rig), spec)
        drawn = conditions.delay_steps
        delay = rules.delay if drawn is None else drawn
        # Of a chunk, the queue skips the steps that went out while it was computed.
        self._step_of_chunk = max(0, delay - 1)
        self._pending = [_HOLD] * delay
        self._steps = 0

    def observe(self) -> Observation:
        """Return the present observation."""
        return self._sensors.observe(self._instruction)

    def take(self, chunk: Actions) -> Outcome | None:
        """
        Take the answer ``(horizon, 8)`` to the present observation and let one step pass.

        Returns how the episode ended, if it did: when an action that terminates comes to be
        carried out, or when the steps are used up. Success is judged then.
        """
        self._pending.append(chunk[min(self._step_of_chunk, len(chunk) - 1)])
        now = self._pending.pop(0)
        state = self.world.step(now)
        self._steps += 1
        terminated = bool(now[0] > 0.5)
        if not terminated and self._steps < self._rules.max_steps:
            return None
        return Outcome(
            self.task.name, self.task.verb, *self._job, self.task.success(state), terminated,
            self._steps,
        )  # fmt: skip


class Player(Protocol):
    """Whatever chooses actions for the episodes at several seats."""

    @property
    def spec(self) -> PolicySpec:
        """What has to be observed."""
        ...

    def start(self, seat: int) -> None:
        """Forget what was before at ``seat``."""
        ...

    def act(self, episodes: Mapping[int, Episode]) -> dict[int, Actions]:
        """Return the chunk ``(horizon, 8)`` for the episode at each seat."""
        ...


class PolicyPlayer:
    """A policy, which sees observations and nothing else."""

    def __init__(self, policy: Policy, seats: int) -> None:
        """Seat ``policy`` at ``seats`` episodes."""
        self.spec = policy.spec
        self._seats = Seats(policy, seats)

    def start(self, seat: int) -> None:
        """See :class:`Player`."""
        self._seats.reset(seat)

    def act(self, episodes: Mapping[int, Episode]) -> dict[int, Actions]:
        """See :class:`Player`."""
        seen = {seat: episode.observe() for seat, episode in episodes.items()}
        return {seat: chunk.values for seat, chunk in self._seats.act(seen).items()}


class ExpertPlayer:
    """The scripted expert, which knows task and state whatever the instruction says."""

    def __init__(self, spec: PolicySpec) -> None:
        """Play under the expert's ``spec``."""
        self.spec = spec

    def start(self, seat: int) -> None:
        """See :class:`Player`."""

    def act(self, episodes: Mapping[int, Episode]) -> dict[int, Actions]:
        """See :class:`Player`."""
        return {
            seat: task_action(episode.world.state, episode.task)[None]
            for seat, episode in episodes.items()
        }
