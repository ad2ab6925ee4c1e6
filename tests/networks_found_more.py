"""More networks that a search for wrong certificates came across; none is covariant as claimed, none is ever certified.

name -> (builder, input shape, canvas).
"""

import torch
import torch.nn.functional as F

from gdtriton import GaussianJetConv2d
from networks_found import FirstOrder
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
}
