"""Networks: the papers' numbers, shapes, shared weights, exact symmetries, names that fail helpfully."""

import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from torch import nn

from gdtriton import GaussianJetConv2d
from gdtriton.models import build_model, list_models
from gdtriton.models.gaussdernet import GaussDerNetConfig, paper_parameter_count
from gdtriton.models.gaussderresnet import GaussDerResNetConfig, ResidualBlock
from gdtriton.verify import (
    AnalyticImage,
    assert_reflection_covariant,
    assert_rotation_covariant,
    assert_scale_covariant,
)
from gdtriton.verify.convergence import Convergence


def torch_count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def randomise(network, generator):
    """Weights and statistics as after training: nothing is left at 0 or 1, where mistakes hide."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.uniform_(-0.5, 0.5, generator=generator)
            module.running_mean.uniform_(-0.5, 0.5, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return network.eval()


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


def test_list_models_names_every_preset_of_the_papers():
    assert list_models() == [
        "gaussdernet-mnist",
        "gaussdernet-mnist-large-scale",
        "gaussdernet-mnist-large-scale-wide",
        "gaussderresnet-small",
        "gaussderresnet-small-separable",
    ]


@pytest.mark.parametrize(
    ("name", "paper"),
    [("gaussdernet-mnist", 15_864), ("gaussdernet-mnist-large-scale-wide", 38_496)],
)
def test_parameter_count_of_the_paper(name, paper):
    assert paper_parameter_count(build_model(name)) == paper


@pytest.mark.parametrize(
    ("name", "count"),
    [
        # 5 derivatives a pair of channels, scale and offset of batch norm, bias of the last layer
        ("gaussdernet-mnist", 5 * 2_644 + 2 * 126 + 10),
        ("gaussdernet-mnist-large-scale", 5 * 4_044 + 2 * 148 + 10),
        ("gaussdernet-mnist-large-scale-wide", 5 * 6_416 + 2 * 184 + 10),
        # stem, blocks (two layers, two norms, skip), classes
        (
            "gaussderresnet-small",
            5 * 16 + 2 * 16
            + 5 * (2 * 16 * 16) + 4 * 16
            + 5 * (16 * 24 + 24 * 24) + 4 * 24 + 16 * 24
            + 5 * (24 * 32 + 32 * 32) + 4 * 32 + 24 * 32
            + 5 * (32 * 48 + 48 * 48) + 4 * 48 + 32 * 48
            + 48 * 10 + 10,
        ),
        (
            "gaussderresnet-small-separable",
            5 * 16 + 2 * 16
            + 5 * (16 + 16) + 16 * 16 + 16 * 16 + 4 * 16
            + 5 * (16 + 24) + 16 * 24 + 24 * 24 + 4 * 24 + 16 * 24
            + 5 * (24 + 32) + 24 * 32 + 32 * 32 + 4 * 32 + 24 * 32
            + 5 * (32 + 48) + 32 * 48 + 48 * 48 + 4 * 48 + 32 * 48
            + 48 * 10 + 10,
        ),
    ],
)  # fmt: skip
def test_number_of_learned_parameters(name, count):
    assert torch_count(build_model(name)) == count


def test_single_scale_channel_preset_is_the_papers():
    network = build_model("gaussdernet-mnist")
    assert network.lift.grid.sigmas == (0.9,)
    layers = [module for module in network.modules() if isinstance(module, GaussianJetConv2d)]
    assert [layer.out_channels for layer in layers] == [12, 14, 16, 20, 64, 10]
    # "the maximum value of sigma is 0.9 x 1.25^5, about 2.7 pixels"
    assert 0.9 * layers[-1].initial_relative_sigma == pytest.approx(0.9 * 1.25**5)


@pytest.mark.parametrize("name", ["gaussdernet-mnist-large-scale", "gaussdernet-mnist-large-scale-wide"])
def test_scale_channels_are_the_papers(name):
    sigmas = build_model(name).lift.grid.sigmas
    assert len(sigmas) == 8
    assert sigmas[0] == pytest.approx(2**-0.5)
    assert sigmas[-1] == pytest.approx(8)


@pytest.mark.parametrize("name", ["gaussderresnet-small", "gaussderresnet-small-separable"])
def test_sigma_of_the_residual_network_grows_geometrically_with_depth(name):
    network = build_model(name)
    layers = [module for module in network.modules() if isinstance(module, GaussianJetConv2d)]
    sigmas = [layer.initial_relative_sigma for layer in layers]
    assert len(layers) == 9
    assert sigmas == pytest.approx([network.config.layer_ratio**k for k in range(9)])


@pytest.mark.parametrize("name", list_models())
@pytest.mark.parametrize("size", [(17, 17), (12, 9)])
def test_every_preset_trains(name, size, generator):
    network = build_model(name, n_classes=3, n_scales=2, in_channels=2)
    image = torch.randn(4, 2, *size, generator=generator)
    loss = nn.functional.cross_entropy(network(image), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", list_models())
def test_state_of_one_scale_channel_loads_into_eight(name, generator):
    single = randomise(build_model(name, n_scales=1, sigma_0=1.5), generator).double()
    many = build_model(name, n_scales=8, sigma_0=1.5).double().eval()
    many.load_state_dict(single.state_dict())
    image = torch.randn(2, 1, 15, 15, generator=generator, dtype=torch.float64)
    features = many.body(*many.lift(image))
    torch.testing.assert_close(features[:1], single.body(*single.lift(image)))
    # The others really look at other scales.
    assert (features[1:] - features[:1]).abs().amax((1, 2, 3, 4)).min() > 1e-3


@pytest.mark.parametrize("name", ["gaussdernet-mnist-large-scale", "gaussderresnet-small-separable"])
def test_reflections_and_rotations_commute_with_steered_weights(name, generator):
    """f(-x) through weights with odd-in-x coefficients negated is F(-x), every layer within its rounding bound."""
    network = randomise(build_model(name, n_scales=2), generator)
    assert_reflection_covariant(network, (1, 1, 15, 17))
    assert_rotation_covariant(network, (1, 1, 15, 17))
    # Unless the weights are steered too, the answer is another one.
    image = AnalyticImage.random(2).sample((1, 1, 15, 17)).float()
    assert (network(image.flip(-1)) - network(image)).abs().max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gaussdernet-mnist", "gaussderresnet-small-separable"])
def test_rescaling_commutes_on_the_grid(name, generator):
    """Layers within their bounds, the network with order 2, at sigmas of a pixel and more."""
    network = randomise(build_model(name, channels=(4, 6, 8), n_scales=2, sigma_0=1.0, ratio=2.0), generator)
    assert_scale_covariant(network, (1, 1, 17, 17))


@pytest.mark.parametrize("name", ["gaussdernet-mnist-large-scale", "gaussderresnet-small"])
def test_periodic_image_on_half_the_grid_spacing_is_covariant(name, generator):
    """Circular border: a sine f(x) = sin(w x), image scaled by 2, sigma scaled by 2: the defect falls as sigma^-2.

    The discrete analogue of the Gaussian and central differences are second-order accurate in the grid spacing, so
    doubling the size of everything in pixels divides the defect between size 1 and size 2 by 4 (asymptotically).
    """
    network = randomise(build_model(name, n_scales=1, border="circular", layer_ratio=1.0), generator).double()
    outputs = []
    for size in (32, 64, 128, 256):
        y, x = torch.meshgrid(*[torch.arange(size, dtype=torch.float64) * (2 * torch.pi / size)] * 2, indexing="ij")
        image = (torch.sin(x) + torch.cos(y + 0.3) + 0.5 * torch.sin(x + y))[None, None]
        sigma = torch.tensor([size / 16.0], dtype=torch.float64)
        features = network.body(image[None], sigma).detach()
        outputs.append(features[..., :: size // 32, :: size // 32])
    defects = [float((a - b).abs().mean()) for a, b in pairwise(outputs)]
    assert round(Convergence(tuple(defects[1:]), 0.0).order) == 2
    assert defects[0] > 1e-4


def test_skip_is_identity_or_projection(generator):
    same, wider = ResidualBlock(4, 4, (1.0, 1.2)), ResidualBlock(4, 6, (1.0, 1.2))
    assert isinstance(same.skip, nn.Identity)
    assert [p.shape for p in wider.skip.parameters()] == [(6, 4, 1, 1)]
    for block in (same, wider):
        nn.init.zeros_(block.residual[-1].module.weight)  # the residual is silent: ReLU(skip) remains
        features = torch.randn(2, 3, 4, 9, 9, generator=generator)
        output = block(features, torch.tensor([1.0, 2.0]))
        torch.testing.assert_close(output, block.skip(features).relu())


def test_scale_dropout_is_only_in_training(generator):
    network = build_model("gaussdernet-mnist", n_scales=3, scale_dropout=0.9)
    image = torch.randn(8, 1, 9, 9, generator=generator)
    assert network(image).isfinite().all()
    torch.testing.assert_close(network.eval()(image), network(image), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gaussdernet-minst", {}), "did you mean 'gaussdernet-mnist'"),
        (("gaussderresnet", {}), "did you mean 'gaussderresnet-small'"),
        (("zzz", {}), "known are gaussdernet-mnist, "),
        (("gaussdernet-mnist", {"n_clases": 3}), "did you mean 'n_classes'"),
        (("gaussderresnet-small", {"seperable": True}), "did you mean 'separable'"),
        (("gaussdernet-mnist", {"channels": ()}), "channels must be a tuple"),
        (("gaussdernet-mnist", {"channels": (3, 0)}), "channels must be >= 1"),
        (("gaussdernet-mnist", {"n_scales": 0}), "n_scales must be >= 1"),
        (("gaussdernet-mnist", {"layer_ratio": 0.0}), "layer_ratio must be > 0"),
        (("gaussdernet-mnist", {"pooling": "sum"}), "pooling must be one of"),
        (("gaussderresnet-small", {"read_out": "corner"}), "read_out must be one of"),
        (("gaussdernet-mnist", {"sigma_0": -1.0}), "sigma_0 must be finite and > 0"),
        (("gaussdernet-mnist", {"border": "reflect"}), "border must be one of"),
        (("gaussderresnet-small", {"scale_dropout": 1.0}), r"p must be in \[0, 1\)"),
    ],
)
def test_wrong_names_and_values_say_what_to_do(arguments, message):
    name, overrides = arguments
    with pytest.raises(ValueError, match=message):
        build_model(name, **overrides)


@pytest.mark.parametrize("config", [GaussDerNetConfig, GaussDerResNetConfig])
def test_configs_are_frozen(config):
    with pytest.raises(AttributeError):
        config(channels=(3,), sigma_0=1.0).sigma_0 = 2.0


def test_importing_the_package_of_models_is_light():
    code = "import sys, gdtriton.models; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
