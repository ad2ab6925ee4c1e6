"""The checks turn red: planted faults in the core must make the named check raise AssertionError."""

import importlib

import pytest
import torch

from gdtriton import axes, composed, gaussian_jet, jet_conv, operators, ops, reference, spectral, stencil, taps
from gdtriton.operators import axis_operator, jet_orders
from gdtriton.testing import assert_within_rounding, layer_bound


def clear_caches():
    for module in (axes, operators, spectral, stencil, taps):
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


@pytest.fixture
def plant(monkeypatch):
    """Replace a piece of the core for one test; nothing built from it survives."""

    def replace(module, name, value):
        clear_caches()
        monkeypatch.setattr(module, name, value)

    yield replace
    monkeypatch.undo()
    clear_caches()


class Inputs:
    def __init__(self, randn):
        self.features, self.weight = randn(2, 1, 2, 9, 40), randn(2, 2, 5)
        self.sigma = torch.tensor([0.9, 7.0], dtype=torch.float64)
        self.golden = reference.jet_conv(
            self.features, self.weight, self.sigma, None, order=2, zero_order=False, groups=1, norm_power=1.0,
            discretisation="discrete", border="symmetric",
        )  # fmt: skip
        self.bound = layer_bound(self.features.float(), self.weight, self.sigma, golden=self.golden, order=2)


@pytest.fixture
def inputs(randn):
    return Inputs(randn)


def check_layer(inputs):
    actual = jet_conv(inputs.features, inputs.weight, inputs.sigma)
    assert_within_rounding(actual, inputs.golden, inputs.bound)


def check_operator():
    """P_1 and P_2 of five pixels at sigma 8 by summation over the reflected axis."""
    for order in (1, 2):
        kernel = taps.kernel_taps(torch.tensor(2.0, dtype=torch.float64), order, 40)
        expected = torch.zeros(5, 5, dtype=torch.float64)
        for i in range(5):
            for k in range(-40, 41):
                position = (i + k) % 10
                expected[i, min(position, 9 - position)] += kernel[k + 40]
        for form in ("band", "spectrum"):
            actual = axis_operator(5, torch.tensor(2.0, dtype=torch.float64), order, form=form)
            assert_within_rounding(actual, expected, 1e-13, form)


def check_reference():
    """sigma Lx of a cosine is an exact sine; Lxx and Lyy of cos x differ."""
    x = torch.arange(12, dtype=torch.float64)
    w = torch.tensor(3 * torch.pi / 12, dtype=torch.float64)
    image = torch.cos(w * (x + 0.5)).expand(7, 12)
    actual = reference.jet(
        image, torch.tensor(1.5, dtype=torch.float64), 2, ndim=2, zero_order=True, norm_power=1.0,
        discretisation="discrete", border="symmetric",
    )  # fmt: skip
    smooth = torch.exp(-2.25 * (1 - torch.cos(w)))
    expected = torch.zeros(6, 7, 12, dtype=torch.float64)
    expected[0] = smooth * image
    expected[1] = -1.5 * smooth * torch.sin(w) * torch.sin(w * (x + 0.5))
    expected[3] = 2.25 * smooth * (2 * torch.cos(w) - 2) * image
    assert_within_rounding(actual, expected, 1e-13)


def check_adjoint(inputs):
    features = inputs.features.clone().requires_grad_()
    output = jet_conv(features, inputs.weight, inputs.sigma)
    cotangent = inputs.golden.flip(-1, -2)
    (grad,) = torch.autograd.grad(output, features, cotangent)
    gap = ((output * cotangent).sum() - (features * grad).sum()).abs()
    assert gap.item() <= 1e-10 * (output.abs() * cotangent.abs()).sum().item()


def check_sigma(inputs):
    sigma = inputs.sigma.clone().requires_grad_()
    (grad,) = torch.autograd.grad(jet_conv(inputs.features, inputs.weight, sigma).square().sum(), sigma)
    step = 1e-5
    for s in range(2):
        moved = [inputs.sigma.clone() for _ in range(2)]
        moved[0][s] += step
        moved[1][s] -= step
        up, down = (jet_conv(inputs.features, inputs.weight, m).square().sum() for m in moved)
        slope = (up - down) / (2 * step)
        assert abs(float(grad[s] - slope)) <= 1e-6 * abs(float(slope)), s


def test_the_checks_are_green(inputs):
    clear_caches()
    check_layer(inputs)
    check_operator()
    check_reference()
    check_adjoint(inputs)
    check_sigma(inputs)


def wrong(function, change):
    return lambda *args, **kwargs: change(function(*args, **kwargs), *args, **kwargs)


def _fold_modulo_n(positions, size, border):
    index = positions.remainder(size)
    return index, torch.ones_like(positions)


def _swap_second(result, ndim, order, **_):
    orders = list(result)
    i, j = orders.index((0,) * (ndim - 1) + (2,)), orders.index((2,) + (0,) * (ndim - 1))
    orders[i], orders[j] = orders[j], orders[i]
    return tuple(orders)


OPERATOR_FAULTS = [
    ("sign of odd rows", operators, "transfer_factor", lambda r, w, n: -r if n % 2 else r),
    ("no half variance", operators, "smoothing_exponent", lambda r, *_: 2 * r),
    ("sign of odd taps", operators, "kernel_taps", lambda r, s, n, *_, **__: -r if n % 2 else r),
    ("taps mirrored", operators, "kernel_taps", lambda r, *_, **__: r.flip(-1)),
]


