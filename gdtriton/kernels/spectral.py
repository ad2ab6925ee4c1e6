"""The spectral route of a jet layer: analysis, mixing on the few frequencies that matter, synthesis; and its adjoint.

    forward     features -> coefficients (kept for backward) -> parity classes -> output
    backward    cotangent -> its parity classes -> cotangent of the coefficients -> gradient of the features;
                classes and kept coefficients -> weight gradient and sigma's first term

What `gdtriton/spectral.py` does with PyTorch, for scale channels whose plan says so, and without the host knowing a
rank: buffers have room for every frequency, kernels touch the leading ones; they hold a few images of the batch at a
time. Axes are analysed from the first, so that most is read along the fastest axis of memory; backwards for synthesis.
"""

import math

import torch
from torch import Tensor

from ..axes import Layer
from .cost import Cost
from .spectral_mix import Parity, SpectralTables, launch_spectral_mix, parity_classes, spectral_mix_cost
from .spectral_weight import launch_spectral_weight, spectral_weight_cost
from .spectrum import launch_analysis, launch_synthesis, transform_cost
from .sums import Sums
from .tables import Plan, launch_spectrum

TEMPORARY_BYTES = 256 * 2**20
"""About how much the buffers of one call may hold at a time (one image at least)."""


def _transforms_cost(
    images: int, spatial: tuple[int, ...], ranks: tuple[int, ...], parities: list[Parity], image_bytes: int
) -> Cost:
    """All axes of `images` planes or volumes, either way; what lies between two axes is float32."""
    total = Cost(0, 0)
    for axis, size in enumerate(spatial):
        n_vectors = images * math.prod(ranks[:axis]) * math.prod(spatial[axis + 1 :])
        for prefix in {parity[:axis] for parity in parities}:
            following = {parity[axis] for parity in parities if parity[:axis] == prefix}
            element = image_bytes if axis == 0 else 4
            total += transform_cost(n_vectors, size, ranks[axis], len(following), element)
    return total


def spectral_cost(
    batch: int, spatial: tuple[int, ...], ranks: tuple[int, ...], c_in: int, c_out: int, layer: Layer,
    image_bytes: int, *, backward: bool = False,
) -> Cost:  # fmt: skip
    """Bytes that must move and operations that must happen for one scale channel, forward or backward.

    Args:
        batch: Images.
        spatial: Axis lengths.
        ranks: How many frequencies of every axis matter, see `gdtriton.spectral.rank`.
        c_in: Input channels.
        c_out: Output channels.
        layer: The static arguments.
        image_bytes: Bytes of a number of the features.
        backward: All three gradients instead of the output.
    """
    parities, constant = list(parity_classes(layer, len(spatial))), [(0,) * len(spatial)]
    frequencies, n_jet = batch * math.prod(ranks), len(layer.orders(len(spatial)))
    counts = (frequencies, c_in, c_out, n_jet, len(parities), layer.groups)
    total = _transforms_cost(batch * c_in, spatial, ranks, constant, image_bytes)
    total += _transforms_cost(batch * c_out, spatial, ranks, parities, image_bytes)
    total += spectral_mix_cost(*counts, response=backward)
    return total + spectral_weight_cost(*counts) if backward else total


def _tables(sigma: Tensor, spatial: tuple[int, ...], layer: Layer, plan: Plan) -> SpectralTables:
    flat = sigma.reshape(-1)
    by_size = {size: launch_spectrum(flat, size, layer.border) for size in sorted(set(spatial))}
    return SpectralTables(
        axes=tuple(by_size[size] for size in spatial), plan=plan.values, factors=plan.factors,
        n_sigma=sigma[0].numel(), per_output=sigma.ndim == 3 and sigma.shape[1] > 1,
        sizes=spatial, circular=layer.border == "circular",
    )  # fmt: skip


