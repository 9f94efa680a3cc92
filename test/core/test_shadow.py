"""When the rule promotes a shadow, and when it discards one."""

import numpy as np
import pytest

from sara_ros.core.shadow import ShadowRecord, ShadowRules, ShadowSample, ShadowVerdict

RULES = ShadowRules(window_chunks=20, max_difference=0.1, max_latency_sec=0.05)


def sample(share=0.02, candidate_ms=20.0, error=''):
    difference = np.array([share, share / 2], np.float32)
    return ShadowSample(difference, share, 10.0, candidate_ms, error)


def record(*samples):
    made = ShadowRecord(RULES)
    for each in samples:
        made.add(each)
    return made


@pytest.mark.parametrize(
    ('samples', 'verdict', 'text'),
    [
        ([], ShadowVerdict.OPEN, '0 of 20 chunks'),
        ([sample()] * 19, ShadowVerdict.OPEN, '19 of 20 chunks'),
        ([sample()] * 20, ShadowVerdict.PROMOTE, 'p95 difference 2 % of the range (limit 10 %)'),
        ([sample(share=0.2)] * 20, ShadowVerdict.DISCARD, 'p95 difference 20 %'),
        ([sample(share=0.9)] + [sample()] * 19, ShadowVerdict.PROMOTE, '20 chunks'),
        ([sample(candidate_ms=60)] * 20, ShadowVerdict.DISCARD, 'p95 latency 60.0 ms (limit 50'),
        ([sample(), sample(error='x is nan')], ShadowVerdict.DISCARD, 'cannot be used: x is nan'),
    ],
)
def test_the_rule(samples, verdict, text):
    found, grounds = record(*samples).verdict()
    assert found is verdict
    assert text in grounds


def test_the_window_slides():
    made = record(*[sample(share=0.9)] * 20, *[sample()] * 20)
    assert made.verdict()[0] is ShadowVerdict.PROMOTE
    assert (made.chunks, len(made.samples)) == (40, 20)


def test_differences_by_dimension():
    mean, p95 = record(sample(0.0), sample(0.1)).differences()
    np.testing.assert_allclose(mean, [0.05, 0.025], rtol=1e-5)
    np.testing.assert_allclose(p95, [0.095, 0.0475], rtol=1e-5)
    assert record().differences()[0].shape == (0,)
    assert record().latency_ms('active') is None
    assert record(sample()).latency_ms('candidate').p95 == 20.0
