"""Adjoints, gradients and second derivatives of the operators."""

import itertools

import pytest
import torch

from gdtriton import gaussian_jet, gaussian_smooth, jet_conv, jet_orders
from gdtriton.operators import BORDERS
from gdtriton.testing import unit_roundoff

U = unit_roundoff(torch.float64)
ROUTES = ("stencil", "spectrum", "operators")
# (route, discretisation, border) that can be forced.
CASES = [(r, "discrete", b) for r in ROUTES for b in BORDERS if not (r == "spectrum" and b == "zero")]
CASES = [c for c in CASES if not (c[0] == "operators" and c[2] != "zero")]
CASES += [("stencil", "integrated", "symmetric"), ("operators", "sampled-derivative", "circular")]
CASES += [("operators", "integrated-derivative", "zero")]


def n_jet(ndim, order, zero_order):
    return len(jet_orders(ndim, order, zero_order=zero_order))


def check_adjoint(ndim, discretisation, border, randn, sigma=(0.9, 3.0), order=3):
    """<jet_conv x, y> = <x, adjoint y>, in features and in weight."""
    spatial = {1: (35,), 2: (9, 34), 3: (4, 5, 6)}[ndim]
    features = randn(2, 2, 2, *spatial).requires_grad_()
    weight = randn(3, 2, n_jet(ndim, order, True)).requires_grad_()
    options = {"order": order, "zero_order": True, "discretisation": discretisation, "border": border}
    output = jet_conv(features, weight, list(sigma), **options)
    cotangent = randn(*output.shape)
    grads = torch.autograd.grad(output, (features, weight), cotangent)
    forward = (output * cotangent).sum()
    # Both sides are sums of the same products in another order; (2 sigma)^n from differences of the smoothed image.
    scale = (output.abs() * cotangent.abs()).sum() * (2 * max(sigma)) ** order
    for x, grad in zip((features, weight), grads, strict=True):
        assert abs((forward - (x * grad).sum()).item()) <= 1e3 * U * scale.item()


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize(("route", "discretisation", "border"), CASES)
def test_adjoint_identity(ndim, route, discretisation, border, randn, force_route):
    force_route(route)
    check_adjoint(ndim, discretisation, border, randn)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("border", BORDERS)
def test_adjoint_identity_of_jets(ndim, border, randn):
    image = randn(2, *{1: (35,), 2: (9, 34), 3: (4, 5, 6)}[ndim]).requires_grad_()
    for discretisation in ("discrete", "integrated-derivative"):
        output = gaussian_jet(image, [0.9, 3.0], 3, ndim=ndim, border=border, discretisation=discretisation)
        cotangent = randn(*output.shape)
        (grad,) = torch.autograd.grad(output, image, cotangent)
        scale = (output.abs() * cotangent.abs()).sum()
        assert abs(((output * cotangent).sum() - (image * grad).sum()).item()) <= 1e3 * U * scale.item()