def _images_at_once(features: Tensor, c_out: int, n_classes: int) -> int:
    """How many images of the batch fit the buffers."""
    ndim, c_in = features.ndim - 3, features.shape[2]
    # Classes, the larger side's intermediate results of one axis in every parity, coefficients.
    channels = n_classes * c_out + 2 ** (ndim - 1) * max(c_in, c_out) + c_in
    image = 4 * features.shape[0] * channels * math.prod(features.shape[3:])
    return int(max(1, TEMPORARY_BYTES // image))


class _Transforms:
    """Analysis and synthesis along all axes, on buffers of their own."""

    def __init__(self, tables: SpectralTables, dtype: torch.dtype):
        self.tables, self.dtype, self.ndim = tables, dtype, len(tables.sizes)

    def buffer(self, like: Tensor, channels: int) -> Tensor:
        """[S, B, channels, *spatial], float32, not initialised."""
        shape = (*like.shape[:2], channels, *self.tables.sizes)
        return torch.empty(shape, dtype=torch.float32, device=like.device)

    def analyse(self, image: Tensor, targets: dict[Parity, Tensor]) -> None:
        """Every parity class of `targets`, which all have the same strides."""
        level: dict[Parity, Tensor] = {(): image}
        for axis in range(self.ndim):
            following: dict[Parity, Tensor] = {}
            for prefix, source in level.items():
                pair: list[Tensor | None] = []
                for p in (0, 1):
                    parity = (*prefix, p)
                    if not any(wanted[: axis + 1] == parity for wanted in targets):
                        pair.append(None)
                        continue
                    last = axis == self.ndim - 1
                    following[parity] = targets[parity] if last else self.buffer(source, source.shape[2])
                    pair.append(following[parity])
                launch_analysis(
                    source, pair[0], pair[1], axis, self.tables.axes[axis], self.tables.plan,
                    symmetric=not self.tables.circular, dtype=self.dtype,
                )  # fmt: skip
            level = following

    def synthesise(self, classes: dict[Parity, Tensor], out: Tensor, bias: Tensor | None = None) -> None:
        """The sum of all parity classes as an image, plus the bias of its channel."""
        for axis in reversed(range(self.ndim)):
            following: dict[Parity, Tensor] = {}
            for prefix in sorted({parity[:-1] for parity in classes}):
                pair = [classes.get((*prefix, p)) for p in (0, 1)]
                target = out if axis == 0 else self.buffer(out, out.shape[2])
                launch_synthesis(
                    pair[0], pair[1], target, axis, self.tables.axes[axis], self.tables.plan,
                    symmetric=not self.tables.circular, dtype=self.dtype, bias=bias if axis == 0 else None,
                )  # fmt: skip
                following[prefix] = target
            classes = following


def _corner(saved: Tensor, spatial: tuple[int, ...]) -> Tensor:
    """The leading corner of what is kept, [S, B, C_in, *spatial]."""
    for axis, size in enumerate(spatial, start=3):
        saved = saved.narrow(axis, 0, size)
    return saved


def forward(
    features: Tensor, weight: Tensor, sigma: Tensor, bias: Tensor | None, layer: Layer, plan: Plan, out: Tensor,
    saved: Tensor,
) -> None:  # fmt: skip
    """Scale channels of the spectral route of `jet_conv`, into `out`; their coefficients into `saved`.

    Args:
        features: [S, B, C_in, *spatial], any strides.
        weight: [C_out, C_in / groups, J].
        sigma: [S], [S, 1, C_in] or [S, C_out, 1], on the device.
        bias: [C_out] or None.
        layer: The static arguments.
        plan: Of `launch_plan`.
        out: [S, B, C_out, *spatial]; other scale channels are not touched.
        saved: [S, B, C_in, >= spatial...] float32: coefficients C f before the smoothing, in the leading corner.
    """
    if features.numel() == 0 or out.numel() == 0:
        return
    spatial = tuple(features.shape[3:])
    tables = _tables(sigma, spatial, layer, plan)
    transforms = _Transforms(tables, features.dtype)
    parities = list(parity_classes(layer, len(spatial)))
    at_once = _images_at_once(features, out.shape[2], len(parities))
    corner = _corner(saved, spatial)
    for images, coefficients, results in zip(
        features.split(at_once, 1), corner.split(at_once, 1), out.split(at_once, 1), strict=True
    ):
        transforms.analyse(images, {(0,) * len(spatial): coefficients})
        shape = (len(parities), *results.shape)
        classes = torch.empty(shape, dtype=torch.float32, device=features.device)
        launch_spectral_mix(coefficients, weight, classes, layer, tables, dtype=features.dtype)
        transforms.synthesise(dict(zip(parities, classes, strict=True)), results, bias)


def backward(
    grad: Tensor, saved: Tensor, weight: Tensor, sigma: Tensor, layer: Layer, plan: Plan,
    needs: tuple[bool, bool, bool], grad_features: Tensor | None,
) -> Sums:  # fmt: skip
    """Adjoint of `forward` in features, weight and sigma (through the smoothing).

    Args:
        grad: [S, B, C_out, *spatial], any strides: cotangent of the output.
        saved: What forward kept.
        weight: [C_out, C_in / groups, J].
        sigma: As in `forward`.
        layer: The static arguments.
        plan: As in `forward`.
        needs: Whether the gradients in features, weight and sigma are asked for.
        grad_features: [S, B, C_in, *spatial]; other scale channels are not touched. None if not asked for.

    Returns:
        Sums of every scale channel, zero for other routes; what is not asked for may be zero.
    """
    n_scales, c_in, spatial = saved.shape[0], saved.shape[2], tuple(grad.shape[3:])
    grad_weight = torch.zeros(n_scales, *weight.shape, dtype=torch.float32, device=grad.device)
    per_output = sigma.ndim == 3 and sigma.shape[1] > 1
    diffusion = torch.zeros(n_scales, grad.shape[2] if per_output else c_in, dtype=torch.float32, device=grad.device)
    if grad.numel() == 0 or saved.numel() == 0 or not any(needs):
        return Sums(grad_weight, torch.zeros(sigma.shape, dtype=torch.float32, device=grad.device))
    tables = _tables(sigma, spatial, layer, plan)
    transforms = _Transforms(tables, grad.dtype)
    parities = list(parity_classes(layer, len(spatial)))
    corner = _corner(saved, spatial)
    at_once = _images_at_once(corner, grad.shape[2], len(parities))
    starts = range(0, grad.shape[1], at_once)
    for start in starts:
        images = slice(start, start + at_once)
        cotangent, coefficients = grad[:, images], corner[:, images]
        shape = (len(parities), *cotangent.shape)
        classes = torch.empty(shape, dtype=torch.float32, device=grad.device)
        transforms.analyse(cotangent, dict(zip(parities, classes, strict=True)))
        summed: Tensor | None = None
        adjoint_summed = needs[2] and not per_output
        if needs[0] or adjoint_summed:
            change = transforms.buffer(coefficients, c_in) if needs[0] else None
            other = coefficients if adjoint_summed else None
            summed = launch_spectral_mix(
                classes, weight, change, layer, tables, dtype=grad.dtype, adjoint=True, other=other
            )
            if change is not None:
                assert grad_features is not None
                transforms.synthesise({(0,) * len(spatial): change}, grad_features[:, images])
        if needs[2] and per_output:
            summed = launch_spectral_mix(coefficients, weight, None, layer, tables, dtype=grad.dtype, other=classes)
        if summed is not None:
            diffusion += summed
        if needs[1] or needs[2]:
            grad_weight += launch_spectral_weight(classes, coefficients, layer, tables, dtype=grad.dtype)
    if tables.n_sigma == 1:
        diffusion = diffusion.sum(1)
    # The sigma of a scale channel of the other route may be NaN.
    ours = (plan.values[:, 0] == 1).view(-1, *(1,) * (sigma.ndim - 1))
    diffusion = torch.where(ours, -2 * sigma * diffusion.view(sigma.shape), 0).to(torch.float32)
    return Sums(grad_weight, diffusion)
