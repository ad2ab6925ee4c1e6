"""Rescaling commutes with random covariant networks on the grid; one planted defect is seen. Strategies for users."""

import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from gdtriton.verify import (
    AnalyticImage,
    assert_reflection_covariant,
    assert_rotation_covariant,
    assert_scale_covariant,
    assert_scale_invariant,
    certify,
    covariance_defect,
    strategies,
)
from gdtriton.verify.network.witness import defect
from gdtriton.verify.observe import observe
from gdtriton.verify.random_networks import DEFECTS

SHAPES = {1: (1, 1, 33), 2: (1, 1, 17, 17), 3: (1, 1, 7, 7, 7)}
CERTIFIED = {1: (1, 1, 17), 2: (1, 1, 11, 11), 3: (1, 1, 5, 5, 5)}
EXAMPLES = {1: 20, 2: 8, 3: 2}
DIMENSIONS = pytest.mark.parametrize("ndim", [1, 2, 3])


def few(ndim, factor=1.0):
    """Random examples, as many as a dimension can afford; networks are small enough without shrinking."""
    return settings(
        max_examples=max(1, round(factor * EXAMPLES[ndim])),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
    )


def alive(network):
    """Whether every layer gets something to see: behind a ReLU that lets nothing through no defect has an effect."""
    seen, _ = observe(network, AnalyticImage.random(1).sample(SHAPES[1]))
    return all(float(one.features.abs().amax(tuple(range(1, 4))).min()) > 0 for one in seen.values())


def test_strategies_draw_what_they_say():
    @settings(max_examples=20, deadline=None)
    @given(st.data())
    def check(data):
        grid = data.draw(strategies.scale_grids(2.0))
        assert 2 <= grid.sigma_0 <= 3
        factor = data.draw(strategies.scale_factors(grid))
        assert any(factor == grid.ratio**j for j in range(1, grid.n_scales))
        assert data.draw(strategies.images(3)).sample((1, 1, 3, 4, 5)).isfinite().all()
        layer = data.draw(strategies.layers(1, 2, 4, black=True))
        assert layer(torch.zeros(1, 2, 9)).abs().max() == 0

    check()


def test_strategies_draw_where_subnormal_numbers_are_flushed():
    @settings(max_examples=3, deadline=None, database=None)
    @given(strategies.images(2), strategies.scale_grids())
    def check(image, grid):
        assert grid.n_scales > 1
        assert image.sample((1, 1, 3, 3)).isfinite().all()

    if not torch.set_flush_denormal(True):
        pytest.skip("this processor does not flush subnormal numbers")
    try:
        check()
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.slow
@DIMENSIONS
def test_random_right_network_is_certified(ndim):
    @few(ndim)
    @given(strategies.networks(ndim))
    def check(network):
        found = certify(network, CERTIFIED[ndim])
        assert found.verdict == "invariant", found.reason

    check()


@pytest.mark.slow
@DIMENSIONS
def test_rescaling_commutes_with_every_layer_of_a_random_network_within_its_bound(ndim):
    @few(ndim, 2)
    @given(strategies.networks(ndim), strategies.images(ndim))
    def check(network, image):
        found = covariance_defect(network, SHAPES[ndim], 2.0, image=image)
        if ndim == 3:  # a volume that is too large to transform has no bound
            assume(found.alone)
        assert found.alone
        assert found.excess <= 1

    check()


@pytest.mark.slow
@DIMENSIONS
def test_random_right_network_converges_with_order_two(ndim):
    @few(ndim, 0.5)
    @given(strategies.networks(ndim, max_depth=2), strategies.images(ndim))
    def check(network, image):
        assert_scale_covariant(network, SHAPES[ndim], 2.0, image=image)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("ndim", [1, 2])
def test_random_right_network_is_invariant_with_order_two(ndim):
    @few(ndim, 0.25)
    @given(strategies.networks(ndim, max_depth=3 - ndim), strategies.images(ndim))
    def check(network, image):
        assert_scale_invariant(network, SHAPES[ndim], 2.0, image=image)

    check()


@pytest.mark.slow
@DIMENSIONS
def test_random_right_network_keeps_the_symmetries_of_the_grid(ndim):
    @few(ndim)
    @given(strategies.networks(ndim), strategies.images(ndim), st.integers(0, ndim - 1))
    def check(network, image, axis):
        assert_reflection_covariant(network, SHAPES[ndim], axis, image=image)
        if ndim > 1:
            assert_rotation_covariant(network, SHAPES[ndim], (axis, (axis + 1) % ndim), image=image)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DEFECTS))
@pytest.mark.parametrize("ndim", [1, 2])
def test_planted_defect_is_refuted_with_a_witness(name, ndim):
    @few(ndim, 0.2)
    @given(strategies.networks(ndim, name))
    def check(network):
        found = certify(network, CERTIFIED[ndim])
        if found.verdict == "unknown":  # with these weights nothing behind the defect is alive
            assert "does not reach an output" in found.reason
            return
        assert found.verdict == "refuted", found.reason
        assert defect(found.to_json()["witness"]) != 0

    check()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fixed sigma", "mixed orders", "weights not shared"])
def test_planted_defect_of_order_zero_is_seen_by_the_numbers(name):
    """Defects that no refinement makes smaller, in a network with layers behind them that see it."""

    @few(1, 0.5)
    @given(strategies.networks(1, name, max_depth=2))
    def check(network):
        assume(alive(network))
        with pytest.raises(AssertionError, match="scale covariance"):
            assert_scale_covariant(network, SHAPES[1])

    check()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["position", "roll by a pixel", "read beside the centre"])
def test_planted_defect_of_place_is_seen_by_a_reflection(name):
    @few(1, 0.5)
    @given(strategies.networks(1, name, max_depth=2))
    def check(network):
        assume(alive(network))
        with pytest.raises(AssertionError, match="reflection"):
            assert_reflection_covariant(network, SHAPES[1])

    check()
