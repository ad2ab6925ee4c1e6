"""The jet layer and the jets on triton kernels, in triton's interpreter against the float64 reference."""

import itertools

import pytest
import torch

from gdtriton import GaussianJetConv2d, gaussian_jet, gaussian_smooth, jet_conv, jet_orders
from gdtriton.kernels import chain, jet, layer
from gdtriton.operators import BORDERS, axis_operator, inverse_factorials
from gdtriton.taps import DISCRETISATIONS, TRUNCATION, difference_radius, difference_taps
from gdtriton.testing import assert_relative_to_jet, assert_within_rounding, gamma, output_rounding, unit_roundoff

SPATIAL = {1: (35,), 2: (6, 7), 3: (3, 4, 2)}
DEFAULTS = {"order": 2, "zero_order": False, "groups": 1, "norm_power": 1.0, "discretisation": "discrete",
            "border": "symmetric"}  # fmt: skip
SLOW = pytest.mark.slow


def absolute_operators(size, sigma, order, discretisation, border, *, changed=False):
    """Absolute values of what a route multiplies along an axis, [N, N]: the larger of |D_n| |P_0| and |P_n|.

    Changed: of the derivative in sigma, sigma |D_n| |D_2| |P_0| where the diffusion equation is used.
    """
    options = {"discretisation": discretisation, "border": border, "sigma_derivative": changed}
    direct = axis_operator(size, sigma, order, **options).abs()
    reach = difference_radius(order)
    by_difference = _differences(axis_operator(size, sigma, 0, margin=reach, **options), order)
    result = torch.maximum(direct, by_difference)
    if changed and discretisation == "discrete":
        smoothing = axis_operator(size, sigma, 0, margin=reach + 1, discretisation=discretisation, border=border)
        result = torch.maximum(result, sigma * _differences(_differences(smoothing, 2), order))
    return result


def _differences(matrix, order):
    """|D_n| |matrix| along the rows."""
    width = 2 * difference_radius(order) + 1
    return (matrix.abs().unfold(0, width, 1) * difference_taps(order).abs()).sum(-1)


def absolute_layer(
    features, weight, sigma, bias, *, order, zero_order, groups, norm_power, discretisation, border, changed_axis=None
):
    """The layer with every factor by its absolute value, float64 and differentiable; changed along one axis if asked.

    The even and odd parts of an image meet every entry of an operator and its mirror image: each axis of the features
    is added to its own reflection.
    """
    ndim = features.ndim - 3
    orders = jet_orders(ndim, order, zero_order=zero_order)
    image = features
    for axis in range(3, features.ndim):
        image = image + image.flip(axis)
    outputs = []
    for s in range(len(features)):
        jets = []
        for a, factor in zip(orders, inverse_factorials(orders), strict=True):
            jet = image[s]
            for axis, n in enumerate(a):
                changed = axis == changed_axis
                matrix = absolute_operators(
                    features.shape[3 + axis], sigma[s].detach(), n, discretisation, border, changed=changed
                )
                jet = (jet.movedim(axis + 2, -1) @ matrix.T).movedim(-1, axis + 2)
            jets.append(jet * factor * sigma[s] ** (norm_power * sum(a)))
        jets = torch.stack(jets, 2).unflatten(1, (groups, -1))
        mixed = torch.einsum("bgij...,goij->bgo...", jets, weight.unflatten(0, (groups, -1)))
        outputs.append(mixed.flatten(1, 2))
    return torch.stack(outputs) + bias.view(-1, *(1,) * ndim)


def sigma_envelope(absolute, grad, options):
    """Sum of the absolute values of all products in the part of dLoss / dsigma that goes through the smoothing, [S]."""
    features, weight, sigma, bias = (x.detach() for x in absolute)
    total = torch.zeros_like(sigma)
    for axis in range(features.ndim - 3):
        envelope = absolute_layer(features, weight, sigma, 0 * bias, changed_axis=axis, **options)
        total += (envelope * grad.double().abs()).flatten(1).sum(1)
    return total


def relative_rounding(features, weight, options):
    """Relative error of every product chain: arithmetic in float32, jets rounded to a narrow dtype, tables.

    Sums over all pixels are trees of blocks: longest is the chain inside a block, then one per block.
    """
    ndim = features.ndim - 3
    widest = max(features.shape[3:])
    n_jet = weight.shape[2] * (2 * difference_radius(options["order"]) + 1) ** ndim
    pixels = 32 + features[0, :, 0].numel() // 32
    length = 2 * ndim * (widest + 6) + weight.shape[1] * n_jet + pixels + 24
    narrow = unit_roundoff(features.dtype) if features.dtype != torch.float32 else 0.0
    # The interpreter cuts to bfloat16 instead of rounding: twice the unit roundoff.
    return gamma(length, torch.float32) + 2 * narrow + ndim * TRUNCATION


