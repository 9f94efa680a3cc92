"""What a shadow run has shown so far, and whether the shadow may take over."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np

from sara_ros.core.action import FloatArray
from sara_ros.core.statistics import Percentiles


class ShadowVerdict(str, Enum):
    """What the rule says of a shadow; the values are those of the ShadowReport message."""

    OPEN = ''
    PROMOTE = 'promote'
    DISCARD = 'discard'


@dataclass(frozen=True, slots=True)
class ShadowRules:
    """
    When a shadow may take over.

    :param window_chunks: observations both must have answered.
    :param max_difference: limit of the p95 of the largest difference of an action, as a share of
        its dimension's range.
    :param max_latency_sec: limit of the p95 of the shadow's time to answer.
    """

    window_chunks: int = 200
    max_difference: float = 0.1
    max_latency_sec: float = 0.05


@dataclass(frozen=True, slots=True)
class ShadowSample:
    """
    One observation that both answered.

    :param difference: largest absolute difference of each dimension, shape ``(dimensions,)``.
    :param difference_share: largest of them as a share of its dimension's range.
    :param error: why the shadow's answer cannot be used; empty if it can.
    """

    difference: FloatArray
    difference_share: float
    active_ms: float
    candidate_ms: float
    error: str = ''


class ShadowRecord:
    """The newest samples of one shadow run."""

    def __init__(self, rules: ShadowRules) -> None:
        """Start without samples."""
        self.rules = rules
        self.samples: deque[ShadowSample] = deque(maxlen=rules.window_chunks)
        self.chunks = 0
        self.errors = 0
        self._first_error = ''

    def add(self, sample: ShadowSample) -> None:
        """Count a sample."""
        self.chunks += 1
        if sample.error:
            self.errors += 1
            self._first_error = self._first_error or sample.error
        else:
            self.samples.append(sample)

    def differences(self) -> tuple[FloatArray, FloatArray]:
        """Return mean and p95 of the absolute difference, each of shape ``(dimensions,)``."""
        if not self.samples:
            nothing = np.zeros(0, np.float32)
            return nothing, nothing
        each = np.stack([sample.difference for sample in self.samples])
        return each.mean(axis=0), np.percentile(each, 95, axis=0)

    def difference_share(self) -> float:
        """Return the p95 of the largest difference, as a share of its range; 0 at first."""
        shares = [sample.difference_share for sample in self.samples]
        return float(np.percentile(shares, 95)) if shares else 0.0

    def latency_ms(self, name: str) -> Percentiles | None:
        """Return the times of ``active`` or ``candidate``; ``None`` without a sample."""
        values = [getattr(sample, f'{name}_ms') for sample in self.samples]
        return Percentiles.of(values) if values else None

    def verdict(self) -> tuple[ShadowVerdict, str]:
        """Return what the rule says, and what that rests on."""
        rules = self.rules
        if self.errors:
            return ShadowVerdict.DISCARD, f'an answer cannot be used: {self._first_error}'
        latency = self.latency_ms('candidate')
        if latency is None or len(self.samples) < rules.window_chunks:
            return ShadowVerdict.OPEN, f'{len(self.samples)} of {rules.window_chunks} chunks'
        share, limit_ms = self.difference_share(), rules.max_latency_sec * 1e3
        text = (
            f'p95 difference {100 * share:.2g} % of the range (limit '
            f'{100 * rules.max_difference:g} %), p95 latency {latency.p95:.1f} ms (limit '
            f'{limit_ms:g} ms) over {len(self.samples)} chunks'
        )
        good = share <= rules.max_difference and latency.p95 <= limit_ms
        return (ShadowVerdict.PROMOTE if good else ShadowVerdict.DISCARD), text
