"""What the backward pass of a route hands to the layer besides the gradient of the features."""

from typing import NamedTuple

from torch import Tensor


class Sums(NamedTuple):
    """Sums over pixels, or over frequencies, of every scale channel; zero where the other route was taken.

    Attributes:
        weight: Summand of each scale channel of dLoss/dW, with its factor sigma^(p |a|) / a!;
            [S, C_out, C_in / groups, J] float32.
        diffusion: First term of dLoss/dsigma, through the smoothing alone; shape of sigma, float32.
    """

    weight: Tensor
    diffusion: Tensor
