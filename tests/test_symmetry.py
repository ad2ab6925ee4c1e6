"""Translation, reflection and rotation: every layer within rounding, and what stands between layers is caught."""

import pytest
import torch
from torch import nn

from gdtriton import (
    EachScale,
    GaussianJetConv1d,
    GaussianJetConv2d,
    GaussianJetConv3d,
    ReadOut,
    ScaleGrid,
    ScaleLift,
    ScalePool,
    ScaleSequential,
    gaussian_jet,
)
from gdtriton.operators import BORDERS
from gdtriton.taps import DISCRETISATIONS
from gdtriton.verify import assert_reflection_covariant, assert_rotation_covariant, assert_translation_covariant
from gdtriton.verify.images import AnalyticImage
from gdtriton.verify.observe import observe
from gdtriton.verify.symmetry import steer

LAYERS = {1: GaussianJetConv1d, 2: GaussianJetConv2d, 3: GaussianJetConv3d}
SHAPES = {1: (1, 1, 23), 2: (1, 1, 11, 14), 3: (1, 1, 6, 5, 7)}
GRID = ScaleGrid(0.8, 2.0, 2)


class Net(nn.Module):
    def __init__(self, ndim=2, middle=None, head=None, **options):
        super().__init__()
        torch.manual_seed(0)
        self.lift = ScaleLift(GRID)
        self.body = ScaleSequential(
            LAYERS[ndim](1, 2, **options), middle or nn.Tanh(), LAYERS[ndim](2, 2, relative_sigma=1.5, **options)
        )
        self.head = head or nn.Sequential(ReadOut("centre"), ScalePool("max"))

    def forward(self, image):
        return self.head(self.body(*self.lift(image)))


class Off(nn.Module):
    """Read one pixel beside the centre, in every direction."""

    def forward(self, features):
        for _ in range(3, features.ndim):
            features = features.select(3, features.shape[3] // 2 + 1)
        return features


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("discretisation", DISCRETISATIONS)
def test_layers_of_every_kind_keep_the_symmetries_of_the_grid(discretisation, border):
    """Sizes even and odd; the border takes part, since kernels are wider than the image."""
    for ndim, order in ((1, 3), (2, 2)):
        net = Net(ndim, order=order, zero_order=True, discretisation=discretisation, border=border)
        assert_reflection_covariant(net, SHAPES[ndim], axis=0)
        if ndim == 2:
            assert_rotation_covariant(net, SHAPES[ndim])


@pytest.mark.parametrize("plane", [(0, 1), (2, 0), (1, 2)])
def test_volumes_turn_in_every_plane(plane):
    assert_rotation_covariant(Net(3), SHAPES[3], plane)


@pytest.mark.parametrize("ndim", [1, 2])
@pytest.mark.parametrize("shift", [1, -3])
def test_features_move_with_the_image(ndim, shift):
    assert_translation_covariant(Net(ndim), (1, 1, *(9,) * ndim), shift)


def test_output_with_space_moves_along():
    assert_reflection_covariant(Net(head=ScalePool("mean")), SHAPES[2], axis=1)


def test_groups_and_sigmas_per_channel_are_steered_too():
    net = Net(middle=GaussianJetConv2d(2, 4, groups=2, learn_sigma="output", order=3))
    net.body[2] = GaussianJetConv2d(4, 2, learn_sigma="input")
    with torch.no_grad():
        net.body[1].log_relative_sigma.copy_(torch.tensor([0.0, 0.2, 0.4, -0.1]))
    assert_reflection_covariant(net, SHAPES[2])
    assert_rotation_covariant(net, SHAPES[2])


@pytest.mark.parametrize(
    ("net", "check", "text"),
    [
        (Net(head=nn.Sequential(Off(), ScalePool("max"))), assert_reflection_covariant, "output differs"),
        (Net(head=nn.Sequential(Off(), ScalePool("max"))), assert_rotation_covariant, "output differs"),
        (
            Net(middle=EachScale(nn.ZeroPad2d((1, 0, 0, 0)))),
            assert_reflection_covariant,
            r"body\.2 (alone )?(differs|has shape)",
        ),
        (Net(middle=EachScale(nn.Conv2d(2, 2, 3, padding=1))), assert_reflection_covariant, r"body\.2 differs"),
        (Net(middle=EachScale(nn.MaxPool2d(2, 1))), assert_translation_covariant, None),
        (Net(middle=EachScale(nn.MaxPool2d(2, 1))), assert_reflection_covariant, None),
    ],
)
def test_what_cares_where_it_is_is_caught(net, check, text):
    """A 2 x 2 maximum keeps both symmetries, up to half a pixel that none of the features knows of."""
    if text is None:
        check(net, SHAPES[2])
        return
    with pytest.raises(AssertionError, match=text):
        check(net, SHAPES[2])


def test_position_is_caught_by_translation():
    class Ramp(nn.Module):
        def forward(self, features):
            return features * torch.linspace(1, 2, features.shape[-1], dtype=features.dtype)

    with pytest.raises(AssertionError, match=r"translation by 1: body\.2 differs"):
        assert_translation_covariant(Net(middle=Ramp()), SHAPES[2])


def test_layer_with_a_wrong_kernel_is_caught_alone():
    """A hook that rolls the output by a pixel: the layer itself is to blame, and is named."""
    net = Net()
    net.body[0].register_forward_hook(lambda module, args, output: output.roll(1, -1))
    with pytest.raises(AssertionError, match=r"layer body\.0 alone differs"):
        assert_reflection_covariant(net, SHAPES[2])


def test_steering_exchanges_and_negates_the_right_derivatives():
    """Against jets of the moved image: L_xy and L_x of a turned image are those of the image, with their signs."""
    image = torch.rand(9, 9, dtype=torch.float64)
    turned = image.T.flip(1)
    plain, moved = (gaussian_jet(f, 1.0, 2) for f in (image, turned))
    layer = GaussianJetConv2d(1, 1, zero_order=True, bias=False).double()
    before = layer.weight.detach().clone()
    steer(layer, [1, 0], [1])
    scale = torch.tensor([1, 1, 1, 0.5, 1, 0.5], dtype=torch.float64).view(6, 1, 1)
    expected = (before[0, 0].view(6, 1, 1) * scale * plain).sum(0).T.flip(1)
    actual = (layer.weight.detach()[0, 0].view(6, 1, 1) * scale * moved).sum(0)
    # Every output is a sum of 6 jets of at most 81 products in each of two passes.
    rounding = 1000 * 2.0**-53 * float((before.abs()[0, 0].view(6, 1, 1) * plain.abs()).sum(0).max())
    torch.testing.assert_close(actual, expected, rtol=0, atol=rounding)
    steer(layer, [1, 0], [0])
    torch.testing.assert_close(layer.weight.detach(), before, rtol=0, atol=0)


def test_rotation_of_a_line_is_refused():
    with pytest.raises(ValueError, match="input_shape must have two spatial axes"):
        assert_rotation_covariant(Net(1), SHAPES[1])


def test_observation_can_be_changed_and_the_network_is_not():
    net = Net()
    before = net.body[0].weight.detach().clone()
    observe(net, AnalyticImage.random(2).sample(SHAPES[2]), lambda layer: steer(layer, [0, 1], [0]))
    assert torch.equal(net.body[0].weight, before)
