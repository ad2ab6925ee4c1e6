"""The fast path against the float64 reference: derived elementwise bounds, and digits of the jet itself."""

import itertools

import pytest
import torch

from gdtriton import gaussian_jet, gaussian_smooth, jet_conv, jet_orders, stencil
from gdtriton.operators import BORDERS, axis_operator, inverse_factorials
from gdtriton.reference import compute_dtype
from gdtriton.taps import DISCRETISATIONS
from gdtriton.testing import (
    assert_relative_to_jet,
    assert_within_rounding,
    layer_bound,
    relative_error,
    unit_roundoff,
)

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
NDIMS = [1, 2, pytest.param(3, marks=pytest.mark.slow)]
SPATIAL = {1: (37,), 2: (11, 13), 3: (5, 6, 7)}


def n_jet(ndim, order, zero_order):
    return len(jet_orders(ndim, order, zero_order=zero_order))


def check_layer_result(features, weight, sigma, bias=None, route=None, impl="torch", **options):
    """`jet_conv` of the given inputs lies within the derived bound of the float64 reference."""
    exact = [None if x is None else x.double() for x in (features, weight, bias)]
    sigma = torch.as_tensor(sigma, dtype=torch.float64)
    golden = jet_conv(exact[0], exact[1], sigma, exact[2], impl="reference", **options)
    actual = jet_conv(features, weight, sigma, bias, impl=impl, **options)
    assert actual.dtype == features.dtype
    bound = layer_bound(features, weight, sigma, bias, golden=golden, route=route, **options)
    assert_within_rounding(actual, golden, bound)


def check_jet_result(image, sigma, order, *, ndim, **options):
    """`gaussian_jet` is a layer with one coefficient per output."""
    golden = gaussian_jet(image.double(), sigma, order, ndim=ndim, impl="reference", **options)
    actual = gaussian_jet(image, sigma, order, ndim=ndim, impl="torch", **options)
    assert actual.dtype == image.dtype
    weight = torch.eye(golden.shape[-ndim - 1], dtype=image.dtype)[:, None]
    factors = torch.tensor(inverse_factorials(jet_orders(ndim, order)), dtype=torch.float64)
    features = image.reshape(1, -1, 1, *image.shape[-ndim:])
    bound = layer_bound(
        features, weight.double() / factors, torch.tensor([sigma], dtype=torch.float64),
        golden=golden.reshape(1, -1, *golden.shape[-ndim - 1 :]),
        order=order, zero_order=True, route="operators", **options,
    )  # fmt: skip
    assert_within_rounding(actual, golden, bound.reshape(golden.shape))