@pytest.mark.parametrize(("name", "module", "piece", "change"), OPERATOR_FAULTS, ids=[f[0] for f in OPERATOR_FAULTS])
def test_faults_in_the_operators(name, module, piece, change, plant):
    original = getattr(module, piece)
    # check_operator takes its taps from `taps`, where nothing is planted.
    plant(module, piece, wrong(original, change))
    with pytest.raises(AssertionError):
        check_operator()


def test_fold_modulo_n(plant):
    plant(operators, "fold", _fold_modulo_n)
    with pytest.raises(AssertionError):
        check_operator()


def test_dropped_tap(plant):
    plant(
        operators,
        "kernel_taps",
        wrong(operators.kernel_taps, lambda r, *_, **__: torch.cat([r[:41], 0 * r[41:42], r[42:]])),
    )
    with pytest.raises(AssertionError):
        check_operator()


def test_swapped_axes_in_the_reference(plant):
    plant(reference, "jet_orders", wrong(operators.jet_orders, _swap_second))
    with pytest.raises(AssertionError):
        check_reference()


def test_missing_sigma_power_in_the_reference(plant):
    original = reference.jet

    def forgetful(*args, norm_power, **kwargs):
        return original(*args, norm_power=0.0, **kwargs)

    plant(reference, "jet", forgetful)
    with pytest.raises(AssertionError):
        check_reference()


LAYER_FAULTS = [
    ("no sigma power", axes.Layer, "powers", lambda self, sigma, like, ndim: like.new_ones(len(self.orders(ndim)))),
    (
        "no factorial in the spectrum",
        axes.Layer,
        "factorials",
        lambda self, like, ndim: like.new_ones(len(self.orders(ndim))),
    ),
    ("no factorial in the stencil", stencil, "inverse_factorials", lambda orders: (1.0,) * len(orders)),
    ("Lxx and Lyy swapped", stencil, "jet_orders", wrong(operators.jet_orders, _swap_second)),
    ("narrow band", axes.AxisOperators, "half_width", lambda self, order: 2),
    ("frequencies missing", spectral, "rank", lambda size, *_: max(1, size // 8)),
    ("margin dropped", stencil, "difference_taps", lambda order: taps.difference_taps(order).roll(1)),
]


@pytest.mark.parametrize(("name", "owner", "piece", "value"), LAYER_FAULTS, ids=[f[0] for f in LAYER_FAULTS])
def test_faults_in_the_fast_path(name, owner, piece, value, plant, randn):
    inputs = Inputs(randn)
    if piece == "half_width":  # the band form needs an axis wider than its blocks
        inputs.features = torch.cat([inputs.features] * 9, -1).mT.contiguous()
        inputs.golden = jet_conv(inputs.features, inputs.weight, inputs.sigma, impl="reference")
        inputs.bound = layer_bound(inputs.features, inputs.weight, inputs.sigma, golden=inputs.golden, route="stencil")
    plant(owner, piece, value)
    with pytest.raises(AssertionError):
        check_layer(inputs)


def test_adjoint_that_is_not_transposed(plant, inputs):
    plant(axes.AxisOperators, "smooth_adjoint", lambda self, g: self.smooth(g)[:, : g.shape[1] - 2, : g.shape[2] - 2])
    with pytest.raises(AssertionError):
        check_adjoint(inputs)


def test_spectral_adjoint_with_the_wrong_rows(plant, inputs):
    original = spectral.SpectralRoute._analyse_adjoint
    plant(spectral.SpectralRoute, "_analyse_adjoint", lambda self, c: original(self, c.flip(1)))
    with pytest.raises(AssertionError):
        check_adjoint(inputs)


def test_sigma_gradient_without_its_second_term(plant, inputs):
    """The stencil (sigma 0.9) and the spectrum (sigma 7) each lose (p / sigma) sum |a| <w_a, dLoss/dw_a>."""
    original = axes.Layer.total_orders
    plant(axes.Layer, "total_orders", lambda self, like, ndim: 0 * original(self, like, ndim))
    with pytest.raises(AssertionError):
        check_sigma(inputs)


def test_sigma_gradient_without_its_first_term(plant, inputs):
    plant(stencil.StencilRoute, "_smoothing_change", lambda self, image, smoothed: torch.zeros_like(smoothed))
    with pytest.raises(AssertionError):
        check_sigma(inputs)


def test_poison_shows_what_is_not_written(plant, inputs):
    """An output whose last row is never written is NaN, and NaN is outside every bound."""
    original = composed.jet_conv

    def lazy(*args):
        output, saved = original(*args)
        unwritten = torch.empty_like(output)
        unwritten[..., :-1, :] = output[..., :-1, :]
        return unwritten, saved

    plant(composed, "jet_conv", lazy)
    with pytest.raises(AssertionError, match="outside its rounding bound"):
        check_layer(inputs)


def test_modules_are_whole_again():
    assert importlib.import_module("gdtriton.ops") is ops
    clear_caches()
    check_operator()
    check_reference()
    assert jet_orders(2, 1) == ((0, 0), (0, 1), (1, 0))
    assert gaussian_jet(torch.zeros(3, 3), 1.0).shape == (6, 3, 3)
