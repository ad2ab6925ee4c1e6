"""The bound on how far one layer is from commuting with rescaling: it holds, it is close, a wrong layer breaks it."""

import pytest
import torch

from gdtriton import GaussianJetConv1d, GaussianJetConv2d, GaussianJetConv3d, reference
from gdtriton.operators import BORDERS, axis_operator, spectral_basis, spectral_multiplier
from gdtriton.taps import DISCRETISATIONS
from gdtriton.verify.arithmetic import layer_norms, rounding_bound
from gdtriton.verify.commute import commutation_bound, layer_weight, restrict
from gdtriton.verify.images import AnalyticImage

LAYERS = {1: GaussianJetConv1d, 2: GaussianJetConv2d, 3: GaussianJetConv3d}
SIZES = {1: (45, 133), 2: (21, 61), 3: (7, 19)}  # S = 3: (n - 1) / 2 times 3


def defect(layer, fine, coarse, sigma, factor, gain=1.0):
    """|R T_{S sigma} f - gain T_sigma R f| by calling the layer twice."""
    sigmas = torch.tensor([float(sigma)], dtype=torch.float64)
    with torch.no_grad():
        after = restrict(layer(fine[None], factor * sigmas)[0], coarse, factor)
        before = layer(restrict(fine, coarse, factor)[None], sigmas)[0]
    return (after - gain * before).abs()


def pair(ndim, generator, noise=True, channels=2):
    """Features of the fine grid and the coarse grid's shape: rough ones that reach the border, or smooth ones."""
    coarse, fine = SIZES[ndim]
    shape = (1, channels, *(fine,) * ndim)
    if noise:
        return torch.randn(shape, generator=generator, dtype=torch.float64), (coarse,) * ndim
    return AnalyticImage.random(ndim, 3).sample(shape), (coarse,) * ndim


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("discretisation", DISCRETISATIONS)
@pytest.mark.parametrize("ndim", [1, 2])
def test_bound_holds_for_rough_features_that_reach_the_border(ndim, discretisation, border, rng):
    fine, coarse = pair(ndim, rng)
    for order, zero_order, groups in ((1, True, 1), (2, False, 2), (3, False, 1)):
        layer = LAYERS[ndim](
            2, 2, order=order, zero_order=zero_order, groups=groups, discretisation=discretisation, border=border
        ).double()
        for sigma in (0.7, 1.5):
            value = torch.full((1, 1), sigma, dtype=torch.float64)
            bound = commutation_bound(layer, fine, coarse, value, 3)
            assert (defect(layer, fine, coarse, sigma, 3) <= bound.total).all()


@pytest.mark.parametrize("discretisation", DISCRETISATIONS)
def test_bound_holds_in_three_dimensions(discretisation, rng):
    fine, coarse = pair(3, rng, channels=1)
    layer = GaussianJetConv3d(1, 2, discretisation=discretisation).double()
    bound = commutation_bound(layer, fine, coarse, torch.ones(1, 1, dtype=torch.float64), 3)
    assert (defect(layer, fine, coarse, 1.0, 3) <= bound.total).all()


@pytest.mark.parametrize("learn", ["input", "output"])
def test_bound_holds_for_a_sigma_per_channel(learn, rng):
    fine, coarse = pair(2, rng)
    layer = GaussianJetConv2d(2, 2, learn_sigma=learn).double()
    with torch.no_grad():
        layer.log_relative_sigma.copy_(torch.tensor([0.0, 0.4]))
    sigma = layer._sigma(torch.ones(1, dtype=torch.float64))[0].detach()
    bound = commutation_bound(layer, fine, coarse, sigma, 3)
    assert (defect(layer, fine, coarse, 1.0, 3) <= bound.total).all()


def test_bound_is_close_where_the_image_is_smooth(rng):
    """Within a factor of 3 of what is measured, away from the border; so it tells a layer 10 % off from a right one."""
    fine, coarse = pair(1, rng, noise=False)
    layer, sigma = GaussianJetConv1d(2, 2).double(), 2.0
    value = torch.full((1, 1), sigma, dtype=torch.float64)
    bound = commutation_bound(layer, fine, coarse, value, 3)
    middle = slice(15, 30)
    measured = defect(layer, fine, coarse, sigma, 3)[..., middle]
    assert bound.total[..., middle].max() < 3 * measured.max()
    with torch.no_grad():
        wrong = restrict(layer(fine[None], torch.tensor([3.3 * sigma], dtype=torch.float64))[0], coarse, 3)
        right = layer(restrict(fine, coarse, 3)[None], torch.tensor([sigma], dtype=torch.float64))[0]
    assert ((wrong - right).abs() > bound.total).any()


