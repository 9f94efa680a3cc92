"""Which recorded observation a chunk of the live graph was chosen for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from math import prod
import time
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import Observation, ObservationError, ObservationSpec, Policy, TimingRecord
from sara_ros.decoding.observations import decode
from sara_ros.decoding.stamps import NS, to_ns
from sara_ros.decoding.transforms import StaticTransforms
from sara_ros.evaluation.replay.bag_time import SYNC_SLOP_SEC
from sara_ros.evaluation.replay.live_comparison import Chunks, Stamps, same
from sara_ros.evaluation.replay.messages import Source

MOST_EXAMINED: Final = 50
MOST_TRIED: Final = 200
"""Observations of one stamp that are tried, the newest sensor values first."""
MOST_SORTED: Final = 20_000
UNDECIDED: Final[Stamps] = {}
PASSED_NS: Final = NS
"""Of a newer driver: nothing older than a chunk's observation is read after that."""


class Examiner:
    """
    Shows a policy what the live one can have seen, until it answers as the live one did.

    :param topics: topic by the name of the observation.
    """

    def __init__(
        self,
        policy: Policy,
        source: Source,
        topics: Mapping[str, str],
        instruction: str,
        static_transforms: Sequence[str] = (),
    ) -> None:
        """Read nothing yet."""
        self._policy = policy
        self._spec = policy.spec
        self._source = source
        self._topics = topics
        self._instruction = instruction
        self._transforms = StaticTransforms(static_transforms)
        self._samples: dict[str, deque[tuple[int, Any]]] = {}

    def examine(
        self, live: Chunks, seen: Mapping[int, Stamps], unequal: Sequence[int]
    ) -> dict[int, Stamps | None]:
        """
        Return what the live policy saw at each of ``unequal``.

        It is None where nothing that the recording holds explains the chunk, and ``UNDECIDED``
        where not everything was tried. Of very many stamps the first ``MOST_EXAMINED`` are there.

        :param live: chunks of the live policy by the stamp of the driving observation.
        :param seen: what the replay saw at these stamps.
        """
        found: dict[int, Stamps | None] = {}
        wanted = [*unequal][:MOST_EXAMINED]
        remembers = self._spec.history > 1
        past: deque[Observation] = deque(maxlen=self._spec.history - 1)
        waiting = deque(sorted(live) if remembers else wanted)
        self._samples = {need.name: deque() for need in self._spec.observations}
        for newest_ns in self._read():
            while waiting and len(found) < len(wanted) and newest_ns > waiting[0] + PASSED_NS:
                stamp_ns = waiting.popleft()
                known = None if stamp_ns in wanted else seen.get(stamp_ns)
                stamps, observation = self._seen_at(stamp_ns, live[stamp_ns], known, past)
                if stamp_ns in wanted:
                    found[stamp_ns] = stamps
                if observation is not None:
                    past.append(observation)
            self._forget(waiting[0] if waiting else newest_ns)
        return found

    def _read(self) -> Iterator[int]:
        """Keep the samples of every message; yield the stamp of the newest driver so far."""
        needs: dict[str, list[ObservationSpec]] = {}
        for need in self._spec.observations:
            needs.setdefault(self._topics[need.name], []).append(need)
        newest_ns = 0
        for message in self._source.messages(needs):
            for need in needs[message.topic]:
                try:
                    content = message.read()
                    header = getattr(content, 'header', None)
                    stamp_ns = message.log_ns if header is None else to_ns(header.stamp)
                    value = decode(need, content, self._transforms)
                except Exception:  # the live policy dropped it as well
                    continue
                self._samples[need.name].append((stamp_ns, value))
                if need is self._spec.driver:
                    newest_ns = max(newest_ns, stamp_ns)
            yield newest_ns
        yield newest_ns + 2**62

    def _forget(self, before_ns: int) -> None:
        for need in self._spec.observations:
            samples = self._samples[need.name]
            while samples and samples[0][0] < before_ns - need.max_age_sec * NS:
                samples.popleft()

    def _seen_at(
        self, stamp_ns: int, chunk: NDArray[np.float32], known: Stamps | None,
        past: Sequence[Observation],
    ) -> tuple[Stamps | None, Observation | None]:  # fmt: skip
        """Return what was seen with the driver of ``stamp_ns``; ``known`` needs no trial."""
        offers = self._offers(stamp_ns)
        # A run may have begun in between, and then nothing is remembered.
        pasts = (past, ()) if past else ((),)
        for stamps, observation in islice(self._candidates(stamp_ns, offers), MOST_TRIED):
            if known is not None:
                if stamps == known:
                    return stamps, observation
            elif any(same(self._answer(observation, each), chunk) for each in pasts):
                return stamps, observation
        return (None if prod(map(len, offers)) <= MOST_TRIED else UNDECIDED), None

    def _offers(self, stamp_ns: int) -> list[list[tuple[int, Any]]]:
        """Return what the recording holds for a driver, by need, the newest values first."""
        offers = []
        for need in self._spec.observations:
            driver = need is self._spec.driver
            oldest_ns = stamp_ns - (0 if driver else int(need.max_age_sec * NS))
            latest_ns = stamp_ns + (0 if driver else int(SYNC_SLOP_SEC * NS))
            fitting = [each for each in self._samples[need.name]
                       if oldest_ns <= each[0] <= latest_ns]  # fmt: skip
            offers.append(sorted(fitting, key=lambda each: -each[0]))
        return offers

    def _candidates(
        self, stamp_ns: int, offers: Sequence[Sequence[tuple[int, Any]]]
    ) -> Iterator[tuple[dict[str, int], Observation]]:
        """Yield observations of the newest values first, so that few trials go far."""
        most = int(MOST_SORTED ** (1 / len(offers)))
        places = product(*(range(min(len(each), most)) for each in offers))
        names = [need.name for need in self._spec.observations]
        timing = TimingRecord(stamp_ns=stamp_ns, mark_ns=time.monotonic_ns())
        for rank in sorted(places, key=sum):
            chosen = [offer[place] for offer, place in zip(offers, rank, strict=True)]
            values = {name: value for name, (_, value) in zip(names, chosen, strict=True)}
            stamps = {name: stamp for name, (stamp, _) in zip(names, chosen, strict=True)}
            yield stamps, Observation(values, self._instruction, timing)

    def _answer(
        self, observation: Observation, past: Sequence[Observation]
    ) -> NDArray[np.float32]:
        try:
            self._policy.reset()
            for each in past:
                self._policy.act(each)
            return np.array(self._policy.act(observation).values, np.float32)
        except ObservationError:
            return np.zeros((0, 0), np.float32)
