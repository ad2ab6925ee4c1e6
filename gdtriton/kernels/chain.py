"""Chains of axis operators: smoothing onto a margin, jets by P_n itself, and the adjoints of both.

Tensors are [S, B, C, *spatial], jets [S, B, C, J, *spatial]; what stands between two axes is float32. Jets are walked
axis by axis as a tree of prefixes (P_n along y once for all derivatives that begin with it).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..axes import Layer
from .band import launch_band
from .tables import Plan, TapTable, launch_taps

Orders = tuple[int, ...]


class AxisChain:
    """The operators P_n of every scale channel along the axes of [S, B, C, *spatial], by their band form.

    Args:
        sigma: [S] pixels, on the device.
        spatial: Axis lengths.
        layer: The static arguments.
        plan: Radii of the bands and factors.
        margin: `smooth` returns this many pixels of the extended image on either side.
        check_route: Leave scale channels of the spectral route alone.
    """

    def __init__(
        self, sigma: Tensor, spatial: tuple[int, ...], layer: Layer, plan: Plan, margin: int = 0, *,
        check_route: bool = False,
    ):  # fmt: skip
        self.sigma, self.spatial, self.layer, self.plan = sigma, spatial, layer, plan
        self.margin, self.check_route = margin, check_route
        self.ndim = len(spatial)
        self.orders = layer.orders(self.ndim)
        self._tables: dict[tuple[int, int, int, bool], TapTable] = {}

    def _table(self, axis: int, order: int, margin: int, changed: bool) -> TapTable:
        key = (self.spatial[axis], order, margin, changed)
        if key not in self._tables:
            self._tables[key] = launch_taps(
                self.sigma, key[0], margin, order, self.layer.discretisation, self.layer.border, changed=changed
            )
        return self._tables[key]

    def apply(
        self, x: Tensor, out: Tensor, axis: int, order: int, *, margin: int = 0, changed: bool = False,
        transpose: bool = False, factor: Tensor | None = None, scale: float = 1.0, accumulate: bool = False,
    ) -> None:  # fmt: skip
        """P_n (its derivative in sigma if `changed`) or its transpose along one axis; see `launch_band`."""
        launch_band(
            x, out, axis, self._table(axis, order, margin, changed), self.plan.values, odd=order % 2 == 1,
            symmetric=self.layer.border == "symmetric", margin=margin, transpose=transpose,
            check_route=self.check_route, factor=factor, scale=scale, accumulate=accumulate,
        )  # fmt: skip

    def _between(self, x: Tensor, axis: int, margin: int) -> Tensor:
        """Memory after axes 0 .. axis have been applied, those with their margin."""
        sizes = [n + 2 * margin if k <= axis else n for k, n in enumerate(self.spatial)]
        return torch.empty(*x.shape[:3], *sizes, dtype=torch.float32, device=x.device)

    def smooth(self, image: Tensor, out: Tensor, changed_axis: int | None = None) -> None:
        """P_0 along every axis onto the margin; dP_0 / dsigma along one of them if asked."""
        self._along_all(image, out, (0,) * self.ndim, changed_axis, self.margin)

    def derivative(self, image: Tensor, out: Tensor, orders: Orders, changed_axis: int | None = None) -> None:
        """P_{a_1} ... P_{a_N} image; dP / dsigma along one axis if asked."""
        self._along_all(image, out, orders, changed_axis, 0)

    def _along_all(self, x: Tensor, out: Tensor, orders: Orders, changed_axis: int | None, margin: int) -> None:
        for axis, order in enumerate(orders):
            result = out if axis == self.ndim - 1 else self._between(x, axis, margin)
            self.apply(x, result, axis, order, margin=margin, changed=axis == changed_axis)
            x = result

    def smooth_adjoint(self, grad: Tensor, out: Tensor) -> None:
        """The transpose of `smooth`."""
        for axis in reversed(range(self.ndim)):
            result = out if axis == 0 else self._between(out, axis - 1, self.margin)
            self.apply(grad, result, axis, 0, margin=self.margin, transpose=True)
            grad = result

    def _branches(self, prefix: Orders) -> list[int]:
        return sorted({a[len(prefix)] for a in self.orders if a[: len(prefix)] == prefix})

    def jets(self, image: Tensor, out: Tensor, scale: Callable[[Orders], float]) -> None:
        """Write to out[..., j, *spatial] scale(a) factor[s, j] P_a image, for every multi-index a, number j."""
        self._descend(image, out, (), scale)

    def _descend(self, x: Tensor, out: Tensor, prefix: Orders, scale: Callable[[Orders], float]) -> None:
        axis = len(prefix)
        last = axis == self.ndim - 1
        between = None if last else self._between(x, axis, 0)
        for order in self._branches(prefix):
            a = (*prefix, order)
            if between is not None:
                self.apply(x, between, axis, order)
                self._descend(between, out, a, scale)
            else:
                j = self.orders.index(a)
                self.apply(x, out.select(3, j), axis, order, factor=self.plan.factors[:, j], scale=scale(a))

    def jets_adjoint(self, grad: Tensor, out: Tensor, scale: Callable[[Orders], float]) -> None:
        """Write sum_a scale(a) factor[s, j] P_a^T grad[..., j, *spatial] to `out`."""
        self._ascend(grad, out, (), scale)

    def _ascend(self, grad: Tensor, out: Tensor, prefix: Orders, scale: Callable[[Orders], float]) -> None:
        axis = len(prefix)
        last = axis == self.ndim - 1
        between = None if last else torch.empty(out.shape, dtype=torch.float32, device=out.device)
        for k, order in enumerate(self._branches(prefix)):
            a = (*prefix, order)
            if between is not None:
                self._ascend(grad, between, a, scale)
                self.apply(between, out, axis, order, transpose=True, accumulate=k > 0)
            else:
                j = self.orders.index(a)
                self.apply(
                    grad.select(3, j), out, axis, order, transpose=True, factor=self.plan.factors[:, j], scale=scale(a),
                    accumulate=k > 0,
                )  # fmt: skip


def per_scale_dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of two [S, ...] for every s, float32 [S]."""
    return (a.float() * b.float()).flatten(1).sum(1)


def sigma_on_device(sigma: Tensor, device: torch.device) -> Tensor:
    """Where the kernels read sigma. Numbers on the host travel as launch arguments: a CUDA graph can capture those."""
    if sigma.device == device:
        return sigma.detach().contiguous()
    numbers = [torch.full((), value, dtype=sigma.dtype, device=device) for value in sigma.flatten().tolist()]
    return torch.stack(numbers).view(sigma.shape)
