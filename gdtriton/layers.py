"""Gaussian derivative layers: `jet_conv` with its parameters, in 1, 2 and 3 dimensions.

A stock BatchNorm or GroupNorm takes axis 1 for the channels. Between these layers axis 1 is the batch: use
`EachScale(nn.BatchNorm2d(C))`.
"""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .checks import check_flag, check_integer, check_number, check_options, check_tensor
from .functional import Implementation, jet_conv
from .operators import Border, inverse_factorials, jet_orders
from .scales import positive_sigma
from .taps import Discretisation

LearnSigma = Literal["layer", "input", "output"]
EULER_GAMMA = 0.5772156649015329
LOG_RANGE = 2.6
"""Logarithm of the range of frequencies in the input model of `initial_gain`."""

LOWEST_FREQUENCY = 1 / 7
"""Lower end of that range, in units of 1 / sigma."""


def initial_gain(ndim: int, order: int, zero_order: bool) -> float:
    """Standard deviation of the weights, times sqrt(C_in / groups), that keeps the size of features through a ReLU.

    For an input of unit variance and power spectrum ~ |w|^-ndim from LOWEST_FREQUENCY / sigma over LOG_RANGE, the
    scale-normalised derivative of order a has at every sigma the variance

        v_a = <theta^(2a)> Gamma(|a|) / (2 LOG_RANGE),   <theta^(2a)> the mean over the unit sphere,
        v_0 = (-log(LOWEST_FREQUENCY) - gamma / 2) / LOG_RANGE,   gamma Euler's constant,

    and the gain is sqrt(2 / sum_a v_a / a!^2): one number, independent of sigma, as weights shared by all scale
    channels must be. The two constants make a deep cascade of equal layers stationary in 2-D at order 2.

    Measured on 1/f noise, 20 equal layers and ReLU, no batch norm: growth per layer 0.96 to 1.01 in every scale channel
    with the zero order; without it 0.98 to 1.00 for sigma 1.4 to 8 pixels but 0.93 at sigma 1 and 0.85 at 0.7, where
    central differences respond more weakly than derivatives: no constant can hold all of them over 20 layers.
    """
    orders = jet_orders(ndim, order, zero_order=zero_order)
    total = 0.0
    for a, factor in zip(orders, inverse_factorials(orders), strict=True):
        n = sum(a)
        if n == 0:
            total += (-math.log(LOWEST_FREQUENCY) - 0.5 * EULER_GAMMA) / LOG_RANGE
            continue
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
            features[None] if plain else features,
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
        return output.squeeze(0) if plain else output  # its gradient is a view, that of an index a copy

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
    return [
        parameter for name, parameter in module.named_parameters() if name.rpartition(".")[2] == "log_relative_sigma"
    ]