@pytest.mark.parametrize("ndim", NDIMS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("discretisation", DISCRETISATIONS)
def test_layer_within_rounding(discretisation, border, dtype, ndim, randn):
    features = randn(3, 2, 2, *SPATIAL[ndim]).to(dtype)
    weight, bias = randn(3, 2, n_jet(ndim, 2, False)).to(dtype), randn(3).to(dtype)
    check_layer_result(features, weight, [0.7, 2.0, 9.0], bias, discretisation=discretisation, border=border)


ROUTES = [("stencil", d, b) for d in ("discrete", "integrated") for b in BORDERS]
ROUTES += [("operators", d, b) for d in ("sampled", "integrated-derivative") for b in BORDERS]
ROUTES += [("spectrum", "discrete", b) for b in ("symmetric", "circular")]


@pytest.mark.parametrize(("route", "discretisation", "border"), ROUTES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("ndim", NDIMS)
def test_each_route_within_its_own_bound(route, discretisation, border, dtype, ndim, randn, force_route):
    force_route(route)
    features, weight = randn(2, 2, 3, *SPATIAL[ndim]).to(dtype), randn(2, 3, n_jet(ndim, 3, True)).to(dtype)
    check_layer_result(
        features,
        weight,
        [0.8, 3.0],
        route=route,
        order=3,
        zero_order=True,
        discretisation=discretisation,
        border=border,
    )


@pytest.mark.parametrize("order", [0, 1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("norm_power", [0.0, 1.0, 0.75])
def test_every_order_and_norm_power(order, border, norm_power, randn):
    features, weight = randn(2, 1, 2, 9, 8).float(), randn(2, 2, n_jet(2, order, True)).float()
    check_layer_result(features, weight, [1.1, 6.0], order=order, zero_order=True, border=border, norm_power=norm_power)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("kind", ["scale", "scalar axes", "input", "output"])
@pytest.mark.parametrize("discretisation", ["discrete", "sampled-derivative"])
def test_groups_and_shapes_of_sigma(groups, border, kind, discretisation, randn):
    features, weight, bias = randn(2, 2, 4, 8, 7), randn(8, 4 // groups, 5), randn(8)
    shape = {"scale": (2,), "scalar axes": (2, 1, 1), "input": (2, 1, 4), "output": (2, 8, 1)}[kind]
    sigma = randn(*shape).abs() + 0.6
    sigma[1] += 4
    for dtype in (torch.float32, torch.float64):
        check_layer_result(
            features.to(dtype), weight.to(dtype), sigma, bias.to(dtype),
            groups=groups, border=border, discretisation=discretisation,
        )  # fmt: skip


SIZES = [(1, 1), (1, 5), (2, 3), (31, 32), (33, 7), (64, 65), (63, 3), (96, 97), (127, 2), (11, 101)]


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("spatial", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sizes_around_the_blocks(spatial, border, dtype, randn):
    features, weight = randn(2, 1, 2, *spatial).to(dtype), randn(1, 2, 5).to(dtype)
    check_layer_result(features, weight, [0.9, 6.0], border=border)
    check_layer_result(features, weight, [1.5, 2.0], border=border, discretisation="integrated-derivative")


@pytest.mark.parametrize("size", [33, 34, 65, 66, 67, 68, 97])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("order", [2, 4, 6])
def test_band_keeps_the_truncation_constant(size, border, order, randn, force_route):
    """In float64 the only error of the banded smoothing is the cut at 1e-8 of the highest derivative kernel."""
    force_route("stencil")
    features, weight = randn(1, 1, 2, size, 3), torch.zeros(1, 2, n_jet(2, order, True), dtype=torch.float64)
    weight[..., -1] = 1  # the highest derivative along the long axis
    check_layer_result(
        features,
        weight,
        [1.0],
        route="stencil",
        order=order,
        zero_order=True,
        border=border,
        discretisation="integrated",
    )


@pytest.mark.parametrize(("S", "B", "C_in", "C_out"), [(1, 1, 1, 1), (3, 1, 1, 2), (1, 3, 2, 1), (2, 0, 2, 3)])
@pytest.mark.parametrize("sigma", [0.9, 7.0])
def test_one_of_everything_and_an_empty_batch(S, B, C_in, C_out, sigma, randn):
    features, weight = randn(S, B, C_in, 6, 5).float(), randn(C_out, C_in, 5).float()
    for border, discretisation in itertools.product(BORDERS, ("discrete", "sampled-derivative")):
        check_layer_result(features, weight, [sigma] * S, border=border, discretisation=discretisation)


@pytest.mark.parametrize("ndim", NDIMS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("border", BORDERS)
def test_jets_within_rounding(ndim, dtype, border, randn):
    for sigma, discretisation in itertools.product((0.6, 5.0), ("discrete", "linear-integrated", "sampled-derivative")):
        image = randn(2, *SPATIAL[ndim]).to(dtype)
        check_jet_result(image, sigma, 3, ndim=ndim, border=border, discretisation=discretisation)


def test_shapes_of_jets(randn):
    image = randn(2, 3, 7, 8).float()
    assert gaussian_jet(image, 2.0).shape == (2, 3, 6, 7, 8)
    assert gaussian_jet(image, [1.0, 2.0], 3, zero_order=False).shape == (2, 2, 3, 9, 7, 8)
    assert gaussian_jet(image, torch.tensor(2.0), 1, ndim=3).shape == (2, 4, 3, 7, 8)
    assert gaussian_smooth(image, 2.0).shape == (2, 3, 7, 8)
    assert gaussian_smooth(image, [2.0], ndim=1).shape == (1, 2, 3, 7, 8)
    assert gaussian_jet(image[:0], [1.0, 2.0]).shape == (2, 0, 3, 6, 7, 8)
    for impl in ("torch", "reference"):
        smooth = gaussian_smooth(image.double(), 3.0, impl=impl)
        assert torch.equal(smooth, gaussian_jet(image.double(), 3.0, 2, impl=impl)[:, :, 0])


# Rounding errors of the two passes (and the stencil) add as random walks of a few dozen steps of mean square u^2 / 3.
WALK = 4.0


def _absolute_jets(image, sigma, order, border):
    """|P_a| |f| for the multi-indices of a 2-D jet, [J, H, W]: what the roundings of P_n itself are relative to."""
    value = torch.tensor(sigma, dtype=torch.float64)
    rows, columns = (
        [sigma**n * axis_operator(size, value, n, border=border).abs() for n in range(order + 1)]
        for size in image.shape
    )
    return torch.stack([rows[n] @ image.abs() @ columns[m].T for n, m in jet_orders(2, order)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0, 8.0, 16.0])
def test_layers_keep_the_digits_of_the_jet(sigma, border, dtype, randn):
    """ReLU features of 112 pixels, orders 1 to 4, every jet for itself, relative to its own norm.

    Applying P_n itself rounds |P_n| |f|: error u ||P| |f|| / |J|, 2 to 40 u here and never growing like sigma^n. Where
    differences are taken of the smoothed image, its rounding u |L| meets a stencil of norm 2^n and sigma^n: error
    u (2 sigma)^n |L| / |J|, which is allowed only up to (2 sigma)^order = 300. Order 4 at sigma 16 with differences
    would be wrong by 16 % in float32 and here may be by 1e-5.
    """
    assert stencil.AMPLIFICATION <= 300
    features = randn(1, 1, 1, 112, 112).relu().to(dtype)
    image = features[0, 0, 0].double()
    arithmetic, storage = unit_roundoff(compute_dtype(dtype)), unit_roundoff(dtype)
    smooth = float(gaussian_smooth(image, sigma, border=border).norm())
    for order in (1, 2, 3, 4):
        J = n_jet(2, order, False)
        weight = torch.eye(J, dtype=dtype)[:, None]
        golden = jet_conv(features.double(), weight.double(), [sigma], order=order, border=border, impl="reference")
        actual = jet_conv(features, weight, [sigma], order=order, border=border, impl="torch")
        error = relative_error(actual, golden, (0, 1, 3, 4))
        direct = _absolute_jets(image, sigma, order, border)[1:].norm(dim=(1, 2))
        orders = jet_orders(2, order, zero_order=False)
        for j, (a, factor) in enumerate(zip(orders, inverse_factorials(orders), strict=True)):
            norm = float(golden[0, 0, j].norm()) / factor
            amplification = float(direct[j]) / norm
            if (2 * sigma) ** order <= stencil.AMPLIFICATION:
                amplification = max(amplification, (2 * sigma) ** sum(a) * smooth / norm)
            allowed = storage + WALK * arithmetic * amplification
            assert float(error[j]) <= allowed, (order, a, float(error[j]), allowed)


@pytest.mark.parametrize("sigma", [1.0, 4.0, 16.0])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_jets_keep_their_digits(sigma, border, dtype, randn):
    """`gaussian_jet` always applies P_n itself: orders 0 to 6."""
    image = randn(112, 96).relu().to(dtype)
    golden = gaussian_jet(image.double(), sigma, 6, border=border, impl="reference")
    error = relative_error(gaussian_jet(image, sigma, 6, border=border, impl="torch"), golden, (1, 2))
    direct = _absolute_jets(image.double(), sigma, 6, border).norm(dim=(1, 2)) / golden.norm(dim=(1, 2))
    allowed = unit_roundoff(dtype) + WALK * unit_roundoff(torch.float32) * direct
    assert bool((error <= allowed).all()), (error / allowed).max()
    assert float(direct.max()) < 1e3  # at least four of the seven digits of float32 are left


def test_single_precision_differences_would_lose_the_jet(randn):
    """The demand has teeth: the difference of a float32 smoothing at order 4, sigma 16 is wrong by percents."""
    image = randn(112).relu().float()
    value = torch.tensor(16.0, dtype=torch.float64)
    smooth = axis_operator(112, value, 0).float() @ image
    difference = axis_operator(112, torch.tensor(1e-20, dtype=torch.float64), 4).float() @ smooth
    exact = axis_operator(112, value, 4) @ image.double()
    with pytest.raises(AssertionError, match="relative error"):
        assert_relative_to_jet(difference, exact, unit_roundoff(torch.float32), 1e3, (0,))


@pytest.mark.parametrize(("sigma", "border"), [(1e3, b) for b in BORDERS] + [(1e9, "symmetric"), (1e9, "circular")])
def test_huge_sigma(sigma, border, randn):
    features, weight = randn(1, 1, 2, 6, 5).float(), randn(2, 2, 6).float()
    output = jet_conv(features, weight, [sigma], zero_order=True, border=border)
    assert bool(torch.isfinite(output).all())
    if border != "zero":
        mean = torch.einsum("oi,i->o", weight[..., 0], features.mean((0, 1, 3, 4)))
        scale = float(weight[..., 0].abs().sum() * features.abs().max())
        assert (output[0, 0] - mean.view(-1, 1, 1)).abs().max() < 64 * unit_roundoff(torch.float32) * scale


def _views(x):
    """The same numbers in other memory."""
    yield "transposed", x.transpose(-1, -2).contiguous().transpose(-1, -2)
    yield "channels last", x.movedim(2, -1).contiguous().movedim(-1, 2)
    yield "sliced", torch.stack([x, x + 1], -1)[..., 0]
    yield "flipped twice", x.flip(-1, -2).flip(-1, -2)
    yield "offset", torch.cat([x.new_full((1, *x.shape[1:]), 7), x])[1:]


@pytest.mark.parametrize("sigma", [1.0, 7.0])
@pytest.mark.parametrize("discretisation", ["discrete", "sampled-derivative"])
def test_memory_layout_does_not_matter(sigma, discretisation, randn):
    features, weight = randn(2, 2, 3, 6, 8), randn(2, 3, 5)
    options = {"discretisation": discretisation}
    expected = jet_conv(features, weight, [sigma] * 2, **options)
    for name, view in _views(features):
        assert torch.equal(jet_conv(view, weight, [sigma] * 2, **options), expected), name
    strided = torch.stack([weight, weight], -1)[..., 0]
    assert torch.equal(jet_conv(features, strided, [sigma] * 2, **options), expected)
    expanded = features[:1].expand(2, -1, -1, -1, -1)
    assert torch.equal(
        jet_conv(expanded, weight, [sigma] * 2, **options), jet_conv(expanded.clone(), weight, [sigma] * 2, **options)
    )
    constant = features[..., :1, :1].expand(-1, -1, -1, 6, 8)
    assert torch.equal(
        jet_conv(constant, weight, [sigma] * 2, **options), jet_conv(constant.clone(), weight, [sigma] * 2, **options)
    )
    image = features[0, 0]
    assert torch.equal(gaussian_jet(image.mT.contiguous().mT, sigma, **options), gaussian_jet(image, sigma, **options))


@pytest.mark.parametrize("sigma", [1.0, 7.0])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("discretisation", ["discrete", "integrated-derivative"])
def test_nan_stays_in_its_image_and_group(sigma, border, discretisation, randn):
    features, weight = randn(2, 3, 4, 7, 6).float(), randn(4, 2, 5).float()
    features[0, 1, 2, 3, 3] = torch.nan
    output = jet_conv(features, weight, [sigma] * 2, groups=2, border=border, discretisation=discretisation)
    dirty = torch.isnan(output).flatten(3).any(-1)
    expected = torch.zeros(2, 3, 4, dtype=torch.bool)
    expected[0, 1, 2:] = True
    assert torch.equal(dirty, expected)
    assert bool(torch.isnan(output[0, 1, 2:, 3, 3]).all())
    jets = gaussian_jet(features[0], sigma, border=border, discretisation=discretisation)
    assert torch.isnan(jets).flatten(2).any(-1).nonzero().tolist() == [[1, 2]]
