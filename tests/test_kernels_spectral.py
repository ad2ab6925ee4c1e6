"""The spectral route on triton kernels, run by the interpreter, against the float64 reference within derived bounds."""

import importlib
import itertools
import math

import pytest
import torch

from gdtriton import jet_conv, jet_orders
from gdtriton.axes import Layer
from gdtriton.operators import inverse_factorials
from gdtriton.saved import saved_shape
from gdtriton.spectral import rank
from gdtriton.taps import smoothing_exponent, transfer_factor
from gdtriton.testing import assert_within_rounding, gamma, output_rounding, relative_error, unit_roundoff

pytest.importorskip("triton")

from gdtriton.kernels import spectral, spectral_mix, tables
from gdtriton.kernels.tables import Plan, launch_plan

BORDERS = ("symmetric", "circular")
KINDS = ("scale", "input", "output")
NAMES = ("output", "gradient of the features", "gradient of the weight", "gradient of sigma")
EVERYTHING = (True, True, True)


@pytest.fixture(autouse=True)
def every_scale_channel(monkeypatch):
    """The spectral route whatever sigma is."""
    monkeypatch.setattr(tables, "SPECTRUM_FROM_SIGMA", 0.0)


def plan_of(sigma, spatial, layer, dtype, routes=None):
    plan = launch_plan(sigma.flatten(1) if sigma.ndim > 1 else sigma, spatial, layer, dtype)
    if routes is not None:
        plan.values[:, 0] = torch.tensor(routes, dtype=torch.int32)
    return Plan(*plan)


def power_term(weight, sums, sigma, layer, ndim):
    """Second term of sigma's gradient: (p / sigma) sum |a| <w_a, dLoss/dw_a>."""
    products = (layer.total_orders(sums, ndim) * weight.double() * sums.double()).sum(-1)
    if sigma[0].numel() == 1:
        inner = products.sum((1, 2)).view(sigma.shape)
    elif sigma.shape[1] > 1:
        inner = products.sum(2, keepdim=True)
    else:
        inner = products.unflatten(1, (layer.groups, -1)).sum(2).flatten(1).unsqueeze(1)
    return layer.norm_power / sigma * inner


def run_route(features, weight, sigma, bias, grad, layer, routes=None, needs=EVERYTHING, module=spectral):
    """Output and gradients of the kernels, in memory that starts as NaN."""
    spatial, ndim = tuple(features.shape[3:]), features.ndim - 3
    plan = plan_of(sigma, spatial, layer, features.dtype, routes)
    out = features.new_full((*features.shape[:2], weight.shape[0], *spatial), math.nan)
    saved = torch.full(saved_shape(features, layer, "triton"), math.nan)
    module.forward(features, weight, sigma, bias, layer, plan, out, saved)
    grad_features = features.new_full(features.shape, math.nan)
    sums = module.backward(grad, saved, weight, sigma, layer, plan, needs, grad_features)
    assert sums.weight.dtype == sums.diffusion.dtype == torch.float32
    assert sums.diffusion.shape == sigma.shape
    grad_sigma = sums.diffusion.double() + power_term(weight, sums.weight, sigma, layer, ndim)
    return out, grad_features, sums, grad_sigma


def golden_of(features, weight, sigma, bias, grad, layer):
    """The same by the reference in float64."""
    leaves = [x.detach().double().requires_grad_() for x in (features, weight, sigma)]
    offset = None if bias is None else bias.double()
    options = layer._asdict()
    result = jet_conv(leaves[0], leaves[1], leaves[2], offset, impl="reference", **options)
    gradients = torch.autograd.grad(result, leaves, grad.double(), materialize_grads=True)
    return (result.detach(), *gradients)