def stored(golden, dtype):
    """One rounding at the store, as above twice in the interpreter."""
    return 2 * output_rounding(golden, dtype)


def inputs(randn, *, ndim=2, spatial=None, c_in=2, c_out=3, batch=1, sigma=(0.8, 2.0), dtype=torch.float32, **options):
    """Features, weight, sigma, bias and all options of a layer."""
    options = DEFAULTS | options
    spatial = SPATIAL[ndim] if spatial is None else spatial
    n_jet = len(jet_orders(len(spatial), options["order"], zero_order=options["zero_order"]))
    features = randn(len(sigma), batch, c_in, *spatial).to(dtype)
    weight, bias = randn(c_out, c_in // options["groups"], n_jet).to(dtype), randn(c_out).to(dtype)
    return features, weight, torch.tensor(sigma), bias, options


def check(features, weight, sigma, bias, options, *, backward=True):
    """Output and every gradient of the kernels within their rounding bounds."""
    given = [x.detach().clone().requires_grad_(backward) for x in (features, weight, sigma, bias)]
    exact = [x.detach().double().requires_grad_(backward) for x in (features, weight, sigma, bias)]
    golden = jet_conv(*exact, impl="reference", **options)
    actual = jet_conv(features if not backward else given[0], *given[1:], impl="triton", **options)
    assert actual.dtype == features.dtype
    assert actual.is_contiguous()
    absolute = [x.detach().double().abs().requires_grad_() for x in (features, weight, sigma, bias)]
    envelope = absolute_layer(*absolute, **options)
    relative = relative_rounding(features, weight, options)
    assert_within_rounding(actual, golden, relative * envelope + stored(golden, features.dtype), "output")
    if not backward:
        return
    grad = torch.randn(golden.shape, generator=torch.Generator().manual_seed(1)).to(features.dtype)
    results = torch.autograd.grad(actual, given, grad)
    expected = torch.autograd.grad(golden, exact, grad.double())
    bounds = torch.autograd.grad(envelope, absolute, grad.double().abs())
    bounds = list(bounds)
    bounds[2] = bounds[2] + sigma_envelope(absolute, grad, options)
    for k, name in enumerate(("features", "weight", "sigma", "bias")):
        limit = relative * bounds[k] + stored(expected[k], results[k].dtype)
        assert_within_rounding(results[k], expected[k], limit, f"gradient of {name}")


SOME = ["discrete", "integrated", "sampled-derivative"]  # the rest of a family is for the slow run


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("discretisation", [d if d in SOME else pytest.param(d, marks=SLOW) for d in DISCRETISATIONS])
def test_every_discretisation_and_border(discretisation, border, randn):
    sigma = (0.8, 2.0) if discretisation != "normalised-sampled" else (1.2,)
    check(*inputs(randn, spatial=(5, 3), c_out=2, sigma=sigma, discretisation=discretisation, border=border))


@pytest.mark.parametrize("ndim", [1, 2, pytest.param(3, marks=SLOW)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("order", "zero_order", "border"), [(0, True, "zero"), (1, True, "circular"), (2, True, "zero")]
)
def test_dimensions_dtypes_and_orders(ndim, dtype, order, zero_order, border, randn):
    options = {"order": order, "zero_order": zero_order, "border": border, "norm_power": 0.6}
    check(*inputs(randn, ndim=ndim, dtype=dtype, **options))


@pytest.mark.parametrize("order", [3, pytest.param(4, marks=SLOW)])
@pytest.mark.parametrize("discretisation", ["discrete", "sampled-derivative"])
def test_higher_orders_by_the_operators_themselves(order, discretisation, randn):
    check(*inputs(randn, spatial=(5, 4), order=order, discretisation=discretisation, border="zero", sigma=(1.5,)))


@pytest.mark.parametrize(
    ("c_in", "c_out", "groups"), [(1, 1, 1), (17, 3, 1), (2, 33, 1), (4, 6, 2), (5, 5, 5), (3, 6, 3)]
)
def test_channels_around_the_blocks_and_groups(c_in, c_out, groups, randn):
    check(*inputs(randn, spatial=(3, 4), c_in=c_in, c_out=c_out, groups=groups, sigma=(1.1,)))


@pytest.mark.parametrize("spatial", [(1, 1), (1, 37), (1,), (2, 1, 1), (64,), pytest.param((33, 2), marks=SLOW)])
def test_sizes_around_the_blocks(spatial, randn):
    check(*inputs(randn, spatial=spatial, c_in=1, c_out=1, sigma=(0.9, 3.0), batch=2))


def test_views(randn):
    features, weight, sigma, bias, options = inputs(randn, spatial=(4, 5), c_out=1, batch=2)
    wide = randn(2, 4, 2, 8, 10, dtype=torch.float32)
    views = {
        "channels last": features.movedim(2, -1).contiguous().movedim(-1, 2),
        "lifted": features[:1].expand(2, -1, -1, -1, -1),
        "strided": wide[:, ::2, :, ::2, 1::2],
        "transposed": features.mT.contiguous().mT,
        "narrowed": wide[:, 1:3, :, 2:6, 3:8],
    }
    for view in views.values():
        check(view, weight, sigma, bias, options)
    check(features, weight.mT.contiguous().mT, sigma, bias, options)


def test_jets_keep_their_digits(randn):
    """Orders 3 and 4 at a sigma whose differences would have lost them: relative to the jet itself."""
    image = randn(2, 24, dtype=torch.float32)
    for border in BORDERS:
        golden = gaussian_jet(image.double(), 6.0, 4, ndim=1, border=border, impl="reference")
        actual = gaussian_jet(image, 6.0, 4, ndim=1, border=border, impl="triton")
        assert_relative_to_jet(actual, golden, unit_roundoff(torch.float32), 24, (-1,))


JETS = ["discrete", "integrated", "sampled-derivative"]
JET_CASES = [
    *itertools.product([1, 2], JETS, BORDERS),
    *[pytest.param(3, name, border, marks=SLOW) for name, border in zip(JETS, BORDERS, strict=True)],
]


@pytest.mark.parametrize(("ndim", "discretisation", "border"), JET_CASES)
def test_jets(ndim, discretisation, border, randn):
    """A jet is a layer with one weight of 1, order by order; its gradients too."""
    options = {"order": 2, "norm_power": 0.7, "discretisation": discretisation, "border": border}
    image, sigma = randn(2, *SPATIAL[ndim], dtype=torch.float32), torch.tensor([0.8, 3.0])
    given = [image.clone().requires_grad_(), sigma.clone().requires_grad_()]
    exact = [image.double().requires_grad_(), sigma.double().requires_grad_()]
    actual = gaussian_jet(*given, ndim=ndim, impl="triton", **options)
    golden = gaussian_jet(*exact, ndim=ndim, impl="reference", **options)
    orders = jet_orders(ndim, 2)
    factorials = 1 / torch.tensor(inverse_factorials(orders), dtype=torch.float64)
    absolute = [image.double().abs().requires_grad_(), torch.diag(factorials)[:, None].contiguous(), sigma.double()]
    absolute[2].requires_grad_()
    everything = DEFAULTS | options | {"zero_order": True}
    lifted = absolute[0][None, :, None].expand(2, -1, -1, *SPATIAL[ndim])
    envelope = absolute_layer(lifted, absolute[1], absolute[2], torch.zeros(len(orders)).double(), **everything)
    relative = relative_rounding(lifted.float(), absolute[1], everything)
    assert_within_rounding(actual, golden, relative * envelope + stored(golden, torch.float32))
    grad = randn(*golden.shape, dtype=torch.float32)
    results = torch.autograd.grad(actual, given, grad)
    expected = torch.autograd.grad(golden, exact, grad.double())
    bounds = torch.autograd.grad(envelope, (absolute[0], absolute[2]), grad.double().abs())
    bound = relative * bounds[0] + stored(expected[0], torch.float32)
    assert_within_rounding(results[0], expected[0], bound, "gradient of the image")
    parts = [lifted, absolute[1], absolute[2], torch.zeros(len(orders)).double()]
    bound = relative * (bounds[1] + sigma_envelope(parts, grad, everything))
    assert_within_rounding(results[1], expected[1], bound + stored(expected[1], torch.float32), "gradient of sigma")


def test_smoothing_and_shapes_of_jets(randn):
    image = randn(3, 2, 5, 4, dtype=torch.float32)
    for sigma, lead in ((1.5, ()), ([1.5, 2.0], (2,))):
        smooth = gaussian_smooth(image, sigma, impl="triton")
        assert smooth.shape == (*lead, 3, 2, 5, 4)
        assert_within_rounding(
            smooth, gaussian_smooth(image.double(), sigma, impl="reference"), 1e-6 * image.abs().max()
        )
    assert gaussian_jet(image[:0], 1.0, impl="triton").shape == (0, 2, 6, 5, 4)


def test_empty_batch(randn):
    features, weight, sigma, bias, options = inputs(randn)
    given = [features[:, :0].requires_grad_(), weight.requires_grad_(), sigma.requires_grad_(), bias.requires_grad_()]
    output = jet_conv(*given, impl="triton", **options)
    assert output.shape == (2, 0, 3, 6, 7)
    grads = torch.autograd.grad(output.sum(), given)
    assert all(not grad.any() for grad in grads)


@pytest.mark.parametrize("value", [torch.nan, 0.0, -1.0, torch.inf])
def test_sigma_that_is_none_is_seen_in_the_result(value, randn):
    """On a GPU nobody reads sigma: the scale channel is NaN, and only that one."""
    features, weight, sigma, bias, options = inputs(randn, spatial=(3, 4))
    static = [options[name] for name in ("order", "zero_order", "groups", "norm_power", "discretisation", "border")]
    sigma[0] = value
    output, _ = torch.ops.gdtriton.jet_conv(features, weight, sigma, bias, *static, "triton")
    assert output[0].isnan().all()
    assert output[1].isfinite().all()


def test_huge_sigma(randn):
    """Far wider than the image: the mean of the pixels, and derivatives that vanish."""
    features, weight, _, bias, options = inputs(randn, spatial=(4, 3), zero_order=True)
    output = jet_conv(features, weight, [50.0, 300.0], bias, impl="triton", **options)
    mean = features.double().mean((-1, -2), keepdim=True)
    expected = torch.einsum("sbi...,oi->sbo...", mean, weight[..., 0].double()) + bias.double().view(-1, 1, 1)
    size = features.double().abs().mean((-1, -2), keepdim=True)
    bound = torch.einsum("sbi...,oi->sbo...", size, weight[..., 0].double().abs()) + bias.double().abs().view(-1, 1, 1)
    bound = (gamma(2 * 2 * (4 + 6) + 12, torch.float32) * bound).expand_as(output)
    assert_within_rounding(output, expected.expand_as(output), bound)


def test_a_call_of_both_routes_is_the_calls_of_each(randn):
    """Scale channels do not touch each other: the mixed call agrees bit by bit with one call for each."""
    features, weight, sigma, bias, options = inputs(randn, spatial=(4, 5), sigma=(0.9, 6.0))

    def run(part):
        given = [x.clone().requires_grad_() for x in (features[part], weight, sigma[part], bias)]
        output = jet_conv(*given, impl="triton", **options)
        return [output, *torch.autograd.grad(output.sum(), given)]

    both, fine, coarse = run(slice(0, 2)), run(slice(0, 1)), run(slice(1, 2))
    for k in (0, 1, 3):  # output, features, sigma
        assert torch.equal(both[k], torch.cat([fine[k], coarse[k]]))
    assert torch.equal(both[2], fine[2] + coarse[2])


def test_two_runs_are_equal_bit_by_bit(randn):
    features, weight, sigma, bias, options = inputs(randn, spatial=(5, 8), batch=2, dtype=torch.bfloat16)

    def run():
        given = [x.clone().requires_grad_() for x in (features, weight, sigma, bias)]
        output = jet_conv(*given, impl="triton", **options)
        return [output, *torch.autograd.grad(output.sum(), given)]

    assert all(torch.equal(a, b) for a, b in zip(run(), run(), strict=True))


def test_second_derivatives(randn):
    features, weight, sigma, bias, options = inputs(randn, spatial=(3, 4), sigma=(1.3,))

    def penalty(dtype, impl):
        given = [x.to(dtype).requires_grad_() for x in (features, weight, sigma, bias)]
        output = jet_conv(*given, impl=impl, **options)
        first = torch.autograd.grad(output.square().sum(), given[:3], create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), given[:3])

    actual, golden = penalty(torch.float32, "triton"), penalty(torch.float64, "reference")
    features, weight, sigma = (x.detach().double() for x in (features, weight, sigma))
    inner = [x.norm() * g.norm() for x, g in zip((features, weight), golden, strict=False)]
    # Sigma's is a sum of terms as large as <w, d/dw> / sigma and <f, d/df> / sigma that may cancel.
    sizes = [golden[0].norm(), golden[1].norm(), sum(inner) / sigma]
    for result, exact, size in zip(actual, golden, sizes, strict=True):
        assert float((result.double() - exact).norm()) <= 100 * unit_roundoff(torch.float32) * float(size)


@SLOW
@pytest.mark.parametrize("discretisation", ["discrete", "sampled-derivative"])
def test_opcheck(discretisation, randn):
    features, weight, sigma, bias, options = inputs(randn, spatial=(3, 4), discretisation=discretisation)
    given = [x.requires_grad_() for x in (features, weight, sigma, bias)]
    static = [options[name] for name in ("order", "zero_order", "groups", "norm_power", "discretisation", "border")]
    torch.library.opcheck(torch.ops.gdtriton.jet_conv.default, (*given, *static, "triton"))
    image = randn(2, 3, 4, dtype=torch.float32).requires_grad_()
    rest = (2, 2, True, 1.0, discretisation, "symmetric", "triton")
    torch.library.opcheck(torch.ops.gdtriton.gaussian_jet.default, (image, sigma, *rest))


def test_compile_export_and_autocast(randn, reset_dynamo):
    conv = GaussianJetConv2d(2, 3, impl="triton")
    features = randn(1, 2, 5, 4, dtype=torch.float32)
    expected = conv(features)
    compiled = torch.compile(conv, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(features), expected)
    compiled(features).sum().backward()
    assert conv.weight.grad.isfinite().all()
    program = torch.export.export(conv, (features,))
    assert torch.equal(program.module()(features), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(features).dtype == torch.bfloat16


MUTANTS = [
    ("mix", "jet *= tl.load(factors_ptr + s * (len(STARTS) - 1) + j)", "jet *= tl.load(factors_ptr + j)"),
    ("mix", "sign = -1 if mirrored else 1", "sign = 1"),
    ("mix", "((kx >= 0) & (kx < width))", "((kx >= 0) & (kx < width - 1))"),
    ("mix", "if HAS_BIAS:", "if False:"),
    ("mix", "x = pixel % width", "x = pixel % height"),
    ("weight_grad", "low = tl.program_id(0) * chunk", "low = tl.program_id(0) * chunk + 1"),
    ("weight_grad", "b = (step // tiles_p).to(tl.int64)", "b = (step // tiles_p).to(tl.int64) * 0"),
    ("weight_grad", "return partial.sum(0)", "return partial[0]"),
    ("chain", "transpose=True, accumulate=k > 0", "transpose=True, accumulate=False"),
    ("layer", "diffusion = self.sigma.float() * partial.sum(1)", "diffusion = partial.sum(1)"),
    ("layer", "return layer.norm_power / sigma * inner", "return inner / sigma"),
    ("layer", "grad_smoothed, self.layer, shift=-self.margin", "grad_smoothed, self.layer, shift=1 - self.margin"),
    ("tables", "logarithm = tl.log(sigma) * norm_power", "logarithm = tl.log(sigma)"),
]  # fmt: skip


def check_draws(count, randn, **case):
    """Several draws: a gradient in sigma may happen to be small against what cancels in it."""
    for _ in range(count):
        check(*inputs(randn, **case))


@pytest.mark.parametrize(("module", "old", "new"), MUTANTS, ids=[f"{m[0]}-{i}" for i, m in enumerate(MUTANTS)])
def test_mutants(module, old, new, plant_in_source, monkeypatch, randn):
    """A planted fault turns the checks above red."""
    case = {"spatial": (3, 11), "batch": 2}
    if module == "chain":
        case = {"spatial": (3, 4), "discretisation": "sampled-derivative"}
    mutant = plant_in_source(f"gdtriton.kernels.{module}", old, new)
    for user in (chain, jet, layer):  # who imported a function by name
        for attribute in ("launch_mix", "launch_weight_grad", "launch_plan", "launch_taps", "AxisChain"):
            if hasattr(user, attribute) and hasattr(mutant, attribute):
                monkeypatch.setattr(user, attribute, getattr(mutant, attribute))
    with pytest.raises(AssertionError):
        check_draws(6, randn, norm_power=0.5, **case)


def test_mutants_are_red_for_their_fault_only(randn):
    check(*inputs(randn, spatial=(3, 11), batch=2, norm_power=0.5))
    check(*inputs(randn, spatial=(3, 4), discretisation="sampled-derivative", norm_power=0.5))
