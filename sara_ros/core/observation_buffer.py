"""Matches the newest sensor values to the driving sensor, without ever queueing old ones."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition
from typing import Final

from sara_ros.core.drops import DropCounter
from sara_ros.core.observation import Array, Observation
from sara_ros.core.spec import ObservationSpec, PolicySpec
from sara_ros.core.timing import TimingRecord

NS: Final = 1_000_000_000
MOST_SAMPLES: Final = 512
"""Most samples remembered of one sensor, however old the spec lets them be."""
POLL_NS: Final = NS // 500
"""Time between two looks at polled sensors while a driver waits for its partners."""
TIME_JUMP_NS: Final = NS
"""A stamp this much older than the newest one means that time itself was set back."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One decoded sensor message: its value, its stamp (ROS time) and when it was received."""

    value: Array
    stamp_ns: int
    received_ros_ns: int
    received_ns: int


class ObservationBuffer:
    """
    Keeps recent samples per need and hands out complete observations.

    The first need of the spec drives: each of its samples is handed out at most once, newest
    first. Every other need contributes its newest sample that is not newer than the driver's,
    except that one up to ``slop_sec`` newer still counts as simultaneous. A driver waits up to
    ``sync_timeout_sec`` for partners of its own instant, and then takes older ones within their
    age limit. Whatever cannot be used is counted in ``drops``.

    :param slop_sec: stamps closer than this are the same instant.
    :param sync_timeout_sec: longest wait for partners of the same instant.
    """

    def __init__(
        self,
        spec: PolicySpec,
        *,
        drops: DropCounter,
        monotonic_ns: Callable[[], int],
        slop_sec: float = 0.005,
        sync_timeout_sec: float = 0.02,
    ) -> None:
        """Start empty."""
        self._spec = spec
        self._drops = drops
        self._now_ns = monotonic_ns
        self._slop_ns = int(slop_sec * NS)
        self._sync_timeout_ns = int(sync_timeout_sec * NS)
        self._samples: dict[str, deque[Sample]] = {
            need.name: deque(maxlen=MOST_SAMPLES) for need in spec.observations
        }
        # As old as a partner of the oldest driver may be; of the driver itself only the newest.
        self._kept_ns = {
            need.name: int((spec.driver.max_age_sec + need.max_age_sec) * NS)
            for need in spec.observations[1:]
        }
        self._pending: Sample | None = None
        self._add_up_to: Callable[[int], None] | None = None
        self._changed = Condition()
        self._closed = False

    def poll_with(self, add_up_to: Callable[[int], None]) -> None:
        """
        Let some sensors be polled, beside those whose samples are added by themselves.

        :param add_up_to: adds what there is up to a stamp (ns); called whenever a driver needs
            partners, from any thread and never twice at once.
        """
        self._add_up_to = add_up_to

    def poll(self, until_ns: int) -> None:
        """Poll ahead of a driver, which then finds its partners in place."""
        with self._changed:
            if self._add_up_to is not None:
                self._add_up_to(until_ns)

    def add(self, name: str, sample: Sample) -> None:
        """
        Store a sample of the need ``name``.

        A stamp that is not newer than the latest one is dropped as ``out_of_order``, unless it
        is so much older that time was set back: then everything remembered is forgotten.
        """
        with self._changed:
            if not self._in_order(self._samples[name], sample):
                return
            self._remember(name, sample)
            if name == self._spec.driver.name:
                if self._pending is not None:
                    self._drops.add('superseded')
                self._pending = sample
            self._changed.notify_all()

    def take(self, instruction: str, *, timeout_sec: float) -> Observation | None:
        """
        Wait for the next complete observation.

        :returns: ``None`` when ``timeout_sec`` passes without one, or after :meth:`close`.
        """
        deadline_ns = self._now_ns() + int(timeout_sec * NS)
        with self._changed:
            while not self._closed:
                observation, retry_ns = self._try_take(instruction)
                if observation is not None:
                    return observation
                until_ns = min(deadline_ns, retry_ns or deadline_ns)
                if self._now_ns() >= deadline_ns:
                    return None
                self._changed.wait(max(until_ns - self._now_ns(), 0) / NS)
        return None

    def clear(self) -> None:
        """Forget everything, for the start of a run."""
        with self._changed:
            self._forget()

    def close(self) -> None:
        """Wake a waiting :meth:`take`, which then returns ``None``."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _forget(self) -> None:
        for samples in self._samples.values():
            samples.clear()
        self._pending = None

    def _remember(self, name: str, sample: Sample) -> None:
        samples = self._samples[name]
        samples.append(sample)
        while sample.stamp_ns - samples[0].stamp_ns > self._kept_ns.get(name, 0):
            samples.popleft()

    def _in_order(self, samples: deque[Sample], sample: Sample) -> bool:
        if not samples or sample.stamp_ns > samples[-1].stamp_ns:
            return True
        if samples[-1].stamp_ns - sample.stamp_ns > TIME_JUMP_NS:
            self._drops.add('time_jump')
            self._forget()
            return True
        self._drops.add('out_of_order')
        return False

    def _try_take(self, instruction: str) -> tuple[Observation | None, int | None]:
        """Return an observation, or when to look again."""
        driver = self._pending
        if driver is None:
            return None, None
        wait_until_ns = driver.received_ns + self._sync_timeout_ns
        self.poll(driver.stamp_ns + self._slop_ns)
        partners = self._partners(driver)
        now_ns = self._now_ns()
        if not self._simultaneous(partners, driver) and now_ns < wait_until_ns:
            return None, wait_until_ns if self._add_up_to is None else now_ns + POLL_NS
        self._pending = None
        missing = [name for name, sample in partners.items() if sample is None]
        if missing:
            self._drops.add(f'missing_{missing[0]}')
            return None, None
        return self._observation(driver, partners, instruction), None

    def _partners(self, driver: Sample) -> dict[str, Sample | None]:
        others = self._spec.observations[1:]
        return {need.name: self._newest_before(need, driver.stamp_ns) for need in others}

    def _newest_before(self, need: ObservationSpec, stamp_ns: int) -> Sample | None:
        samples = self._samples[need.name]
        end = bisect_right(samples, stamp_ns + self._slop_ns, key=lambda sample: sample.stamp_ns)
        if end == 0 or stamp_ns - samples[end - 1].stamp_ns > need.max_age_sec * NS:
            return None
        return samples[end - 1]

    def _simultaneous(self, partners: dict[str, Sample | None], driver: Sample) -> bool:
        return all(
            sample is not None and driver.stamp_ns - sample.stamp_ns <= self._slop_ns
            for sample in partners.values()
        )

    def _observation(
        self, driver: Sample, partners: dict[str, Sample | None], instruction: str
    ) -> Observation:
        values = {self._spec.driver.name: driver.value}
        values.update((name, sample.value) for name, sample in partners.items() if sample)
        timing = TimingRecord.received(
            stamp_ns=driver.stamp_ns,
            received_ros_ns=driver.received_ros_ns,
            received_ns=driver.received_ns,
        )
        return Observation(values, instruction, timing.mark('sync_wait', self._now_ns()))