def rows_of(size, border):
    """|C| and |B_1| of the kernels, [N, N], and the frequencies: cosines and sines about the middle of the axis."""
    k = torch.arange(size, dtype=torch.float64)
    u = k if border == "symmetric" else 2 * ((k + 1) // 2)
    phase = 0 * k if border == "symmetric" else (k % 2) * math.pi / 2
    angle = u[:, None] * math.pi / (2 * size) * (2 * k + 1) - phase[:, None]
    norm = torch.where((u == 0) | ((u == size) & (border == "circular")), 1.0, math.sqrt(2)).double()[:, None]
    return (
        (norm * angle.cos()).abs() / math.sqrt(size),
        (norm * angle.sin()).abs() / math.sqrt(size),
        u * math.pi / size,
    )


def magnitudes(features, weight, sigma, grad, layer, dropped):
    """What the roundings are relative to: every product of the chain in absolute values, as in `golden_of`.

    `dropped` is the unit roundoff whose quarter bounds the multipliers of the frequencies that are left out; it is
    added to every multiplier.
    """
    ndim, spatial = features.ndim - 3, features.shape[3:]
    c_out, per_in = weight.shape[:2]
    per_out = c_out // layer.groups
    orders = layer.orders(ndim)
    image, cotangent, mix = features.double().abs(), grad.double().abs(), weight.double().abs()
    result = torch.zeros_like(cotangent), torch.zeros_like(image), torch.zeros_like(mix), torch.zeros_like(sigma)
    bases = [rows_of(size, layer.border) for size in spatial]

    def along(x, matrices):
        for axis, matrix in enumerate(matrices, start=1):
            x = (x.movedim(axis, -1) @ matrix.T).movedim(-1, axis)
        return x

    for s in range(len(features)):
        for o in range(c_out):
            for i in range(per_in):
                channel = o // per_out * per_in + i
                place = (s,)
                if sigma.ndim == 3:
                    place = (s, min(o, sigma.shape[1] - 1), min(channel, sigma.shape[2] - 1))
                value = sigma[place].double()
                for j, (a, inverse) in enumerate(zip(orders, inverse_factorials(orders), strict=True)):
                    plain, changed = [], []
                    for n, (even, odd, w) in zip(a, bases, strict=True):
                        exponent = smoothing_exponent(w)
                        multiplier = transfer_factor(w, n).abs() * torch.exp(-(value**2) * exponent)
                        multiplier = multiplier + dropped / (4 * value**n)
                        rows = (odd if n % 2 else even).T
                        plain.append((rows * multiplier) @ even)
                        changed.append((rows * (multiplier * exponent)) @ even)
                    factor = value ** (layer.norm_power * sum(a)) * inverse
                    product = factor * mix[o, i, j]
                    jet = along(image[s, :, channel], plain)
                    pairing = factor * (cotangent[s, :, o] * jet).sum()
                    result[0][s, :, o] += product * jet
                    result[1][s, :, channel] += product * along(cotangent[s, :, o], [m.T for m in plain])
                    result[2][o, i, j] += pairing
                    result[3][place] += layer.norm_power * sum(a) / value * mix[o, i, j] * pairing
                    for axis in range(ndim):
                        matrices = [changed[k] if k == axis else plain[k] for k in range(ndim)]
                        diffused = (cotangent[s, :, o] * along(image[s, :, channel], matrices)).sum()
                        result[3][place] += 2 * value * product * diffused
    return result


def bounds(features, weight, sigma, bias, grad, layer, golden):
    """Elementwise bounds of output and gradients.

    A path from an image to the output is, per axis, an analysis (N / 2 products of a sum of two pixels with an entry,
    whose cosine, norm and their product are rounded) and a synthesis (N products); a multiplier of order n whose sines
    are rounded and raised to powers, 4 n + 4 roundings per axis; and the mixing. Gradients of weights and sigma add up
    what meets at every frequency of every image. Narrow features: both factors of the mixing are rounded, bfloat16 by
    cutting (the interpreter's way), which is twice the unit roundoff.
    """
    dtype, spatial = features.dtype, features.shape[3:]
    unit = unit_roundoff(dtype)
    mixed = max(weight.shape[0] // layer.groups, weight.shape[1]) * weight.shape[2]
    path = sum(2 * n + 16 for n in spatial) + mixed + 4 * layer.order + 4 * len(spatial) + 8
    places = features.shape[0] * features.shape[1] * math.prod(spatial) * max(features.shape[2], weight.shape[0])
    plain = magnitudes(features, weight, sigma, grad, layer, 0.0)
    perturbed = magnitudes(features, weight, sigma, grad, layer, unit)
    factors = (1 + 2 * unit) ** 2 - 1 if dtype == torch.bfloat16 else 0.0
    result = []
    for k, length in enumerate((path, path, 2 * path + places, 2 * path + places + mixed)):
        bound = (gamma(length, torch.float32) + factors) * perturbed[k] + perturbed[k] - plain[k]
        if k == 0 and bias is not None:
            bound = bound + gamma(2, torch.float32) * bias.double().abs().view(-1, *(1,) * len(spatial))
        if k < 2:
            bound = bound + (2 if dtype == torch.bfloat16 else 1) * output_rounding(golden[k], dtype)
        result.append(bound)
    return result


def check(features, weight, sigma, bias, grad, layer, **options):
    """Output and every gradient within the bounds."""
    out, grad_features, sums, grad_sigma = run_route(features, weight, sigma, bias, grad, layer, **options)
    golden = golden_of(features, weight, sigma, bias, grad, layer)
    limits = bounds(features, weight, sigma, bias, grad, layer, golden)
    actual = (out, grad_features, sums.weight.sum(0), grad_sigma)
    for name, value, exact, limit in zip(NAMES, actual, golden, limits, strict=True):
        assert_within_rounding(value, exact, limit, name)


def problem(randn, spatial, *, S=1, B=1, C_in=2, C_out=2, kind="scale", dtype=torch.float32, low=0.8, **static):
    """Random arguments of `check`: sigma from `low` to `low` + 3."""
    layer = Layer(**{
        "order": 2, "zero_order": False, "groups": 1, "norm_power": 1.0, "discretisation": "discrete",
        "border": "symmetric", **static,
    })  # fmt: skip
    n_jet = len(jet_orders(len(spatial), layer.order, zero_order=layer.zero_order))
    shape = {"scale": (S,), "input": (S, 1, C_in), "output": (S, C_out, 1)}[kind]
    sigma = low + 3 * torch.sigmoid(randn(*shape))
    return (
        randn(S, B, C_in, *spatial).to(dtype), randn(C_out, C_in // layer.groups, n_jet).to(dtype), sigma,
        randn(C_out).to(dtype), randn(S, B, C_out, *spatial).to(dtype), layer,
    )  # fmt: skip


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spatial", [(9,), (5, 6)], ids=str)
def test_every_border_and_shape_of_sigma(spatial, kind, border, randn):
    check(*problem(randn, spatial, S=2, C_in=2, C_out=3, kind=kind, border=border))


@pytest.mark.slow
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_three_dimensions(kind, border, randn):
    check(*problem(randn, (3, 4, 5), S=2, C_in=2, C_out=1, kind=kind, border=border))


@pytest.mark.parametrize("order", [0, 1, 3, 4, 6])
@pytest.mark.parametrize("border", ["symmetric", pytest.param("circular", marks=pytest.mark.slow)])
def test_every_order(order, border, randn):
    check(*problem(randn, (7, 4), order=order, zero_order=True, norm_power=0.75, border=border))


@pytest.mark.parametrize("order", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_orders_in_three_dimensions(order, randn):
    check(*problem(randn, (4, 3, 5), order=order, C_in=1, border="circular"))
    check(*problem(randn, (3, 5, 2), order=order, C_in=1, kind="output"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("groups", "C_in", "C_out"), [(2, 4, 6), (2, 2, 4), (5, 5, 5)])
def test_groups_and_depthwise(groups, C_in, C_out, kind, randn):
    check(*problem(randn, (4, 5), C_in=C_in, C_out=C_out, groups=groups, kind=kind))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_more_channels_than_a_tile(kind, randn):
    check(*problem(randn, (3, 1), C_in=18, C_out=17, kind=kind, order=1))
    check(*problem(randn, (3,), C_in=18, C_out=18, groups=18, kind=kind))


SIZES = [(1,), (2,), (31,), (32,), (33,), (34,), (67,), (1, 1), (1, 7), (17, 3), (3, 16), (1, 2, 1)]


@pytest.mark.parametrize("spatial", SIZES, ids=str)
@pytest.mark.parametrize("border", ["symmetric", pytest.param("circular", marks=pytest.mark.slow)])
def test_sizes_around_the_blocks(spatial, border, randn):
    """Odd, even, prime and one pixel; sigma 0.5 to 3.5 keeps from all to a few of the frequencies."""
    check(*problem(randn, spatial, S=2, low=0.5, border=border, C_in=1, C_out=1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spatial", [(9,), pytest.param((6, 5), marks=pytest.mark.slow)], ids=str)
def test_narrow_features(spatial, kind, dtype, randn):
    check(*problem(randn, spatial, B=2, C_in=3, kind=kind, dtype=dtype))


def test_large_coefficients_of_float16_features(randn):
    """The constant of 40 pixels of 60000 is beyond the range of float16, and so is its cotangent."""
    arguments = list(problem(randn, (40,), dtype=torch.float16, order=1, zero_order=True))
    arguments[0] = arguments[0].abs().clamp_max(1) + 59000
    arguments[1] = arguments[1] / 8
    check(*arguments)


def _views(x):
    yield x.transpose(-1, -2).contiguous().transpose(-1, -2)
    yield x.movedim(2, -1).contiguous().movedim(-1, 2)
    yield torch.stack([x, x + 1], -1)[..., 0]
    yield torch.cat([x.new_full((1, *x.shape[1:]), 7), x])[1:]


def test_memory_layout_does_not_matter(randn):
    features, weight, sigma, bias, grad, layer = problem(randn, (5, 4), C_in=2, B=2)
    expected = run_route(features, weight, sigma, bias, grad, layer)
    for image, cotangent in zip(_views(features), _views(grad), strict=True):
        strided = torch.stack([weight, weight], -1)[..., 0]
        actual = run_route(image, strided, sigma, bias, cotangent, layer)
        for value, other in zip(actual[:2], expected[:2], strict=True):
            assert torch.equal(value, other)
        assert torch.equal(actual[2].weight, expected[2].weight)
        assert torch.equal(actual[2].diffusion, expected[2].diffusion)


def test_a_lifted_image_and_a_constant_cotangent(randn):
    features, weight, sigma, bias, grad, layer = problem(randn, (5, 6), S=2)
    lifted, constant = features[:1].expand(2, -1, -1, -1, -1), grad[..., :1, :1].expand(-1, -1, -1, 5, 6)
    check(lifted, weight, sigma, bias, constant, layer)


@pytest.mark.parametrize("kind", KINDS)
def test_other_routes_are_left_alone(kind, randn):
    """Scale channels of the other route: not read (NaN everywhere), not written, no share in any sum."""
    features, weight, sigma, bias, grad, layer = problem(randn, (5, 4), S=3, kind=kind)
    expected = run_route(features, weight, sigma, bias, grad, layer)
    for x in (features, sigma, grad):
        x[0] = x[2] = math.nan
    out, grad_features, sums, _ = run_route(features, weight, sigma, bias, grad, layer, routes=[0, 1, 0])
    assert torch.equal(out[1], expected[0][1])
    assert torch.equal(grad_features[1], expected[1][1])
    for value, other in zip(sums, expected[2], strict=True):
        assert torch.equal(value[1], other[1])
        assert not value[::2].any()
    assert bool(out[::2].isnan().all())
    assert bool(grad_features[::2].isnan().all())


def test_nan_stays_in_its_image_and_group(randn):
    features, weight, sigma, bias, grad, layer = problem(randn, (5, 4), S=2, B=2, C_in=4, C_out=4, groups=2)
    features[0, 1, 2, 3, 3] = math.nan
    grad[1, 0, 1, 2, 2] = math.nan
    out, grad_features, sums, _ = run_route(features, weight, sigma, bias, grad, layer)
    dirty = out.isnan().flatten(3).any(-1).nonzero().tolist()
    assert dirty == [[0, 1, 2], [0, 1, 3]]
    assert grad_features.isnan().flatten(3).any(-1).nonzero().tolist() == [[1, 0, 0], [1, 0, 1]]
    assert sums.weight.isnan().flatten(2).any(-1).nonzero().tolist() == [[0, 2], [0, 3], [1, 1]]


@pytest.mark.parametrize("value", [math.nan, *(pytest.param(x, marks=pytest.mark.slow) for x in (0.0, -1.0, math.inf))])
@pytest.mark.parametrize("kind", KINDS)
def test_a_sigma_that_is_not_positive_is_nan(value, kind, randn):
    features, weight, sigma, bias, grad, layer = problem(randn, (5,), S=2, kind=kind)
    sigma[0] = value
    out, grad_features, sums, _ = run_route(features, weight, sigma, bias, grad, layer, routes=[1, 1])
    for result in (out, grad_features, sums.weight, sums.diffusion):
        assert bool(result[0].isnan().all())
        assert bool(result[1].isfinite().all())


@pytest.mark.parametrize("sigma", [1e3, 1e9])
@pytest.mark.parametrize("border", BORDERS)
def test_a_huge_sigma_leaves_the_mean(sigma, border, randn):
    features, weight, _, _, grad, layer = problem(randn, (6, 5), zero_order=True, border=border)
    out, _, sums, _ = run_route(features, weight, torch.tensor([sigma]).double(), None, grad, layer)
    mean = torch.einsum("oi,bi->bo", weight[..., 0], features[0].mean((-1, -2)))
    scale = float(weight[..., 0].abs().sum() * features.abs().max())
    assert float((out[0] - mean[..., None, None]).abs().max()) < 64 * unit_roundoff(torch.float32) * scale
    assert not sums.weight[..., 1:].any()
    assert not sums.diffusion.any()


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("sigma", [2.0, 8.0])
def test_every_jet_keeps_its_digits(sigma, border, randn):
    """Relative to the jet's own norm: no order loses digits to the constant of the image, however large sigma is."""
    size, order, walk = 40, 4, 4.0
    features = randn(1, 1, 1, size).relu().float() + 1
    layer = Layer(order, False, 1, 1.0, "discrete", border)
    weight = torch.eye(order)[:, None]
    value = torch.tensor([sigma], dtype=torch.float64)
    grad = torch.ones(1, 1, order, size)
    out = run_route(features, weight, value, None, grad, layer)[0]
    golden = golden_of(features, weight, value, None, grad, layer)[0]
    error = relative_error(out, golden, (0, 1, 3))
    even, odd, w = rows_of(size, border)
    for n in range(1, order + 1):
        multiplier = sigma**n * transfer_factor(w, n).abs() * torch.exp(-(sigma**2) * smoothing_exponent(w))
        direct = ((odd if n % 2 else even).T * multiplier) @ (even @ features[0, 0, 0].double())
        norm = golden[0, 0, n - 1].norm() * math.factorial(n)
        allowed = unit_roundoff(torch.float32) * (1 + walk * direct.norm() / norm)
        assert float(error[n - 1]) <= float(allowed), (n, float(error[n - 1]), float(allowed))


@pytest.mark.parametrize(("S", "B", "C_in", "C_out"), [(1, 1, 1, 1), (3, 1, 1, 2), (1, 3, 2, 1)])
def test_one_of_everything(S, B, C_in, C_out, randn):
    check(*problem(randn, (5, 4), S=S, B=B, C_in=C_in, C_out=C_out))


def test_an_empty_batch(randn):
    features, weight, sigma, bias, grad, layer = problem(randn, (5, 4), S=2, B=0)
    out, grad_features, sums, _ = run_route(features, weight, sigma, bias, grad, layer)
    assert out.numel() == grad_features.numel() == 0
    assert not sums.weight.any()
    assert not sums.diffusion.any()


@pytest.mark.parametrize("kind", ["scale", "output"])
def test_a_few_images_at_a_time(kind, randn, monkeypatch):
    """Three images in buffers for one and for two: the same output, sums that differ by the order of addition."""
    arguments = problem(randn, (5, 4), S=2, B=3, kind=kind)
    whole = run_route(*arguments)
    image = 4 * 2 * (4 * 2 + 2 * 2 + 2) * 20
    for size in (0, 2 * image):
        monkeypatch.setattr(spectral, "TEMPORARY_BYTES", size)
        assert spectral._images_at_once(arguments[0], 2, 4) == max(1, size // image)
        check(*arguments)
        parts = run_route(*arguments)
        assert torch.equal(parts[0], whole[0])
        assert torch.equal(parts[1], whole[1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("needs", [(True, False, False), (False, True, False), (False, False, True)], ids=str)
def test_only_what_is_asked_for(needs, kind, randn):
    arguments = problem(randn, (5,), S=2, kind=kind)
    whole = run_route(*arguments)
    some = run_route(*arguments, needs=needs)
    if needs[0]:
        assert torch.equal(some[1], whole[1])
    else:
        assert bool(some[1].isnan().all())
    if needs[1] or needs[2]:
        assert torch.equal(some[2].weight, whole[2].weight)
    if needs[2]:
        assert torch.equal(some[2].diffusion, whole[2].diffusion)


def test_two_runs_agree_bit_by_bit(randn):
    arguments = problem(randn, (9, 7), S=2, B=2, C_in=3, kind="input")
    first, second = run_route(*arguments), run_route(*arguments)
    for a, b in zip((*first[:2], *first[2]), (*second[:2], *second[2]), strict=True):
        assert torch.equal(a, b)


def test_float16_products_have_the_range_of_float32():
    assert spectral_mix.spectral_product(torch.float16) == "tf32"
    assert spectral_mix.spectral_product(torch.bfloat16) == "bfloat16"
    assert spectral_mix.spectral_product(torch.float32) == "float32"


def test_cost_by_hand_and_falling_with_sigma():
    layer = Layer(1, False, 1, 1.0, "discrete", "symmetric")
    cost = spectral.spectral_cost(2, (8,), (3,), 5, 7, layer, 2)
    # Analysis of 2 x 5 vectors, one class of order 1, synthesis of 2 x 7 vectors from it.
    assert cost.bytes == 10 * (8 * 2 + 3 * 4) + 4 * 2 * 3 * (5 + 7) + 14 * (8 * 2 + 3 * 4)
    assert cost.flops == 2 * (10 * 3 * 4 + 2 * 3 * 5 * 7 + 14 * 3 * 4)
    layer = Layer(2, False, 1, 1.0, "discrete", "symmetric")
    costs = []
    for sigma in (4.0, 8.0, 16.0):
        count = rank(112, sigma, 2, "symmetric", unit_roundoff(torch.float32))
        both = [
            spectral.spectral_cost(64, (112, 112), (count,) * 2, 32, 48, layer, 4, backward=way)
            for way in (False, True)
        ]
        costs.append(both[0] + both[1])
    for larger, smaller in itertools.pairwise(costs):
        assert smaller.bytes < larger.bytes
        assert smaller.flops < larger.flops / 2


MUTANTS = {
    "odd part is the even part": ("spectrum", "near + far, near - far", "near + far, near + far"),
    "middle pixel twice": ("spectrum", "(k != mirror)", "(k < size)"),
    "norm of the constant": ("spectrum", "special = k == 0", "special = k < 0"),
    "norm of the last circular row": ("spectrum", "== size)", "== 2 * size)"),
    "sign of the sine rows": (
        "spectrum",
        "    if ODD:\n        index += 3 * size",
        "    if ODD:\n        index += size",
    ),
    "circular sines as cosines": ("spectrum", "index += (k % 2) * (3 * size)", "index += 0 * k"),
    "last row of an odd rank": ("spectrum", "(rank + 1) // 2, BLOCK_K", "rank // 2, BLOCK_K"),
    "mirror image": ("spectrum", "symmetric - antisymmetric", "symmetric + antisymmetric"),
    "bias on one half": ("spectrum", "far + bias", "far"),
    "one axis undamped": ("spectral_mix", "result * tl.load(decay_1", "result + 0 * tl.load(decay_1"),
    "sine for its square": ("spectral_mix", "half * half, sine", "half, sine"),
    "frequency pi": ("spectral_mix", "-size, 3 * size)", "size, 3 * size)"),
    "one axis of the Laplacian": ("spectral_mix", "2 * (h_0 + h_1 + h_2)", "2 * (h_0 + h_2)"),
    "one class for all": ("spectral_mix", "(b * 0 + c) * source_class", "(b * 0 + c) * 0"),
    "no factor": ("spectral_weight", "factor * (tl.sum", "(tl.sum"),
    "a share lost": ("spectral_weight", "tl.minimum(low + share,", "tl.minimum(low + share - 1,"),
    "class of the cotangent": ("spectral_weight", "+ PASSES[3 * p]) * g_class", "+ 0) * g_class"),
    "half the diffusion": ("spectral", "-2 * sigma", "-sigma"),
    "sums of the last images": ("spectral", "diffusion += summed", "diffusion = summed"),
    "weights of the last images": ("spectral", "grad_weight += launch", "grad_weight = launch"),
}


def mutant_problems(randn):
    """Both borders, odd and even sizes, two images, and a rank of 33: one more than two blocks of pairs.

    No sigma is so large that its highest frequency, which a mistake may be about, is lost in the bound.
    """
    problems = [
        problem(randn, (5, 6), border="circular"),
        problem(randn, (5, 7), B=2),
        problem(randn, (33,), order=1, C_in=1, C_out=1),
    ]
    for _, _, sigma, *_ in problems:
        sigma.fill_(0.9)
    return problems


def test_the_problems_of_the_mutants_are_solved(randn, monkeypatch):
    for arguments in mutant_problems(randn):
        monkeypatch.setattr(spectral, "TEMPORARY_BYTES", 0)
        check(*arguments)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_planted_mistakes_are_found(mutant, randn, plant_in_source, monkeypatch):
    """Each of them breaks one of three problems, which the unaltered kernels solve."""
    name, old, new = MUTANTS[mutant]
    plant_in_source(f"gdtriton.kernels.{name}", old, new)
    for dependent in ("spectral_weight", "spectral"):  # loaded again, they import the mutant
        if dependent != name and not (name == "spectral" or (name, dependent) == ("spectrum", "spectral_weight")):
            plant_in_source(f"gdtriton.kernels.{dependent}", '"""', '"""')
    mutated = importlib.import_module("gdtriton.kernels.spectral")
    monkeypatch.setattr(mutated, "TEMPORARY_BYTES", 0)

    def all_three():
        for arguments in mutant_problems(randn):
            check(*arguments, module=mutated)

    with pytest.raises(AssertionError, match="rounding bound"):
        all_three()
