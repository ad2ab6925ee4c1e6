"""Gaussian derivative layers: `jet_conv` with its parameters, in 1, 2 and 3 dimensions.

A stock BatchNorm or GroupNorm takes axis 1 for the channels. Between these layers axis 1 is the batch: use
`EachScale(nn.BatchNorm2d(C))`.
"""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .checks import check_flag, check_integer, check_module, check_number, check_options, check_tensor
from .functional import Implementation, jet_conv
from .operators import Border, inverse_factorials, jet_orders
from .scales import positive_sigma
from .taps import Discretisation

LearnSigma = Literal["layer", "input", "output"]
LOG_RANGE = math.log(16)
"""Logarithm of the range of scales that the input model of `initial_gain` spans: four octaves (1/f images have more;
rectified feature maps at the same sigma, which every layer but the first sees, have no more)."""


def initial_gain(ndim: int, order: int, zero_order: bool) -> float:
    """Standard deviation of the weights, times sqrt(C_in / groups), that keeps the size of features through a ReLU.

    For an input of unit variance and power spectrum ~ |w|^-ndim over a range exp(LOG_RANGE) of frequencies, the
    scale-normalised derivative of order a has at every sigma the variance

        v_a = <theta^(2a)> Gamma(|a|) / (2 LOG_RANGE),   <theta^(2a)> the mean over the unit sphere,

    and the gain is sqrt(2 / sum_a v_a / a!^2). With the zero order a stack of layers at one sigma tends to constant
    images, to which no derivative responds: v_0 = 1 alone counts, and the gain is sqrt(2). Independent of sigma, as
    shared weights must be.

    Measured without batch norm (2-D, order 2, 24 channels, relative sigma 1), rms of layer 20 over layer 1 at sigma
    0.7, 1, 1.4, 2, 2.8, 4, 5.7, 8: 1/f noise .07 .37 .87 1.3 1.5 1.6 1.4 1.1; digits .03 .21 .67 1.4 2.1 2.3 1.9 1.2.
    Below 1.4 central differences respond less (6 % a layer at 1, 15 % at 0.7): no one gain can undo it.
    """
    if zero_order:
        return math.sqrt(2)
    orders = jet_orders(ndim, order, zero_order=False)
    total = 0.0
    for a, factor in zip(orders, inverse_factorials(orders), strict=True):
        n = sum(a)
        sphere = math.prod(math.gamma(k + 0.5) / math.gamma(0.5) for k in a)
        sphere *= math.gamma(ndim / 2) / math.gamma(n + ndim / 2)
        total += factor**2 * sphere * math.gamma(n) / (2 * LOG_RANGE)
    return math.sqrt(2 / total)