def layer_inputs(ndim, sigma_kind, groups, randn, order):
    spatial = {1: (5,), 2: (3, 4), 3: (2, 3, 2)}[ndim]
    features = randn(2, 1, 2, *spatial).requires_grad_()
    weight = randn(2, 2 // groups, n_jet(ndim, order, False)).requires_grad_()
    shape = {"scale": (2,), "input": (2, 1, 2), "output": (2, 2, 1)}[sigma_kind]
    sigma = (randn(*shape).abs() * 0.3 + 1.1).requires_grad_()
    return features, weight, sigma, randn(2).requires_grad_()


SOME = [("stencil", "discrete", "symmetric"), ("spectrum", "discrete", "circular"), ("operators", "discrete", "zero")]
# Every route in the quick run, every combination in the slow one.
SWEEP = [pytest.param(*c, id="-".join(c), marks=() if c in SOME else pytest.mark.slow) for c in CASES]


@pytest.mark.parametrize(("route", "discretisation", "border"), SWEEP)
@pytest.mark.parametrize(
    ("sigma_kind", "groups"),
    [
        ("scale", 2),
        ("input", 2),
        pytest.param("output", 2, marks=pytest.mark.slow),
        *(pytest.param(kind, 1, marks=pytest.mark.slow) for kind in ("scale", "input", "output")),
    ],
)
def test_gradcheck_of_the_layer(route, discretisation, border, sigma_kind, groups, randn, force_route):
    force_route(route)
    inputs = layer_inputs(2, sigma_kind, groups, randn, 2)

    def layer(features, weight, sigma, bias):
        return jet_conv(
            features, weight, sigma, bias, order=2, groups=groups, norm_power=0.8,
            discretisation=discretisation, border=border,
        )  # fmt: skip

    assert torch.autograd.gradcheck(layer, inputs)


@pytest.mark.parametrize(("route", "discretisation", "border"), SWEEP)
@pytest.mark.parametrize(
    "sigma_kind",
    ["scale", pytest.param("input", marks=pytest.mark.slow), pytest.param("output", marks=pytest.mark.slow)],
)
def test_gradgradcheck_of_the_layer(route, discretisation, border, sigma_kind, randn, force_route):
    force_route(route)
    features, weight, sigma, bias = layer_inputs(1, sigma_kind, 1, randn, 2)

    def layer(features, weight, sigma, bias):
        return jet_conv(features, weight, sigma, bias, order=2, discretisation=discretisation, border=border)

    assert torch.autograd.gradgradcheck(layer, (features, weight, sigma, bias))


@pytest.mark.slow
@pytest.mark.parametrize("ndim", [1, 3])
@pytest.mark.parametrize("route", ["stencil", "spectrum"])
def test_gradcheck_in_other_dimensions(ndim, route, randn, force_route):
    force_route(route)
    inputs = layer_inputs(ndim, "scale", 1, randn, 2)
    assert torch.autograd.gradcheck(lambda f, w, s, b: jet_conv(f, w, s, b), inputs)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("discretisation", ["discrete", "normalised-sampled", "integrated-derivative"])
@pytest.mark.parametrize("ndim", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_gradcheck_of_jets_and_smoothing(border, discretisation, ndim, randn):
    image = randn(*(4, 3)[:ndim]).requires_grad_()
    sigma = torch.tensor([0.9, 1.6], dtype=torch.float64, requires_grad=True)
    options = {"ndim": ndim, "border": border, "discretisation": discretisation}

    def jets(image, sigma):
        return gaussian_jet(image, sigma, 2, norm_power=0.7, **options)

    def smooth(image, sigma):
        return gaussian_smooth(image, sigma[0], **options)

    for function in (jets, smooth):
        assert torch.autograd.gradcheck(function, (image, sigma))
        if ndim == 1:
            assert torch.autograd.gradgradcheck(function, (image, sigma))


def check_sigma_gradient(randn, sigma_value=1.4, norm_power=0.6, border="symmetric", tolerance=1e4):
    """dLoss/dsigma = sigma <g_L, Laplacian_h L> + (p / sigma) sum_a |a| <w_a, dLoss/dw_a>, from public pieces."""
    features = randn(1, 2, 2, 6, 7)
    weight = randn(3, 2, 5).requires_grad_()
    sigma = torch.tensor([sigma_value], dtype=torch.float64, requires_grad=True)
    output = jet_conv(features, weight, sigma, norm_power=norm_power, border=border)
    cotangent = randn(*output.shape)
    grad_weight, grad_sigma = torch.autograd.grad(output, (weight, sigma), cotangent)
    # The diffusion equation on the input side: smoothing of the Laplacian of the image.
    tiny = gaussian_jet(features, 1e-8, 2, norm_power=0.0, border=border)
    laplacian = tiny.select(-3, 3) + tiny.select(-3, 5)
    with torch.no_grad():
        change = jet_conv(laplacian, weight, sigma, norm_power=norm_power, border=border)
    total = torch.tensor([1.0, 1.0, 2.0, 2.0, 2.0], dtype=torch.float64)
    diffusion = sigma_value * (cotangent * change).sum()
    power = norm_power / sigma_value * (total * weight * grad_weight).sum()
    scale = (cotangent.abs().sum() * weight.abs().sum()).item()
    assert abs((grad_sigma - (diffusion + power)).item()) <= tolerance * U * scale
    # Without the second term it is clearly wrong (the issue that finite differences found).
    assert abs((grad_sigma - diffusion).item()) > 1e6 * U * scale


@pytest.mark.parametrize("border", ["symmetric", "circular"])
@pytest.mark.parametrize("route", ["stencil", "spectrum"])
def test_formula_of_the_sigma_gradient(border, route, randn, force_route):
    force_route(route)
    check_sigma_gradient(randn, border=border)


@pytest.mark.parametrize("needs", list(itertools.product([False, True], repeat=4)), ids=str)
@pytest.mark.parametrize("sigma_value", [1.0, 7.0])
def test_only_what_needs_a_gradient_gets_one(needs, sigma_value, randn):
    sigma = torch.tensor([sigma_value], dtype=torch.float64)
    inputs = [randn(1, 2, 2, 5, 4), randn(3, 2, 5), sigma, randn(3)]
    leaves = [x.clone().requires_grad_() for x in inputs]
    chosen = [leaf if need else x for leaf, x, need in zip(leaves, inputs, needs, strict=True)]
    output = jet_conv(*chosen)
    assert output.requires_grad == any(needs)
    jet_conv(*leaves).square().sum().backward()
    expected = [leaf.grad.clone() for leaf in leaves]
    for leaf in leaves:
        leaf.grad = None
    if any(needs):
        output.square().sum().backward()
    for leaf, need, value in zip(leaves, needs, expected, strict=True):
        if need:
            scale = float(value.abs().max())
            assert (leaf.grad - value).abs().max() <= 1e3 * U * scale
        else:
            assert leaf.grad is None


def _views(features):
    yield features.transpose(-1, -2).contiguous().transpose(-1, -2)
    yield features.movedim(2, -1).contiguous().movedim(-1, 2)
    yield features.flip(-1, 0).flip(-1, 0)
    yield torch.stack([features, features], -1)[..., 1]


@pytest.mark.parametrize("sigma", [1.0, 7.0])
@pytest.mark.parametrize("discretisation", ["discrete", "sampled-derivative"])
def test_gradients_through_views(sigma, discretisation, randn):
    features, weight = randn(2, 2, 3, 5, 6).requires_grad_(), randn(2, 3, 5)
    cotangent = randn(2, 2, 2, 5, 6)

    def gradient(view, cotangent=cotangent):
        output = jet_conv(view, weight, [sigma] * 2, discretisation=discretisation)
        return torch.autograd.grad(output, features, cotangent)[0]

    expected = gradient(features)
    for view in _views(features):
        assert torch.equal(gradient(view), expected)
    for other in _views(cotangent):
        assert torch.equal(gradient(features, other), expected)
    # Stride 0: the gradients of all copies add up.
    expanded = gradient(features[:1].expand(2, -1, -1, -1, -1))
    copied = gradient(features[:1].repeat(2, 1, 1, 1, 1))
    assert (expanded - copied).abs().max() <= 1e2 * U * float(copied.abs().max())
    constant = features[..., 2:3, 2:3].expand(-1, -1, -1, 5, 6)
    scale = float(expected.abs().sum())
    assert (gradient(constant) - gradient(constant.contiguous())).abs().max() <= 1e2 * U * scale
    spread = gradient(features, cotangent[..., :1, :1].expand(-1, -1, -1, 5, 6))
    assert torch.equal(spread, gradient(features, cotangent[..., :1, :1].expand(-1, -1, -1, 5, 6).contiguous()))


def test_derivatives_of_a_loss_that_is_not_linear(randn):
    """A cotangent that depends on the inputs itself, up to third derivatives."""
    features, weight, sigma, _ = layer_inputs(1, "scale", 1, randn, 2)

    def penalty(features, weight, sigma):
        loss = jet_conv(features, weight, sigma).pow(3).sum()
        grads = torch.autograd.grad(loss, (features, weight, sigma), create_graph=True)
        return sum(g.square().sum() for g in grads)

    assert torch.autograd.gradcheck(penalty, (features, weight, sigma))
    assert torch.autograd.gradgradcheck(penalty, (features, weight, sigma), fast_mode=True)

    def jet_penalty(image, sigma):
        loss = gaussian_jet(image, sigma, ndim=1).pow(3).sum()
        return sum(g.square().sum() for g in torch.autograd.grad(loss, (image, sigma), create_graph=True))

    assert torch.autograd.gradcheck(jet_penalty, (features, sigma))


@pytest.mark.parametrize("impl", ["torch", "reference"])
def test_both_implementations_have_the_same_derivatives(impl, randn):
    features, weight, sigma, bias = layer_inputs(2, "input", 1, randn, 2)
    output = jet_conv(features, weight, sigma, bias, impl=impl)
    first = torch.autograd.grad(output.square().sum(), (features, weight, sigma, bias), create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), (features, weight, sigma))
    other = jet_conv(features, weight, sigma, bias, impl="torch" if impl == "reference" else "reference")
    first_other = torch.autograd.grad(other.square().sum(), (features, weight, sigma, bias), create_graph=True)
    second_other = torch.autograd.grad(sum(g.square().sum() for g in first_other), (features, weight, sigma))
    for a, b in zip((*first, *second), (*first_other, *second_other), strict=True):
        assert (a - b).detach().abs().max() <= 1e4 * U * b.detach().abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("sigma", [1.0, 7.0])
def test_gradients_of_narrow_dtypes(dtype, sigma, randn):
    """Float32 arithmetic and one rounding of the gradient, whose cotangent is already rounded."""
    features, weight = randn(1, 2, 2, 9, 8).to(dtype), randn(3, 2, 5).to(dtype)
    cotangent = randn(1, 2, 3, 9, 8).to(dtype)
    grads = {}
    for kind in (dtype, torch.float64):
        f, w = (x.to(kind).requires_grad_() for x in (features, weight))
        grads[kind] = torch.autograd.grad(jet_conv(f, w, [sigma]), (f, w), cotangent.to(kind))
    for narrow, exact in zip(grads[dtype], grads[torch.float64], strict=True):
        assert narrow.dtype == dtype
        error = (narrow.double() - exact).norm() / exact.norm()
        assert float(error) <= unit_roundoff(dtype) + 300 * unit_roundoff(torch.float32) * 10
