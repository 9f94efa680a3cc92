"""The statements that the backends rest on, for small sizes; random ones with fixed seeds."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import torch

from sara_ros.attention import create
from sara_ros.attention.sara import FUNCTIONS
from sara_ros.core import ParameterError
from sara_ros.evaluation.attention_theory.findings import STANDARD_ERRORS, agrees
from sara_ros.evaluation.attention_theory.folding import folding_error
from sara_ros.evaluation.attention_theory.kernel import (
    Interval,
    KernelOptions,
    error_slope,
    expected_error,
    kernel_estimates,
    kernel_pairs,
    mean_of_draws,
    root_mean_square_error,
)
from sara_ros.evaluation.attention_theory.taylor import (
    identity_errors,
    negative_share,
    random_shares,
    taylor_scores,
    taylor_weights,
)

SMALL = KernelOptions(head_dim=16, draws=200, features=(16, 64, 256))
SIZES = st.tuples(st.integers(1, 3), st.integers(2, 40), st.integers(1, 24))


def tokens(sizes: tuple[int, int, int], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return f64 queries and keys off the origin, of heads, tokens and dimensions."""
    generator = torch.Generator().manual_seed(seed)
    q, k = torch.randn(2, 1, *sizes, generator=generator, dtype=torch.float64)
    return 2 * q - 1, k + 3


@pytest.mark.parametrize('name', ['sara', 'performer'])
def test_random_features_are_unbiased(name):
    """Within five standard errors of one, for every number of features and over all draws."""
    for features in SMALL.features:
        assert agrees(mean_of_draws(kernel_estimates(name, features, SMALL)), 1.0), features


def test_unrelated_maps_would_be_found_biased():
    """Guards the test above: without a common map the estimate knows nothing of ``q.k``."""
    q, k = kernel_pairs(SMALL)
    ignorant = (-(q * k).sum(-1) / SMALL.head_dim**0.5).exp()  # its mean over the kernel
    error = expected_error(256, SMALL.squared_norm) / (SMALL.draws * SMALL.pairs) ** 0.5
    assert abs(float(ignorant.mean()) - 1) > STANDARD_ERRORS * error


def test_error_falls_with_the_root_of_the_number_of_features():
    """The slope, and the error that the variance of a lognormal number predicts."""
    ratios = {m: kernel_estimates('sara', m, SMALL) for m in SMALL.features}
    assert agrees(error_slope(ratios), -0.5)
    for features, array in ratios.items():
        measured = root_mean_square_error(array)
        assert measured == pytest.approx(expected_error(features, 1.0), rel=0.15)


def test_pairs_have_the_norm_that_decides_the_variance():
    """``|q + k|^2 / sqrt(D)`` is what the options say."""
    q, k = kernel_pairs(KernelOptions(head_dim=16, squared_norm=2.5))
    norms = (q + k).square().sum(-1) / 4
    torch.testing.assert_close(norms, torch.full_like(norms, 2.5))


def test_kernel_draws_leave_the_generator_alone():
    """An analysis must not change what a training in the same process draws."""
    state = torch.random.get_rng_state()
    kernel_estimates('sara', 4, KernelOptions(draws=2, features=(2, 4)))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_one_number_of_features_has_no_slope():
    """Refused before anything is drawn."""
    with pytest.raises(ParameterError, match=r'features are \(8,\)'):
        KernelOptions(features=(8,))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(FUNCTIONS), st.integers(1, 24), st.sampled_from([1, 2, 4]), st.integers(0))
def test_folding_changes_nothing(function, features, heads, seed):
    """Equal to f64 rounding, for narrow, square and wide maps."""
    error = folding_error(
        function, features, dtype=torch.float64, width=16, heads=heads, tokens=9, seed=seed % 2**32
    )
    assert error < 1e-10


@settings(max_examples=30, deadline=None)
@given(SIZES, st.integers(0, 2**32))
def test_taylor_identities(sizes, seed):
    """Centred keys sum to zero, rows of weights to one, in both forms; softmax stays."""
    for name, error in identity_errors(*tokens(sizes, seed)).items():
        assert error < 1e-10, name


def test_keys_must_be_centred():
    """Guards the test above: with the keys as they are rows do not sum to one."""
    q, k = tokens((1, 20, 8), 0)
    plain = (1 + q @ k.transpose(-2, -1) * 8**-0.5) / 20
    assert (plain.sum(dim=-1) - 1).abs().max() > 1


@settings(max_examples=20, deadline=None)
@given(SIZES, st.integers(0, 2**32), st.booleans())
def test_weights_are_negative_where_the_score_is_below_minus_one(sizes, seed, pct):
    """The weights read off the backend are ``(1 + x) / N``."""
    q, k = tokens(sizes, seed)
    weights, x = taylor_weights(q, k, pct=pct), taylor_scores(q, k, pct=pct)
    torch.testing.assert_close(weights, (1 + x) / sizes[1], rtol=1e-9, atol=1e-12)
    share = negative_share(q, k, pct=pct)
    assert share['negative'] == pytest.approx(float((weights < 0).double().mean()))
    assert share['negative'] <= share['outside'] + 1e-9
    assert share['median'] <= share['p99'] <= share['max']


def test_share_for_normal_scores():
    """Close to Phi(-1 / deviation); scores of normal vectors have slightly heavier tails."""
    for row in random_shares((0.5, 1.0, 2.0), tokens=100, head_dim=64):
        assert row['negative'] == pytest.approx(row['expected'], abs=0.02)


def test_softmax_weights_are_what_taylor_expands():
    """For small scores the two agree to second order."""
    q, k = tokens((2, 15, 8), 3)
    v = torch.eye(15, dtype=torch.float64).expand(1, 2, -1, -1)
    softmax = create('softmax', head_dim=8, heads=2)(q * 1e-3, k, v)
    largest = float(taylor_scores(q * 1e-3, k).abs().max())
    assert (softmax - taylor_weights(q * 1e-3, k)).abs().max() < 2 * largest**2 / 15


def test_interval():
    """Agreement is judged in standard errors of the interval."""
    assert agrees(Interval(1.0, 0.98, 1.02), 1.04)
    assert not agrees(Interval(1.0, 0.98, 1.02), 1.06)
