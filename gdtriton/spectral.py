"""The spectral route: analysis, channel mixing on the few frequencies that matter, synthesis.

With the spectral form of P_n, a layer of the discrete analogue (symmetric or circular border) is

    output = sum over parity classes c of B_c^T [ sum_{a in c} m_a(k) w_a / a! ] C f,
    m_a(k) = prod over axes of sigma^(p a_i) lambda_{a_i}(w_k) exp(-s (1 - cos w_k)),

where a parity class is the tuple of (a_i mod 2). The exponential leaves r of N frequencies, so cost and memory fall as
sigma grows; the constant part never meets a derivative, so every order keeps its digits; and sigma may differ
between input channels (m multiplies before the mixing) or output filters (after it) for the same price.
"""

from functools import lru_cache

import torch
from torch import Tensor

from .axes import Layer, apply_axis
from .operators import spectral_basis, spectral_multiplier
from .taps import smoothing_exponent

Parity = tuple[int, ...]


@lru_cache(maxsize=1024)
def rank(size: int, sigma: float, order: int, border: str, unit_roundoff: float) -> int:
    """How many of `size` frequencies matter: beyond it every scale-normalised multiplier is below rounding."""
    frequency = spectral_basis(size, border).frequency
    value = torch.tensor(sigma, dtype=torch.float64)
    largest = torch.stack([sigma**n * spectral_multiplier(frequency, value, n).abs() for n in range(order + 1)]).amax(0)
    kept = torch.nonzero(largest > unit_roundoff / 4)
    count = int(kept[-1]) + 1
    # A cosine and its sine belong together.
    return min(size, count + 1) if border == "circular" and count % 2 == 0 else count