def test_parts_vanish_where_they_should(rng):
    """Features that are constant: nothing to discretise. Features that end before the border: nothing beyond it."""
    layer, value = GaussianJetConv1d(1, 1, bias=False).double(), torch.ones(1, 1, dtype=torch.float64)
    flat = torch.ones(1, 1, 133, dtype=torch.float64)
    found = commutation_bound(layer, flat, (45,), value, 3)
    assert float(found.border.max()) == 0
    inside = torch.zeros(1, 1, 133, dtype=torch.float64)
    inside[..., 50:83] = torch.rand(33, generator=rng, dtype=torch.float64)
    assert float(commutation_bound(layer, inside, (45,), value, 3).border.max()) == 0
    assert float(commutation_bound(layer, inside, (45,), value, 3).discretisation.max()) > 0
    assert float(commutation_bound(layer, inside, (45,), value, 3).arithmetic) < 1e-5 * float(inside.max())


def test_layer_of_one_order_has_a_weight(rng):
    """norm_power 1/2 and order 2: F' = S^-1 F; with a bias or two orders there is no weight to be had."""
    fine, coarse = pair(1, rng, noise=False, channels=1)
    layer = GaussianJetConv1d(1, 1, order=1, norm_power=0.5, bias=False).double()
    assert layer_weight(layer) == -0.5
    bound = commutation_bound(layer, fine, coarse, torch.full((1, 1), 2.0, dtype=torch.float64), 3)
    assert bound.weight == -0.5
    assert (defect(layer, fine, coarse, 2.0, 3, gain=3**-0.5) <= bound.total).all()
    assert (defect(layer, fine, coarse, 2.0, 3) > bound.total).any()
    assert layer_weight(GaussianJetConv1d(1, 1, order=1, norm_power=0.5)) == 0
    assert layer_weight(GaussianJetConv1d(1, 1, order=2, norm_power=0.5, bias=False)) == 0


def test_grids_that_do_not_match_have_no_bound(rng):
    layer, value = GaussianJetConv1d(1, 1).double(), torch.ones(1, 1, dtype=torch.float64)
    fine = torch.rand(1, 1, 30, generator=rng, dtype=torch.float64)
    assert commutation_bound(layer, fine, (11,), value, 3) is None
    assert restrict(fine, (10,), 3) is None


def test_norms_are_the_operator_norms():
    """In 1-D the norm of sigma^n d_n with the discrete analogue is the L1 norm of its row; the weights multiply."""
    layer = GaussianJetConv1d(1, 1, order=1, bias=False).double()
    with torch.no_grad():
        layer.weight.fill_(-2.0)
    norms = layer_norms(layer, torch.full((1, 1), 1.5, dtype=torch.float64), (101,))
    row = axis_operator(101, torch.tensor(1.5, dtype=torch.float64), 1)[50]
    assert norms.kernel == pytest.approx(2 * 1.5 * float(row.abs().sum()), rel=1e-12)
    # |B_1^T| |m_1| |C| written out.
    basis = spectral_basis(101, "symmetric")
    multiplier = torch.diag(spectral_multiplier(basis.frequency, torch.tensor(1.5, dtype=torch.float64), 1).abs())
    whole = basis.odd.abs().T @ multiplier @ basis.analysis.abs()
    assert norms.factors == pytest.approx(2 * 1.5 * max(2.0, float(whole.sum(1).max())), rel=1e-12)


@pytest.mark.parametrize("sigma", [0.8, 2.0, 6.0])
def test_rounding_bound_covers_the_fast_path(sigma, rng):
    layer = GaussianJetConv2d(2, 3).double()
    features = torch.randn(1, 1, 2, 31, 31, generator=rng, dtype=torch.float64)
    value = torch.tensor([sigma], dtype=torch.float64)
    options = {name: getattr(layer, name) for name in ("order", "zero_order", "groups", "norm_power")}
    options |= {"discretisation": layer.discretisation, "border": layer.border}
    with torch.no_grad():
        golden = reference.jet_conv(features, layer.weight, value, layer.bias, **options)
        error = float((layer(features, value) - golden).abs().max())
    bound = rounding_bound(layer, float(features.abs().max()), value.view(1, 1), (31, 31))
    assert 0 < error <= bound
    # A floor, not a licence: below a millionth of what the layer adds up.
    norms = layer_norms(layer, value.view(1, 1), (31, 31))
    assert bound < 1e-6 * norms.stencil * float(features.abs().max())
