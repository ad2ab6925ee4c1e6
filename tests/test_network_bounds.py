"""Link 2: derived bounds of jets for every discretisation, and what the border can do."""

import math

import pytest
import torch

from gdtriton import gaussian_jet
from gdtriton.verify.network.bounds import UNIT, axis_bound, blob_ratio, border_bound, jet_bound, symbol_error

DISCRETISATIONS = (
    "discrete",
    "sampled",
    "normalised-sampled",
    "integrated",
    "linear-integrated",
    "sampled-derivative",
    "integrated-derivative",
)
UNIFORM = (0.1525, 0.119, 0.491, 0.477, 2.55)
"""K_n of |E_n| <= K_n / sigma^2 for the discrete analogue, certified by branch and bound over all sigma >= 1/2."""


@pytest.mark.parametrize("sigma", [0.7, 1.3, 4.0])
@pytest.mark.parametrize("discretisation", DISCRETISATIONS)
def test_a_blob_stays_within_the_bound(discretisation, sigma):
    assert 0 < blob_ratio(sigma, 4, discretisation) < 1


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("n", range(5))
def test_bound_of_one_sigma_lies_below_the_uniform_one(n, sigma):
    slack = 2 * math.pi / (1 << 17) * 8 * (n + 1) * 3 ** (n / 2) * sigma
    assert symbol_error(sigma, n, "discrete")[0] <= UNIFORM[n] / sigma**2 + slack


@pytest.mark.parametrize("discretisation", DISCRETISATIONS)
def test_a_sigma_that_is_off_leaves_the_bound(discretisation):
    """The bound is not so wide that a jet at sigma + 20 % would pass."""
    sigma, blob, n = 4.0, 2.0, 2
    x = torch.arange(-60, 61, dtype=torch.float64)
    image = torch.exp(-(x**2) / (2 * blob**2))
    wrong = gaussian_jet(image, 1.2 * sigma, n, ndim=1, discretisation=discretisation)[n]
    total = math.hypot(blob, sigma)
    y = x / total
    exact = (sigma / total) ** n * (y * y - 1) * blob / total * torch.exp(-(y**2) / 2)
    assert float((wrong - exact).abs().max()) > axis_bound(sigma, n, discretisation)


@pytest.mark.parametrize("border", ["symmetric", "zero", "circular"])
@pytest.mark.parametrize("sigma", [1.0, 2.5, 5.0])
def test_border_changes_the_middle_by_no_more_than_its_bound(sigma, border):
    """Features of height 1 continued truly, against their middle part with a border."""
    generator = torch.Generator().manual_seed(4)
    wide = torch.rand(401, generator=generator, dtype=torch.float64) * 2 - 1
    narrow = wide[200 - 10 : 200 + 11]
    for order in (0, 1, 2):
        true = gaussian_jet(wide, sigma, order, ndim=1)[order][200]
        cut = gaussian_jet(narrow, sigma, order, ndim=1, border=border)[order][10]
        rounding = 256 * UNIT * (2 * sigma) ** order
        assert abs(float(true - cut)) <= border_bound(sigma, order, 21, "discrete") + rounding


def test_bounds_fall_with_sigma_and_grow_with_the_dimension():
    for ndim in (1, 2, 3):
        row = [jet_bound(s, 2, ndim) for s in (1.0, 2.0, 4.0, 8.0)]
        assert row == sorted(row, reverse=True)
    assert jet_bound(2.0, 2, 1) < jet_bound(2.0, 2, 2) < jet_bound(2.0, 2, 3)