class _GaussianJetConv(nn.Module):
    """The layer in any number of dimensions; the public classes fix `ndim`."""

    ndim: int
    weight: Tensor
    bias: Tensor | None
    log_relative_sigma: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        order: int = 2,
        zero_order: bool = False,
        bias: bool = True,
        groups: int = 1,
        relative_sigma: float = 1.0,
        learn_sigma: LearnSigma | None = None,
        norm_power: float = 1.0,
        discretisation: Discretisation = "discrete",
        border: Border = "symmetric",
        impl: Implementation | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        for argument in ("in_channels", "out_channels", "groups"):
            check_integer(name, argument, locals()[argument], 1)
        for argument, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{name}: {argument} must be a multiple of groups = {groups}, got {channels}")
        check_options(name, order, zero_order, norm_power, discretisation, border, impl)
        check_flag(name, "bias", bias)
        check_number(name, "relative_sigma", relative_sigma)
        if relative_sigma <= 0:
            raise ValueError(f"{name}: relative_sigma must be > 0, got {relative_sigma}")
        if learn_sigma not in (None, "layer", "input", "output"):
            raise ValueError(f"{name}: learn_sigma must be None, 'layer', 'input' or 'output', got {learn_sigma!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.order, self.zero_order, self.norm_power = order, zero_order, float(norm_power)
        self.discretisation, self.border, self.impl = discretisation, border, impl
        self.learn_sigma = learn_sigma
        self.initial_relative_sigma = float(relative_sigma)
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        n_jet = len(self.orders)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, n_jet, **factory))
        self.bias = nn.Parameter(torch.empty(out_channels, **factory)) if bias else None
        shapes = {"layer": (), "input": (in_channels,), "output": (out_channels,)}
        self.log_relative_sigma = nn.Parameter(torch.empty(shapes[learn_sigma], **factory)) if learn_sigma else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal weights of standard deviation `initial_gain` / sqrt(C_in / groups); zero bias; initial sigma."""
        gain = initial_gain(self.ndim, self.order, self.zero_order)
        nn.init.normal_(self.weight, std=gain / math.sqrt(self.in_channels // self.groups))
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        if self.log_relative_sigma is not None:
            nn.init.constant_(self.log_relative_sigma, math.log(self.initial_relative_sigma))

    @property
    def orders(self) -> tuple[tuple[int, ...], ...]:
        """Multi-indices of the coefficients along axis J of `weight`."""
        return jet_orders(self.ndim, self.order, zero_order=self.zero_order)

    @property
    def relative_sigma(self) -> Tensor:
        """Relative sigma: [] , or [C_in] / [C_out] where learned per channel; float32 or better."""
        if self.log_relative_sigma is None:
            return torch.full((), self.initial_relative_sigma, dtype=torch.float64, device="cpu")
        return positive_sigma(self.log_relative_sigma)

    def _sigma(self, sigmas: Tensor | None) -> Tensor:
        """Sigma in pixels: [S], [S, 1, C_in] or [S, C_out, 1]."""
        if self.log_relative_sigma is None:
            if sigmas is None:
                return torch.full((1,), self.initial_relative_sigma, dtype=torch.float64)
            return self.initial_relative_sigma * sigmas
        relative = positive_sigma(self.log_relative_sigma)
        if sigmas is None:
            sigmas = torch.ones((1,), dtype=relative.dtype, device=relative.device)
        if self.learn_sigma == "input":
            return sigmas[:, None, None] * relative[None, None, :]
        if self.learn_sigma == "output":
            return sigmas[:, None, None] * relative[None, :, None]
        return sigmas * relative

    def forward(self, features: Tensor, sigmas: Tensor | None = None) -> Tensor:
        """The layer at sigma = relative_sigma * sigmas (scale channels) or relative_sigma pixels (without).

        Args:
            features: [S, B, C_in, *spatial] with sigmas, [B, C_in, *spatial] without.
            sigmas: [S], pixels, as `ScaleLift` returns them.

        Returns:
            [S, B, C_out, *spatial] or [B, C_out, *spatial].

        Raises:
            TypeError: On an argument of the wrong kind or dtype.
            ValueError: On a wrong rank, shape or value.
        """
        name = type(self).__name__
        check_tensor(name, "features", features)
        plain = sigmas is None
        rank = self.ndim + (2 if plain else 3)
        if features.ndim != rank:
            axes = "[B, C_in, *spatial]" if plain else "[S, B, C_in, *spatial]"
            raise ValueError(
                f"{name}: features must have shape {axes} with {self.ndim} spatial axes "
                f"{'without' if plain else 'with'} sigmas, got {list(features.shape)}"
            )
        if features.shape[-self.ndim - 1] != self.in_channels:
            raise ValueError(
                f"{name}: features must have C_in = {self.in_channels} channels, got {list(features.shape)}"
            )
        if sigmas is not None:
            check_tensor(name, "sigmas", sigmas)
            if sigmas.shape != features.shape[:1]:
                raise ValueError(f"{name}: sigmas must have shape [S = {features.shape[0]}], got {list(sigmas.shape)}")
        output = jet_conv(
            features.unsqueeze(0) if plain else features,
            self.weight,
            self._sigma(sigmas),
            self.bias,
            order=self.order,
            zero_order=self.zero_order,
            groups=self.groups,
            norm_power=self.norm_power,
            discretisation=self.discretisation,
            border=self.border,
            impl=self.impl,
        )
        return output.squeeze(0) if plain else output

    def extra_repr(self) -> str:
        """What differs from the defaults."""
        parts = [f"{self.in_channels}, {self.out_channels}, order={self.order}"]
        defaults: dict[str, Any] = {"zero_order": False, "groups": 1, "learn_sigma": None, "norm_power": 1.0}
        defaults |= {"discretisation": "discrete", "border": "symmetric", "impl": None}
        parts.append(f"relative_sigma={self.initial_relative_sigma:g}")
        parts += [
            f"{name}={getattr(self, name)!r}" for name, default in defaults.items() if getattr(self, name) != default
        ]
        if self.bias is None:
            parts.append("bias=False")
        return ", ".join(parts)


_ARGUMENTS = """

    Args:
        in_channels: C_in.
        out_channels: C_out.
        order: Highest total order of derivatives, 1 .. 6 (0 .. 6 with the zero order).
        zero_order: Whether the smoothed features themselves take part.
        bias: Learn an offset per output channel.
        groups: As in `torch.nn.Conv2d`.
        relative_sigma: Sigma of this layer relative to the scale channel's (or in pixels without scale channels).
        learn_sigma: Learn it: one for the layer, one per input channel or one per output filter, as the parameter
            `log_relative_sigma`; keep it out of weight decay with `sigma_parameters`.
        norm_power: Exponent of the scale normalisation.
        discretisation: One of `taps.DISCRETISATIONS`.
        border: "symmetric", "zero" or "circular".
        impl: Force an implementation; see `gdtriton.functional`.
        device: Device of the parameters.
        dtype: dtype of the parameters.

    Attributes:
        weight: [C_out, C_in / groups, J], times 1 / alpha! and sigma^(norm_power |alpha|) in the formula of
            `jet_conv`.
        bias: [C_out] or None.
        log_relative_sigma: Only where learned; a network with another number of scale channels loads the same state.

    Source: T. Lindeberg, "Scale-covariant and scale-invariant Gaussian derivative networks", 2022, equation (11).
    """


class GaussianJetConv1d(_GaussianJetConv):
    __doc__: str = "Gaussian derivative layer for signals [S, B, C, W] or [B, C, W]." + _ARGUMENTS
    ndim = 1


class GaussianJetConv2d(_GaussianJetConv):
    __doc__: str = "Gaussian derivative layer for images [S, B, C, H, W] or [B, C, H, W]." + _ARGUMENTS
    ndim = 2


class GaussianJetConv3d(_GaussianJetConv):
    __doc__: str = "Gaussian derivative layer for volumes [S, B, C, D, H, W] or [B, C, D, H, W]." + _ARGUMENTS
    ndim = 3


def sigma_parameters(module: nn.Module) -> list[nn.Parameter]:
    """The learned sigmas of a network, for an optimiser group without weight decay.

    Args:
        module: Any module.

    Returns:
        Every distinct `log_relative_sigma` parameter, in the order of `module.parameters()`.
    """
    check_module("sigma_parameters", "module", module)
    return [
        parameter for name, parameter in module.named_parameters() if name.rpartition(".")[2] == "log_relative_sigma"
    ]
