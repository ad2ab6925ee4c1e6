"""The definition against what is known without it: closed forms, pyscsp and symmetries."""

import itertools
import math

import numpy as np
import pytest
import torch

from gdtriton import reference
from gdtriton.operators import BORDERS, inverse_factorials, jet_orders
from gdtriton.taps import DISCRETISATIONS, transfer_factor

EPS = np.finfo(np.float64).eps
# Sums of a few hundred rounded products of size 1, times the 2^n of a difference.
EXACT = 1e3 * EPS


def jets(image, sigma, order, *, ndim, zero_order=True, norm_power=1.0, discretisation="discrete", border="symmetric"):
    return reference.jet(
        image,
        torch.as_tensor(sigma, dtype=torch.float64),
        order,
        ndim=ndim,
        zero_order=zero_order,
        norm_power=norm_power,
        discretisation=discretisation,
        border=border,
    )


def coordinates(size, ndim):
    axis = torch.arange(size, dtype=torch.float64)
    return torch.meshgrid(*[axis] * ndim, indexing="ij")


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("border", ["symmetric", "circular"])
def test_sinusoids_by_the_transfer_function(ndim, border):
    """Products of cosines that fit the border are eigenfunctions, exactly: orders 0 to 6."""
    size, sigma, order = 12, 1.7, 6 if ndim < 3 else 4
    numbers = (1, 3, 2)[:ndim]
    base = math.pi / size if border == "symmetric" else 2 * math.pi / size
    shift = 0.5 if border == "symmetric" else 0.3
    image = torch.ones((), dtype=torch.float64)
    axes = coordinates(size, ndim)
    for k, x in zip(numbers, axes, strict=True):
        image = image * torch.cos(base * k * (x + shift))
    actual = jets(image, sigma, order, ndim=ndim, border=border)
    for j, a in enumerate(jet_orders(ndim, order)):
        expected = torch.ones((), dtype=torch.float64)
        for k, x, n in zip(numbers, axes, a, strict=True):
            w = torch.tensor(base * k, dtype=torch.float64)
            wave = torch.sin if n % 2 else torch.cos
            factor = transfer_factor(w, n) * torch.exp(-(sigma**2) * (1 - torch.cos(w)))
            expected = expected * sigma**n * factor * wave(w * (x + shift))
        assert (actual[j] - expected).abs().max() < EXACT, a