@lru_cache(maxsize=256)
def _rows(
    size: int, count: int, border: str, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    basis = spectral_basis(size, border)
    analysis, odd = basis.analysis[:count], basis.odd[:count]
    # A transfer to another device in float64 is not possible everywhere.
    return tuple(  # type: ignore[return-value]
        rows.to(dtype).to(device) for rows in (basis.frequency[:count], analysis, odd)
    )


class SpectralRoute:
    """One scale channel of a layer on its coefficients; images are [B, *spatial, C].

    Args:
        sigma: [], [1, 1], [1, C_in] (per input channel) or [C_out, 1] (per output filter).
        layer: The static arguments.
        like: A tensor with the dtype and device of the images.
        spatial: Axis lengths.
        storage: dtype of the features; frequencies below its rounding are left out.
    """

    def __init__(
        self,
        sigma: Tensor,
        layer: Layer,
        like: Tensor,
        spatial: tuple[int, ...],
        storage: torch.dtype,
    ):
        self.layer, self.ndim = layer, len(spatial)
        self.orders = layer.orders(self.ndim)
        self.per_filter = sigma.ndim == 2 and sigma.shape[0] > 1
        precise = torch.promote_types(sigma.dtype, like.dtype)
        self.sigma = sigma.flatten().to(precise)  # [1], [C_in] or [C_out]
        if sigma.device.type == "cpu":
            finest, unit = float(sigma.min()), torch.finfo(storage).eps / 2
            # A sigma of NaN or 0 keeps every frequency, and the result says NaN or nothing smoothed.
            counts = [rank(n, finest, layer.order, layer.border, unit) if finest > 0 else n for n in spatial]
        else:
            counts = list(spatial)
        rows = [_rows(n, k, layer.border, like.dtype, like.device) for n, k in zip(spatial, counts, strict=True)]
        self.counts = counts
        self.analysis = [analysis for _, analysis, _ in rows]
        self.both = [torch.cat([analysis, odd]) for _, analysis, odd in rows]
        self.frequency = [
            _rows(n, k, layer.border, precise, sigma.device)[0] for n, k in zip(spatial, counts, strict=True)
        ]
        self.like = like
        self.multipliers = {a: self._multiplier(a) for a in self.orders}

    def _outer(self, factors: list[Tensor], sigma_side: int) -> Tensor:
        """Per-axis factors [r_i, sigma_side] -> their product on the frequency grid [r_1, ..., r_N, sigma_side]."""
        total: Tensor | None = None
        for axis, factor in enumerate(factors):
            shape = [1] * self.ndim
            shape[axis] = factor.shape[0]
            factor = factor.view(*shape, sigma_side)
            total = factor if total is None else total * factor
        assert total is not None
        return total

    def _multiplier(self, a: tuple[int, ...]) -> Tensor:
        """m_a, [r_1, ..., r_N, 1 | C_in | C_out]."""
        power = self.layer.norm_power
        factors = [
            (self.sigma ** (power * n) * spectral_multiplier(w, self.sigma, n).T)
            for w, n in zip(self.frequency, a, strict=True)
        ]
        return self._outer(factors, len(self.sigma)).to(self.like.device, self.like.dtype)

    def analyse(self, image: Tensor) -> Tensor:
        """C along every axis: [B, *spatial, C] -> [B, r_1, ..., r_N, C]."""
        for axis, rows in enumerate(self.analysis, start=1):
            image = apply_axis(rows, image, axis)
        return image

    def _analyse_adjoint(self, coefficients: Tensor) -> Tensor:
        for axis in reversed(range(self.ndim)):  # the last product is the largest: give it the longest rows
            coefficients = apply_axis(self.analysis[axis].T, coefficients, axis + 1)
        return coefficients

    def _synthesise(self, classes: dict[Parity, Tensor]) -> Tensor:
        """Sum over classes of B_c^T coefficients, one axis after the other."""
        for axis in reversed(range(self.ndim)):
            count = self.counts[axis]
            remaining: dict[Parity, Tensor] = {}
            for rest in {parity[:-1] for parity in classes}:
                pair = [classes.get((*rest, p)) for p in (0, 1)]
                if pair[0] is not None and pair[1] is not None:
                    rows, coefficients = self.both[axis], torch.cat(pair, dim=axis + 1)  # type: ignore[arg-type]
                else:
                    which = 0 if pair[1] is None else 1
                    rows = self.both[axis][which * count : (which + 1) * count]
                    coefficients = pair[which]  # type: ignore[assignment]
                remaining[rest] = apply_axis(rows.T, coefficients, axis + 1)
            classes = remaining
        return classes[()]

    def _analyse_classes(self, grad: Tensor) -> dict[Parity, Tensor]:
        """B_c of a cotangent for every parity class in use: the adjoint of `_synthesise`."""
        wanted = {tuple(n % 2 for n in a) for a in self.orders}
        classes: dict[Parity, Tensor] = {(): grad}
        for axis in range(self.ndim):
            split: dict[Parity, Tensor] = {}
            for parity, value in classes.items():
                halves = apply_axis(self.both[axis], value, axis + 1)
                for p, half in enumerate(halves.split(self.counts[axis], dim=axis + 1)):
                    if any(w[: axis + 1] == (*parity, p) for w in wanted):
                        split[*parity, p] = half.contiguous()
            classes = split
        return classes

    def _mix(self, values: Tensor, matrix: Tensor) -> Tensor:
        """Channels [..., C_in] -> [..., C_out] by [C_out, C_in / groups], group by group."""
        groups = self.layer.groups
        if groups == 1:
            return values @ matrix.T
        split = values.unflatten(-1, (groups, -1))
        return torch.einsum("...gi,goi->...go", split, matrix.unflatten(0, (groups, -1))).flatten(-2)

    def _mix_adjoint(self, values: Tensor, matrix: Tensor) -> Tensor:
        groups = self.layer.groups
        if groups == 1:
            return values @ matrix
        split = values.unflatten(-1, (groups, -1))
        return torch.einsum("...go,goi->...gi", split, matrix.unflatten(0, (groups, -1))).flatten(-2)

    def _mix_gradient(self, grads: Tensor, values: Tensor) -> Tensor:
        groups = self.layer.groups
        grads, values = grads.flatten(0, -2), values.flatten(0, -2)
        if groups == 1:
            return grads.T @ values
        grads, values = grads.unflatten(-1, (groups, -1)), values.unflatten(-1, (groups, -1))
        return torch.einsum("ngo,ngi->goi", grads, values).flatten(0, 1)

    def forward(self, coefficients: Tensor, weight: Tensor) -> Tensor:
        """From C f [B, r..., C_in] to the output [B, *spatial, C_out]."""
        weight = weight * self.layer.factorials(weight, self.ndim)
        classes: dict[Parity, Tensor] = {}
        for j, a in enumerate(self.orders):
            multiplier = self.multipliers[a]
            if self.per_filter:
                term = multiplier * self._mix(coefficients, weight[..., j])
            else:
                term = self._mix(multiplier * coefficients, weight[..., j])
            parity = tuple(n % 2 for n in a)
            classes[parity] = classes[parity] + term if parity in classes else term
        return self._synthesise(classes)

    def backward(
        self, grad: Tensor, coefficients: Tensor, weight: Tensor, needs: tuple[bool, bool, bool]
    ) -> tuple[Tensor | None, Tensor, Tensor | None]:
        """Adjoints in image, weight and sigma (in the shape of a flattened sigma)."""
        factorials = self.layer.factorials(weight, self.ndim)
        scaled = weight * factorials
        classes = self._analyse_classes(grad)
        grad_coefficients = torch.zeros_like(coefficients)
        grad_weight = torch.empty_like(weight)
        response: Tensor | None = (
            None  # sum over classes of cotangent times response, where sigma belongs to the filter
        )
        for j, a in enumerate(self.orders):
            cotangent, multiplier = classes[tuple(n % 2 for n in a)], self.multipliers[a]
            if self.per_filter:
                if needs[2]:
                    mixed = self._mix(coefficients, scaled[..., j])
                    term = cotangent * multiplier * mixed
                    response = term if response is None else response + term
                cotangent = cotangent * multiplier
                grad_coefficients += self._mix_adjoint(cotangent, scaled[..., j])
                grad_weight[..., j] = self._mix_gradient(cotangent, coefficients)
            else:
                grad_coefficients += multiplier * self._mix_adjoint(cotangent, scaled[..., j])
                grad_weight[..., j] = self._mix_gradient(cotangent, multiplier * coefficients)
        grad_weight = grad_weight * factorials
        grad_image = self._analyse_adjoint(grad_coefficients) if needs[0] else None
        if not needs[2]:
            return grad_image, grad_weight, None
        if not self.per_filter:
            response = grad_coefficients * coefficients
        assert response is not None
        return grad_image, grad_weight, self._sigma_gradient(response, weight, grad_weight)

    def _sigma_gradient(self, response: Tensor, weight: Tensor, grad_weight: Tensor) -> Tensor:
        """-2 sigma sum_k (sum_i (1 - cos w_i)) response + (p / sigma) sum_a |a| <w_a, dLoss/dw_a>."""
        exponent = self._exponent_sum().to(response.device, response.dtype)  # [r_1, ..., r_N]
        per_channel = (response * exponent[..., None]).flatten(0, -2).sum(0)  # [C]
        inner = (self.layer.total_orders(weight, self.ndim) * weight * grad_weight).sum(-1)
        count = len(self.sigma)
        if count == 1:
            diffusion, power = per_channel.sum()[None], inner.sum()[None]
        elif self.per_filter:
            diffusion, power = per_channel, inner.sum(1)
        else:
            groups = self.layer.groups
            power = inner.unflatten(0, (groups, -1)).sum(1).flatten()
            diffusion = per_channel
        diffusion, power = (x.to(self.sigma.device, self.sigma.dtype) for x in (diffusion, power))
        return -2 * self.sigma * diffusion + self.layer.norm_power / self.sigma * power

    def _exponent_sum(self) -> Tensor:
        exponents = [smoothing_exponent(w) for w in self.frequency]
        total = torch.zeros(self.counts, dtype=exponents[0].dtype, device=exponents[0].device)
        for axis, exponent in enumerate(exponents):
            shape = [1] * self.ndim
            shape[axis] = len(exponent)
            total = total + exponent.view(shape)
        return total

    def corner(self, saved: Tensor) -> Tensor:
        """The leading corner of a buffer [B, >= r_1, ..., >= r_N, C] that holds the coefficients."""
        return saved[(slice(None), *(slice(k) for k in self.counts))]
