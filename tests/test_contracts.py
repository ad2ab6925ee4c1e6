"""What PyTorch expects of operators and modules: opcheck, compile, export, autocast, copies, states, imports."""

import copy
import io
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn

from gdtriton import (
    EachScale,
    GaussianJetConv1d,
    GaussianJetConv2d,
    GaussianJetConv3d,
    ReadOut,
    ScaleDropout,
    ScaleGrid,
    ScaleLift,
    ScalePool,
    ScaleSequential,
    gaussian_jet,
    gaussian_smooth,
    jet_conv,
    jet_orders,
    ops,
    sigma_parameters,
)
from gdtriton.testing import assert_within_rounding, layer_bound, unit_roundoff

assert ops  # registers the operators
LAYERS = {1: GaussianJetConv1d, 2: GaussianJetConv2d, 3: GaussianJetConv3d}
STATIC = (2, False, 1, 1.0, "discrete", "symmetric", "torch")
JET_STATIC = (2, 2, True, 1.0, "discrete", "symmetric", "torch")


class Net(nn.Module):
    """The network of the design as a user writes it."""

    def __init__(self, n_classes=3, n_scales=8, learn_sigma=None):
        super().__init__()
        self.lift = ScaleLift(ScaleGrid(0.7, 2**0.5, n_scales))
        self.body = ScaleSequential(
            GaussianJetConv2d(1, 4, learn_sigma=learn_sigma),
            EachScale(nn.BatchNorm2d(4)),
            nn.ReLU(),
            GaussianJetConv2d(4, n_classes, relative_sigma=1.5),
        )
        self.head = nn.Sequential(ReadOut("centre"), ScalePool("max"))

    def forward(self, image):
        features, sigmas = self.lift(image)
        return self.head(self.body(features, sigmas))