@pytest.mark.parametrize("discretisation", DISCRETISATIONS)
@pytest.mark.parametrize("ndim", [1, 2])
def test_polynomials_far_from_the_border(discretisation, ndim):
    """x^m / m! of every axis: derivatives of its heat polynomial, whose variance the discretisation adds to."""
    sigma, size, order = 2.0, 61 + 2 * 15, 2
    added = {"integrated": 1 / 12, "linear-integrated": 1 / 6, "integrated-derivative": 1 / 12}.get(discretisation, 0.0)
    s = sigma**2 + added
    axes = [x - size // 2 for x in coordinates(size, ndim)]

    def heat(x, m):
        return {0: torch.ones_like(x), 1: x, 2: (x**2 + s) / 2}.get(m, torch.zeros_like(x))

    centre = tuple(slice(size // 2 - 2, size // 2 + 3) for _ in range(ndim))
    for powers in itertools.product(range(3), repeat=ndim):
        image = torch.ones((), dtype=torch.float64)
        for x, m in zip(axes, powers, strict=True):
            image = image * x**m / math.factorial(m)
        actual = jets(image, sigma, order, ndim=ndim, discretisation=discretisation)
        for j, a in enumerate(jet_orders(ndim, order)):
            expected = torch.full_like(image, sigma ** sum(a))
            for x, m, n in zip(axes, powers, a, strict=True):
                expected = expected * heat(x, m - n) if m >= n else expected * 0
            # Sampling: relative error exp(-2 pi^2 s) of moments = 1e-34; the border is 15 sigma away.
            scale = float(image.abs().max())
            assert (actual[j] - expected)[centre].abs().max() < EXACT * scale, (powers, a)


@pytest.mark.parametrize("order", range(5))
def test_gaussian_blob_converges(order):
    """Error of a blob's derivatives falls as 1 / sigma^2 for differences, at once for sampled derivatives."""
    errors = {"discrete": [], "sampled-derivative": []}
    for sigma in (4.0, 8.0, 16.0):
        blob = sigma / 2
        size = int(16 * sigma) | 1
        x = torch.arange(size, dtype=torch.float64) - size // 2
        image = torch.exp(-0.5 * (x / blob) ** 2) / (math.sqrt(2 * math.pi) * blob)
        total = math.hypot(sigma, blob)
        hermite = torch.tensor(np.polynomial.hermite_e.hermeval((x / total).numpy(), [0.0] * order + [1.0]))
        exact = (-1 / total) ** order * hermite * torch.exp(-0.5 * (x / total) ** 2) / (math.sqrt(2 * math.pi) * total)
        for name, found in errors.items():
            actual = jets(image, sigma, order, ndim=1, discretisation=name)[-1]
            found.append(float((actual - sigma**order * exact).norm() / (sigma**order * exact).norm()))
    slope = math.log2(errors["discrete"][1] / errors["discrete"][2])
    assert 1.9 < slope < 2.1
    # The border folds back what lies beyond 8 sigma = 7.2 standard deviations u of the blob: u^n exp(-u^2 / 2).
    assert max(errors["sampled-derivative"]) < 10 * 7.15**order * math.exp(-(7.15**2) / 2)
    # exp(s (cos w - 1)) against exp(-s w^2 / 2): s w^4 / 24 with s w^2 of order n + 1.
    assert errors["discrete"][2] < (order + 3) ** 2 / 16.0**2


PYSCSP = {
    "discrete": "discgaussvar",
    "sampled": "samplgaussvar",
    "normalised-sampled": "normsamplgaussvar",
    "integrated": "intgaussvar",
    "linear-integrated": "linintgaussvar",
}


@pytest.mark.parametrize("discretisation", PYSCSP)
@pytest.mark.parametrize("sigma", [0.8, 2.5])
def test_jets_of_pyscsp(discretisation, sigma, randn):
    """Orders 0 to 4 in 2-D; pyscsp's y axis points up, so odd orders in y change sign."""
    from pyscsp.discscsp import computeNjetfcn

    image = randn(23, 31)
    actual = jets(image, sigma, 4, ndim=2, discretisation=discretisation)
    for j, (n_y, n_x) in enumerate(jet_orders(2, 4)):
        golden = torch.from_numpy(
            computeNjetfcn(image.numpy(), "L" + "x" * n_x + "y" * n_y, sigma, PYSCSP[discretisation])
        )
        # pyscsp cuts its kernels at 1e-8 before it differences: 2^n sigma^n of it remains.
        bound = 2e-8 * (2 * max(sigma, 1)) ** (n_y + n_x) * float(image.abs().max())
        assert (actual[j] - (-1) ** n_y * golden).abs().max() < bound, (n_y, n_x)
        if n_y % 2:
            assert (actual[j] - golden).abs().max() > 1e3 * bound


@pytest.mark.parametrize(
    ("discretisation", "method"),
    [("sampled-derivative", "samplgaussdervar"), ("integrated-derivative", "intgaussdervar")],
)
def test_derivative_kernels_of_pyscsp(discretisation, method, randn):
    from pyscsp.gaussders import gaussderconv

    image, sigma = randn(27, 22), 1.6
    actual = jets(image, sigma, 4, ndim=2, discretisation=discretisation)
    for j, (n_y, n_x) in enumerate(jet_orders(2, 4)):
        golden = torch.from_numpy(gaussderconv(image.numpy(), n_x, n_y, sigma, method, 1.0, 1e-11))
        bound = 1e-9 * (2 * sigma) ** (n_y + n_x) * float(image.abs().max())
        assert (actual[j] - (-1) ** n_y * golden).abs().max() < bound, (n_y, n_x)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_translation_is_exact_on_the_circle(ndim, randn):
    image = randn(*(7, 5, 6)[:ndim])
    shifts, axes = (2, 3, 1)[:ndim], tuple(range(-ndim, 0))
    before = jets(image, 3.0, 3, ndim=ndim, border="circular").roll(shifts, axes)
    after = jets(image.roll(shifts, axes), 3.0, 3, ndim=ndim, border="circular")
    assert (before - after).abs().max() < 8 * EXACT


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("discretisation", DISCRETISATIONS)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_reflections_change_the_sign_of_odd_derivatives(border, discretisation, ndim, randn):
    image = randn(*(7, 5, 6)[:ndim])
    order = 3 if ndim < 3 else 2
    options = {"ndim": ndim, "border": border, "discretisation": discretisation}
    before = jets(image, 1.4, order, **options)
    for axis in range(ndim):
        after = jets(image.flip(axis), 1.4, order, **options)
        for j, a in enumerate(jet_orders(ndim, order)):
            assert ((-1) ** a[axis] * before[j].flip(axis) - after[j]).abs().max() < 8 * EXACT


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("discretisation", DISCRETISATIONS)
def test_quarter_turns_permute_the_jet(border, discretisation, randn):
    """rot90 maps index (i, j) of an n x m image to (m - 1 - j, i): y <- -x, x <- y."""
    image, order = randn(6, 9), 4
    options = {"ndim": 2, "border": border, "discretisation": discretisation}
    before, after = jets(image, 1.4, order, **options), jets(torch.rot90(image), 1.4, order, **options)
    orders = jet_orders(2, order)
    for j, (n_y, n_x) in enumerate(orders):
        source = orders.index((n_x, n_y))
        assert (after[j] - (-1) ** n_y * torch.rot90(before[source])).abs().max() < 2**order * EXACT


@pytest.mark.parametrize("discretisation", DISCRETISATIONS)
def test_axes_permute_the_jet(discretisation, randn):
    image, order = randn(4, 5, 6), 2
    before = jets(image, 0.9, order, ndim=3, discretisation=discretisation)
    orders = jet_orders(3, order)
    for axes in itertools.permutations(range(3)):
        after = jets(image.permute(axes), 0.9, order, ndim=3, discretisation=discretisation)
        for j, a in enumerate(orders):
            moved = orders.index(tuple(a[i] for i in axes))
            assert (after[moved] - before[j].permute(axes)).abs().max() < 4 * EXACT


def test_norm_power_multiplies_by_sigma(randn):
    image, sigma = randn(9, 8), 3.0
    plain, half = (jets(image, sigma, 3, ndim=2, norm_power=p) for p in (0.0, 0.5))
    for j, a in enumerate(jet_orders(2, 3)):
        assert (sigma ** (0.5 * sum(a)) * plain[j] - half[j]).abs().max() < EXACT * 27


@pytest.mark.parametrize("border", BORDERS)
def test_a_list_of_sigmas_is_one_call_for_each(border, randn):
    image = randn(2, 3, 5, 7)
    both = jets(image, [0.8, 2.0], 2, ndim=2, border=border)
    assert both.shape == (2, 2, 3, 6, 5, 7)
    for s, sigma in enumerate((0.8, 2.0)):
        assert (both[s] - jets(image, sigma, 2, ndim=2, border=border)).abs().max() < EXACT


def test_layer_is_the_weighted_jet(randn):
    """Lindeberg (2022), equation (11): 1/2 (Cxx Lxx + 2 Cxy Lxy + Cyy Lyy) + Cx Lx + Cy Ly, summed over channels."""
    features, weight, bias = randn(1, 2, 3, 8, 9), randn(4, 3, 5), randn(4)
    sigma = torch.tensor([1.3], dtype=torch.float64)
    actual = reference.jet_conv(
        features, weight, sigma, bias, order=2, zero_order=False, groups=1, norm_power=1.0,
        discretisation="discrete", border="symmetric",
    )  # fmt: skip
    Lx, Ly, Lxx, Lxy, Lyy = jets(features[0], 1.3, 2, ndim=2, zero_order=False).unbind(2)
    expected = bias.view(-1, 1, 1)
    for i in range(3):
        Cx, Cy, Cxx, Cxy, Cyy = (weight[:, i, j].view(-1, 1, 1) for j in range(5))
        channel = [x[:, i, None] for x in (Lx, Ly, Lxx, Lxy, Lyy)]
        expected = expected + Cx * channel[0] + Cy * channel[1]
        expected = expected + 0.5 * (Cxx * channel[2] + 2 * Cxy * channel[3] + Cyy * channel[4])
    assert (actual[0] - expected).abs().max() < 10 * EXACT


def test_layer_with_groups_and_a_sigma_per_channel(randn):
    features, weight = randn(2, 1, 4, 5, 6), randn(6, 2, 6)
    options = {"order": 2, "zero_order": True, "norm_power": 1.0, "discretisation": "discrete", "border": "zero"}
    jet_options = {"ndim": 2, "border": "zero"}
    factors = torch.tensor(inverse_factorials(jet_orders(2, 2)), dtype=torch.float64)
    per_input = randn(2, 1, 4).abs() + 0.5
    per_output = randn(2, 6, 1).abs() + 0.5
    for sigma in (per_input, per_output):
        actual = reference.jet_conv(features, weight, sigma, None, groups=2, **options)
        for s, o in itertools.product(range(2), range(6)):
            expected = torch.zeros(5, 6, dtype=torch.float64)
            for i in range(2):
                channel = 2 * (o // 3) + i
                value = float(sigma[s, min(o, sigma.shape[1] - 1), min(channel, sigma.shape[2] - 1)])
                jet = jets(features[s, 0, channel], value, 2, **jet_options)
                expected = expected + torch.einsum("j,jhw->hw", weight[o, i] * factors, jet)
            assert (actual[s, 0, o] - expected).abs().max() < 100 * EXACT


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_narrow_dtypes_are_rounded_once(dtype, randn):
    """Against float64 of the same rounded image: one float32 evaluation and one rounding."""
    from gdtriton.testing import assert_within_rounding, gamma, output_rounding

    image = randn(17, 19).to(dtype)
    golden = jets(image.double(), 2.0, 2, ndim=2)
    magnitude = jets(image.double().abs(), 2.0, 0, ndim=2).amax() * 4 * 4
    bound = gamma(2 * 21 + 4, torch.float32) * magnitude + output_rounding(golden, dtype)
    actual = jets(image, 2.0, 2, ndim=2)
    assert actual.dtype == dtype
    assert_within_rounding(actual, golden, bound)
