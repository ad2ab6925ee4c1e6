"""What the jet layers of a network see and say: their inputs, outputs and sigmas during one run of a copy.

Source of every number in `numeric` and `symmetry`; the network itself is never touched.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..layers import _GaussianJetConv
from ..scale_axis import ScaleLift
from ..scales import ScaleGrid


@dataclass(frozen=True)
class Observation:
    """One use of a jet layer with all scale channels of the grid.

    Attributes:
        layer: The layer, float64.
        features: What it was given, [S, B, C_in, *spatial].
        output: What it gave, hooks included, [S, B, C_out, *spatial].
        sigmas: [S] as it was given them, or None where it was used without (a fixed sigma).
    """

    layer: _GaussianJetConv
    features: Tensor
    output: Tensor
    sigmas: Tensor | None

    @property
    def spatial(self) -> tuple[int, ...]:
        """Spatial shape of the features."""
        return tuple(self.features.shape[3:])

    def sigma(self, scale_channel: int) -> Tensor:
        """Sigma of the layer in a scale channel, pixels, [1 or C_out, 1 or C_in]."""
        own = self.layer._sigma(self.sigmas).detach().double()
        own = own[scale_channel if len(own) > 1 else 0]
        return own.reshape(1, 1) if own.ndim == 0 else own

    def again(self, features: Tensor, sigmas: Tensor | None = None) -> Tensor:
        """The layer, as the network has it, on other features of all scale channels."""
        with torch.no_grad():
            if self.sigmas is None:
                output: Tensor = self.layer(features.flatten(0, 1)).unflatten(0, features.shape[:2])
                return output
            output = self.layer(features, self.sigmas if sigmas is None else sigmas)
            return output


def scale_grid(module: nn.Module, name: str = "covariance_defect") -> ScaleGrid:
    """The grid of the first `ScaleLift`.

    Raises:
        ValueError: If there is none.
    """
    for m in module.modules():
        if isinstance(m, ScaleLift):
            return m.grid
    raise ValueError(f"{name}: module must contain a ScaleLift, got none; its grid says which sigmas match")


def scaled_copy(module: nn.Module, factor: float = 1.0) -> nn.Module:
    """A float64 copy in evaluation mode with all sigmas of its grid times `factor`."""
    duplicate = copy.deepcopy(module).cpu().double().eval()
    for m in duplicate.modules():
        if isinstance(m, ScaleLift):
            m.grid = ScaleGrid(m.grid.sigma_0 * factor, m.grid.ratio, m.grid.n_scales)
    return duplicate


def observe(
    module: nn.Module, image: Tensor, change: Callable[[_GaussianJetConv], None] | None = None
) -> tuple[dict[str, Observation], Any]:
    """Run a copy of `module` on an image and keep what its jet layers saw.

    Args:
        module: A network with a `ScaleLift`.
        image: [B, C, *spatial].
        change: Done to every jet layer of the copy first.

    Returns:
        Observations by path in the order of first use, a further use of one layer as "path (2)"; and the output.
        Scale channels are recognised where they are the first axis, folded into the batch, or uses one after another.
    """
    duplicate = scaled_copy(module)
    n_scales = scale_grid(duplicate).n_scales
    uses: dict[str, list[tuple[Tensor, Tensor, Tensor | None]]] = {}
    layers: dict[str, _GaussianJetConv] = {}
    for path, m in duplicate.named_modules():
        if not isinstance(m, _GaussianJetConv):
            continue
        if change is not None:
            change(m)
        layers[path] = m
        m.register_forward_hook(_keeper(uses, path), with_kwargs=True)
    with torch.no_grad():
        output = duplicate(image.double())
    found: dict[str, Observation] = {}
    for path, rows in uses.items():
        for number, use in enumerate(_whole(rows, n_scales), start=1):
            found[path if number == 1 else f"{path} ({number})"] = Observation(layers[path], *use)
    for m in layers.values():
        m._forward_hooks.popitem()  # ours is the last: `again` runs what the network has
    return found, output


def _keeper(uses: dict[str, list[tuple[Tensor, Tensor, Tensor | None]]], path: str) -> Callable[..., None]:
    def keep(_: nn.Module, args: Sequence[Any], kwargs: dict[str, Any], output: Tensor) -> None:
        features = args[0] if args else kwargs["features"]
        sigmas = args[1] if len(args) > 1 else kwargs.get("sigmas")
        uses.setdefault(path, []).append((features.detach(), output.detach(), sigmas))

    return keep


def _whole(
    uses: list[tuple[Tensor, Tensor, Tensor | None]], n_scales: int
) -> list[tuple[Tensor, Tensor, Tensor | None]]:
    """Uses with all scale channels, made of uses one by one where a network loops over them."""
    result: list[tuple[Tensor, Tensor, Tensor | None]] = []
    pending: list[tuple[Tensor, Tensor, Tensor]] = []
    for features, output, sigmas in uses:
        if sigmas is None:
            if features.shape[0] % n_scales == 0:
                result.append((features.unflatten(0, (n_scales, -1)), output.unflatten(0, (n_scales, -1)), None))
        elif len(sigmas) == n_scales:
            result.append((features, output, sigmas))
        elif len(sigmas) == 1:
            pending.append((features, output, sigmas))
            if len(pending) == n_scales:
                a, b, c = (torch.cat(column) for column in zip(*pending, strict=True))
                result.append((a, b, c))
                pending = []
    return result
