"""The scale axis: lifting an image onto it, running modules on it, pooling it away.

Features with a scale axis are [S, B, C, *spatial]. `-inf` marks a dropped scale channel: every pooling over scales
leaves it out.
"""

import inspect
from typing import Any, Literal

import torch
from torch import Tensor, nn

from . import pool_ops
from .checks import check_choice, check_flag, check_module, check_number, check_spatial, check_tensor, kernels_run
from .scales import ScaleGrid

ReadOutKind = Literal["centre", "max", "mean"]
ScalePoolKind = Literal["max", "mean", "logsumexp"]

assert pool_ops  # importing it registers the operators


class ScaleLift(nn.Module):
    """Put an image into every scale channel and say at which sigma each of them looks.

    Args:
        grid: The scale channels.

    The sigmas are computed from the grid's numbers and an integer exponent, outside the state_dict: a state trained
    with one grid loads into a network with another, and `.bfloat16()` leaves them exact.
    """

    exponents: Tensor

    def __init__(self, grid: ScaleGrid) -> None:
        super().__init__()
        if not isinstance(grid, ScaleGrid):
            raise TypeError(f"ScaleLift: grid must be a ScaleGrid, got {grid!r}")
        self.grid = grid
        self.register_buffer("exponents", torch.arange(grid.n_scales), persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Lift [B, C, *spatial] to ([S, B, C, *spatial], sigmas [S]).

        The features are a view: the same memory in every scale channel. Sigmas are float64, float32 on a device
        without it.
        """
        check_tensor("ScaleLift", "image", image)
        if image.ndim < 3:
            raise ValueError(
                f"ScaleLift: image must have shape [B, C, *spatial], got {list(image.shape)}; add axes with image[None]"
            )
        dtype = torch.float32 if self.exponents.device.type == "mps" else torch.float64
        sigmas = self.grid.sigma_0 * self.grid.ratio ** self.exponents.to(dtype)
        return image.expand(self.grid.n_scales, *image.shape), sigmas

    def extra_repr(self) -> str:
        """The grid."""
        return repr(self.grid)


class EachScale(nn.Module):
    """Run any [N, C, *spatial] module on all scale channels: shared weights and shared statistics.

    `EachScale(nn.BatchNorm2d(16))` is the batch norm of a scale-covariant network: its statistics are over the scale
    channels too, so all of them are normalised alike.

    Args:
        module: The module; it must keep the leading axis.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        check_module("EachScale", "module", module)
        self.module = module

    def forward(self, features: Tensor) -> Tensor:
        """[S, B, C, *spatial] -> [S, B, C', *spatial'], S folded into the batch and back."""
        if features.ndim < 3:
            raise ValueError(f"EachScale: features must have shape [S, B, C, *spatial], got {list(features.shape)}")
        n_scales, batch = features.shape[:2]
        output: Tensor = self.module(features.flatten(0, 1))
        return output.view(n_scales, batch, *output.shape[1:])


class ScaleSequential(nn.Sequential):
    """`nn.Sequential` that hands `sigmas` to the modules that take it."""

    def forward(self, features: Tensor, sigmas: Tensor | None = None) -> Tensor:
        """Run the modules in order.

        Args:
            features: [S, B, C, *spatial] (or whatever the modules take).
            sigmas: [S]; given to every module whose forward has an argument of that name.
        """
        for module in self:
            features = module(features, sigmas=sigmas) if _takes_sigmas(module) else module(features)
        return features


def _takes_sigmas(module: nn.Module) -> bool:
    return "sigmas" in inspect.signature(type(module).forward).parameters


class ScaleDropout(nn.Module):
    """Drop whole scale channels in training, each with probability p and never all of an image.

    A dropped scale channel becomes -inf, which every pooling over scales leaves out: max and logsumexp by their
    nature, mean by averaging over the rest. Put it directly before `ScalePool`. In evaluation it does nothing.

    Args:
        p: Probability of dropping a scale channel, 0 <= p < 1.

    Source: A. Perzanowski and T. Lindeberg, "Scale generalisation properties of extended scale-covariant and
    scale-invariant Gaussian derivative networks", 2025 (dropout over scale channels; the rule for an image whose
    channels would all be dropped, keep one at random, is ours).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        check_number("ScaleDropout", "p", p)
        if not 0 <= p < 1:
            raise ValueError(f"ScaleDropout: p must be in [0, 1), got {p}")
        self.p = p

    def forward(self, features: Tensor) -> Tensor:
        """[S, B, ...] -> the same with -inf in dropped scale channels."""
        if features.ndim < 2:
            raise ValueError(f"ScaleDropout: features must have shape [S, B, ...], got {list(features.shape)}")
        if not self.training or self.p == 0:
            return features
        n_scales, batch = features.shape[:2]
        keep = torch.rand(n_scales, batch, device=features.device) >= self.p
        survivor = torch.randint(n_scales, (batch,), device=features.device)
        only = torch.arange(n_scales, device=features.device)[:, None] == survivor
        keep = torch.where(keep.any(0), keep, only)
        keep = keep.view(n_scales, batch, *(1,) * (features.ndim - 2))
        return features.masked_fill(~keep, -torch.inf)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}"


class ReadOut(nn.Module):
    """Read one number per channel out of space: [S, B, C, *spatial] -> [S, B, C].

    Args:
        kind: "centre" (odd size the middle pixel, even size the mean of the two middle pixels of each axis), "max" or
            "mean".
    """

    def __init__(self, kind: ReadOutKind) -> None:
        super().__init__()
        check_choice("ReadOut", "kind", kind, ("centre", "max", "mean"))
        self.kind = kind

    def forward(self, features: Tensor) -> Tensor:
        """[S, B, C, *spatial] -> [S, B, C]."""
        if features.ndim < 4:
            raise ValueError(f"ReadOut: features must have shape [S, B, C, *spatial], got {list(features.shape)}")
        check_spatial("ReadOut", "features", features.shape, features.ndim - 3)
        axes = tuple(range(3, features.ndim))
        if self.kind == "max":
            return features.amax(axes)
        if self.kind == "centre":
            for axis in reversed(axes):  # one formula for both parities: no recompilation over sizes
                size = features.shape[axis]
                lower, upper = features.select(axis, (size - 1) // 2), features.select(axis, size // 2)
                features = (lower + upper) / 2
            return features
        return features.mean(axes)

    def extra_repr(self) -> str:
        """The kind."""
        return repr(self.kind)


class ScalePool(nn.Module):
    """Pool the scale axis away: [S, ...] -> [...]. Scale channels that are -inf are left out.

    The gradient of "max" goes to the first winning scale channel, as with `nn.MaxPool2d`; `torch.amax` would split it
    evenly among equals. float32, bfloat16 and float16 on a GPU run on triton kernels where triton is installed, with
    float32 arithmetic; everything else is plain PyTorch.

    Args:
        kind: "max", "mean" or "logsumexp" (log sum exp, without a division by S).
        return_indices: With "max", return (values, index of the winning scale channel) as `nn.MaxPool2d` does.
    """

    def __init__(self, kind: ScalePoolKind, *, return_indices: bool = False) -> None:
        super().__init__()
        check_choice("ScalePool", "kind", kind, ("max", "mean", "logsumexp"))
        check_flag("ScalePool", "return_indices", return_indices)
        if return_indices and kind != "max":
            raise ValueError(f"ScalePool: return_indices must be False for kind {kind!r}, got True")
        self.kind, self.return_indices = kind, return_indices

    def forward(self, features: Tensor) -> Any:
        """[S, ...] -> [...], or (values, indices) with return_indices."""
        if features.ndim < 1 or features.shape[0] == 0:
            raise ValueError(f"ScalePool: features must have shape [S, ...] with S >= 1, got {list(features.shape)}")
        if kernels_run(features):
            values, saved = torch.ops.gdtriton.scale_pool(features, self.kind)
            return (values, saved.long()) if self.return_indices else values
        if self.kind == "max":
            values, indices = features.max(0)
            return (values, indices) if self.return_indices else values
        if self.kind == "logsumexp":
            return features.logsumexp(0)
        dropped = features.isneginf()
        total = features.masked_fill(dropped, 0).sum(0)
        # Every channel -inf: the mean of nothing is what max and logsumexp say too.
        return torch.where(dropped.all(0), -torch.inf, total / (~dropped).sum(0).clamp_min(1))

    def extra_repr(self) -> str:
        """The kind."""
        return repr(self.kind)