def _utils(requires_grad):
    """A compiler does not trace second derivatives (AOTAutograd refuses double backward): eager mode has them."""
    every = ["test_schema", "test_autograd_registration", "test_faketensor"]
    return every if requires_grad else [*every, "test_aot_dispatch_dynamic"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("strided", [False, True])
def test_opcheck_of_the_layer(dtype, requires_grad, strided, randn):
    features = randn(2, 3, 5, 6, 7).to(dtype)
    features = features.mT if strided else features
    weight, bias = randn(4, 5, 5).to(dtype), randn(4).to(dtype)
    sigma = torch.tensor([1.0, 7.0], dtype=torch.float64)
    leaves = [x.requires_grad_(requires_grad) for x in (features.detach(), weight, sigma, bias)]
    torch.library.opcheck(torch.ops.gdtriton.jet_conv.default, (*leaves, *STATIC))
    output, saved = torch.ops.gdtriton.jet_conv(*(x.detach() for x in leaves), *STATIC)
    grad = randn(*output.shape).to(dtype).requires_grad_(requires_grad)
    args = (grad, leaves[0], saved, weight, sigma, [True, True, True], *STATIC)
    torch.library.opcheck(torch.ops.gdtriton.jet_conv_backward.default, args, test_utils=_utils(requires_grad))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("strided", [False, True])
def test_opcheck_of_jets(dtype, requires_grad, strided, randn):
    image = randn(3, 6, 7).to(dtype)
    image = (image.mT if strided else image).detach().requires_grad_(requires_grad)
    sigma = torch.tensor([1.0, 7.0], dtype=torch.float64, requires_grad=requires_grad)
    torch.library.opcheck(torch.ops.gdtriton.gaussian_jet.default, (image, sigma, *JET_STATIC))
    jets = torch.ops.gdtriton.gaussian_jet(image.detach(), sigma.detach(), *JET_STATIC)
    grad = randn(*jets.shape).to(dtype).requires_grad_(requires_grad)
    torch.library.opcheck(
        torch.ops.gdtriton.gaussian_jet_backward.default,
        (grad, image, sigma, [True, True], *JET_STATIC),
        test_utils=_utils(requires_grad),
    )


@pytest.mark.parametrize("learn_sigma", [None, "layer", "input", "output"])
def test_compile_forward_and_backward(learn_sigma, randn, reset_dynamo):
    net = Net(n_scales=3, learn_sigma=learn_sigma).double()
    image = randn(2, 1, 11, 13)
    results = []
    for function in (net, torch.compile(net, fullgraph=True, backend="aot_eager")):
        net.zero_grad()
        output = function(image)
        output.square().sum().backward()
        results.append([output.detach(), *(p.grad.clone() for p in net.parameters())])
    for eager, compiled in zip(*results, strict=True):
        assert (eager - compiled).abs().max() <= 1e4 * unit_roundoff(torch.float64) * eager.abs().max().clamp_min(1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compile_with_inductor(randn, reset_dynamo):
    net = Net(n_scales=3, learn_sigma="layer").eval()
    image = randn(2, 1, 11, 13).float()
    expected = net(image)
    actual = torch.compile(net, fullgraph=True)(image)
    assert (actual - expected).abs().max() <= 1e3 * unit_roundoff(torch.float32) * expected.abs().max()


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_one_compilation_for_three_shapes(ndim, randn, reset_dynamo):
    layer = LAYERS[ndim](4, 6).double()
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    shapes = [(2, 3, 4, 11, 13, 7), (5, 7, 4, 8, 9, 6), (3, 2, 4, 17, 5, 10)]
    for i, shape in enumerate(shapes):
        features = randn(*shape[: ndim + 3])
        sigmas = torch.linspace(0.8, 6, shape[0], dtype=torch.float64)
        with torch._dynamo.config.patch(error_on_recompile=i > 0):
            output = compiled(features, sigmas)
        assert torch.equal(output, layer(features, sigmas))


def test_compile_of_the_functions(randn, reset_dynamo):
    image = randn(3, 9, 8)

    def function(image):
        return gaussian_jet(image, [1.0, 2.0], 1).sum() + gaussian_smooth(image, 2.0).square().sum()

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    assert abs(float(compiled(image) - function(image))) <= 1e4 * unit_roundoff(torch.float64) * float(
        image.abs().sum()
    )


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_export_of_every_layer(ndim, randn):
    for learn_sigma in (None, "layer", "input", "output"):
        layer = LAYERS[ndim](2, 3, learn_sigma=learn_sigma).double().eval()
        features, sigmas = randn(2, 1, 2, *(5, 6, 7)[:ndim]), torch.tensor([1.0, 2.0], dtype=torch.float64)
        program = torch.export.export(layer, (features, sigmas))
        assert torch.equal(program.module()(features, sigmas), layer(features, sigmas))


def test_export_of_a_network(randn):
    net = Net(n_scales=3).double().eval()
    image = randn(2, 1, 11, 13)
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(net, (image,), dynamic_shapes=({0: batch},))
    other = randn(5, 1, 11, 13)
    assert torch.equal(program.module()(other), net(other))


@pytest.mark.parametrize("sigma", [1.0, 7.0])
@pytest.mark.parametrize("discretisation", ["discrete", "sampled-derivative"])
def test_autocast_rounds_only_what_it_stores(sigma, discretisation, randn):
    """The arithmetic below autocast stays float32: only inputs and output are bfloat16."""
    features, weight, bias = randn(1, 2, 3, 12, 11).float(), randn(4, 3, 5).float(), randn(4).float()
    narrow = [x.bfloat16() for x in (features, weight, bias)]
    sigmas = torch.tensor([sigma], dtype=torch.float64)
    exact = [x.double() for x in narrow]
    golden = jet_conv(exact[0], exact[1], sigmas, exact[2], impl="reference", discretisation=discretisation)
    bound = layer_bound(narrow[0], narrow[1], sigmas, narrow[2], golden=golden, discretisation=discretisation)
    for impl in ("torch", "reference"):
        with torch.autocast("cpu", torch.bfloat16):
            output = jet_conv(features, weight, sigmas, bias, discretisation=discretisation, impl=impl)
        assert output.dtype == torch.bfloat16
        assert_within_rounding(output, golden, bound, impl)


def test_autocast_leaves_jets_alone(randn):
    image = randn(12, 11).float()
    for impl in ("torch", "reference"):
        expected = gaussian_jet(image, 3.0, impl=impl)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(gaussian_jet(image, 3.0, impl=impl), expected)


def test_autocast_backward(randn):
    layer = GaussianJetConv2d(2, 3, learn_sigma="layer")
    features = randn(2, 2, 2, 9, 8).float().requires_grad_()
    sigmas = torch.tensor([1.0, 6.0])
    cotangent = randn(2, 2, 3, 9, 8).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(features, sigmas)
    grads = torch.autograd.grad(output, (features, *layer.parameters()), cotangent)
    wide = copy.deepcopy(layer).double()
    with torch.no_grad():
        wide.weight.copy_(layer.weight.bfloat16())
    leaf = features.detach().bfloat16().double().requires_grad_()
    expected = torch.autograd.grad(wide(leaf, sigmas.double()), (leaf, *wide.parameters()), cotangent.double())
    for actual, golden in zip(grads, expected, strict=True):
        assert actual.dtype == torch.float32
        # Two roundings to bfloat16; the gradient of a sigma is a sum whose terms may cancel.
        scale = golden.norm() if golden.ndim else cotangent.float().norm() * output.detach().float().norm()
        assert (actual - golden).norm() <= 4 * unit_roundoff(torch.bfloat16) * scale


MODULES = [
    GaussianJetConv1d(1, 2, learn_sigma="input"),
    GaussianJetConv2d(2, 2, groups=2, learn_sigma="output", order=3),
    GaussianJetConv3d(1, 2, zero_order=True, bias=False),
    ScaleLift(ScaleGrid(0.7, 1.5, 3)),
    ScaleSequential(GaussianJetConv2d(1, 2), nn.ReLU()),
    EachScale(nn.BatchNorm2d(2)),
    ScaleDropout(0.5),
    ScalePool("logsumexp"),
    ReadOut("centre"),
    Net(),
]


@pytest.mark.parametrize("module", MODULES, ids=lambda m: type(m).__name__)
def test_copies_and_states(module):
    buffer = io.BytesIO()
    torch.save(module, buffer)
    buffer.seek(0)
    copies = [copy.deepcopy(module), torch.load(buffer, weights_only=False)]
    if not isinstance(module, Net):
        copies.append(pickle.loads(pickle.dumps(module)))
    for other in copies:
        assert repr(other) == repr(module)
        assert type(other) is type(module)
        for (name, value), (other_name, other_value) in zip(
            module.state_dict().items(), other.state_dict().items(), strict=True
        ):
            assert name == other_name
            assert torch.equal(value, other_value)
    other = copy.deepcopy(module)
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(module.state_dict())
    for a, b in zip(module.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_deepcopy_after_a_forward_and_backward(randn):
    net = Net(learn_sigma="layer")
    net(randn(2, 1, 9, 9).float()).sum().backward()
    other = copy.deepcopy(net)
    image = randn(2, 1, 9, 9).float()
    assert torch.equal(net.eval()(image), other.eval()(image))


@pytest.mark.parametrize("learn_sigma", [None, "layer"])
def test_one_scale_channel_loads_into_eight(learn_sigma, randn):
    small, large = Net(n_scales=1, learn_sigma=learn_sigma), Net(n_scales=8, learn_sigma=learn_sigma)
    small(randn(4, 1, 9, 9).float())  # moves the running statistics
    large.load_state_dict(small.state_dict())
    image = randn(2, 1, 9, 9).float()
    features, sigmas = large.eval().lift(image)
    first = large.body(features, sigmas)[:1]
    features, sigmas = small.eval().lift(image)
    # Channel-last products of one or eight scale channels are the same products.
    assert (first - small.body(features, sigmas)).abs().max() <= 100 * unit_roundoff(torch.float32) * first.abs().max()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_networks_in_other_dtypes(dtype, randn):
    net = Net(learn_sigma="input").to(dtype)
    output = net(randn(2, 1, 9, 9).to(dtype))
    assert output.dtype == dtype
    output.float().square().sum().backward()
    assert all(p.grad.dtype == dtype and bool(torch.isfinite(p.grad).all()) for p in net.parameters())
    grid = net.lift.grid
    sigmas = net.lift(randn(1, 1, 3, 3).to(dtype))[1]
    assert sigmas.dtype == torch.float64
    assert sigmas.tolist() == list(grid.sigmas)


def test_sigma_parameters():
    net = nn.Sequential(
        GaussianJetConv2d(1, 2, learn_sigma="layer"),
        GaussianJetConv2d(2, 2),
        GaussianJetConv2d(2, 3, learn_sigma="output"),
    )
    found = sigma_parameters(net)
    assert [p.shape for p in found] == [(), (3,)]
    assert found[0] is net[0].log_relative_sigma
    assert sigma_parameters(nn.ReLU()) == []
    assert "log_relative_sigma" not in net[1].state_dict()


@pytest.mark.parametrize("learn_sigma", [None, "layer", "input", "output"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_layers_compute_jet_conv(ndim, learn_sigma, randn):
    options = {"groups": 2, "order": 3, "zero_order": True}
    layer = LAYERS[ndim](4, 6, relative_sigma=1.3, learn_sigma=learn_sigma, dtype=torch.float64, **options)
    assert layer.weight.shape == (6, 2, len(jet_orders(ndim, 3)))
    features, sigmas = randn(2, 1, 4, *(4, 5, 3)[:ndim]), torch.tensor([0.8, 4.0], dtype=torch.float64)
    shape = {"input": (2, 1, 4), "output": (2, 6, 1)}.get(learn_sigma, (2, 1, 1))
    sigma = (1.3 * sigmas.view(2, 1, 1)).expand(shape)
    expected = jet_conv(features, layer.weight, sigma, layer.bias, impl="reference", **options)
    error = (layer(features, sigmas) - expected).abs().max()
    assert error <= 1e5 * unit_roundoff(torch.float64) * expected.abs().max()
    plain = layer(features[0])
    assert plain.shape == (1, 6, *features.shape[3:])
    assert torch.equal(plain, layer(features[:1], torch.ones(1, dtype=torch.float64))[0])


def fresh(code):
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr


def test_import_loads_no_torch():
    fresh("import gdtriton, sys; dir(gdtriton); assert not {'torch', 'triton', 'numpy'} & set(sys.modules)")


def test_core_without_triton():
    fresh(
        "import sys; sys.modules['triton'] = None\n"
        "import torch, gdtriton as g\n"
        "layer = g.GaussianJetConv2d(1, 2)\n"
        "layer(torch.randn(2, 1, 9, 8)).sum().backward()\n"
        "g.gaussian_jet(torch.randn(9, 8), 7.0)\n"
    )


def test_public_names():
    import gdtriton

    for name in gdtriton.__all__:
        assert getattr(gdtriton, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gdtriton.nothing
