"""More networks that a search for wrong certificates came across; none is covariant as claimed, none is ever certified.

name -> (builder, input shape, canvas).
"""

import torch
import torch.nn.functional as F
from torch import nn

from gdtriton import GaussianJetConv2d
from networks_found import FirstOrder, act, head, plane
from networks_good import IMAGE, Net, last


def pooled(function):
    """`function` of unnormalised first derivatives, weight -1, pooled over canvas and scale channels."""
    return lambda: FirstOrder(lambda f, s, b: function(f.amax((0, 3, 4)))), IMAGE, "fixed"


class MeanOfDerivatives(Net):
    """The mean over the canvas of derivatives of `function(features)`, features black beside the object."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def extra(self):
        self.first, self.second = GaussianJetConv2d(1, 4, bias=False), GaussianJetConv2d(4, 3, bias=False)

    def middle(self, features, sigmas):
        return self.function(features.abs())

    def last(self, features, sigmas):
        return features.abs().mean((3, 4)).amax(0)


def mean_of_derivatives(function):
    return lambda: MeanOfDerivatives(function), IMAGE, "fixed"


class Black(Net):
    """The middle of features that are black beside the object, by `function(net, features)`."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def extra(self):
        self.first = GaussianJetConv2d(1, 4, bias=False)
        self.margin = nn.Conv2d(4, 4, 1, padding=4, bias=False)

    def middle(self, features, sigmas):
        return features + self.function(self, features.abs()[..., 4:-4, 4:-4])


def black(function):
    """`function` fills up what was cut around the middle by zeros."""
    return lambda: Black(function), IMAGE, "fixed"


def refilled(features, mode):
    """The middle of the canvas, the rest filled up from it."""
    return plane(lambda x: F.pad(x[..., 4:-4, 4:-4], (4, 4, 4, 4), mode=mode))(None, features, None)


WRONG = {
    "tanh of pooled derivatives": pooled(torch.tanh),
    "elu of pooled derivatives": pooled(F.elu),
    "pooled derivatives, at least 0.1": pooled(lambda f: torch.maximum(f, torch.tensor(0.1))),
    "softmax of pooled derivatives": pooled(lambda f: f.softmax(-1)),
    "tanh of an area": (
        lambda: last(
            lambda n, f, s: torch.tanh(n.derivatives(f, s).abs().mean((3, 4)).amax(0)),
            derivatives=lambda: GaussianJetConv2d(3, 3, bias=False),
        ),
        IMAGE,
        "fixed",
    ),
    "mean of derivatives of row maxima": mean_of_derivatives(lambda x: x + x.amax(-1, keepdim=True)),
    "mean of derivatives of the centre row": mean_of_derivatives(lambda x: x + x[..., x.shape[-2] // 2, None, :]),
    "mean of derivatives of a running sum": mean_of_derivatives(lambda x: x.cumsum(-1)),
    "cut, reflected and added": act(lambda n, f, s: torch.relu(f + refilled(f, "reflect"))),
    "cut, repeated and added": act(lambda n, f, s: torch.relu(f + refilled(f, "circular"))),
    "maximum of the middle of the canvas": head(lambda n, f, s: refilled(f, "replicate").amax((0, 3, 4))),
    "cut and rolled": act(lambda n, f, s: torch.relu(f[..., 4:-4, 4:-4] + f[..., 6:-2, 4:-4].roll(2, -2))),
    "cut, zeros around": black(lambda n, f: F.pad(f, (4, 4, 4, 4))),
    "cut, zeros around by windows of one pixel": black(
        lambda n, f: plane(lambda x: F.unfold(x, 1, padding=4).unflatten(2, (17, 17)))(n, f, None)
    ),
    "cut, zeros around by a 1x1 convolution": black(lambda n, f: plane(n.margin)(n, f, None)),
}
