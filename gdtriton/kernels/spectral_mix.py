"""Channel mixing on coefficients: the spectral route of a layer between analysis and synthesis, and its adjoint.

For every parity class c (the tuple of a_i mod 2) and frequency k = (k_1, ..., k_N) below the ranks,

    out_c[o, k] = sum_i sum_{a in c} W[o, i, a] m_a(k; q) coef[i, k],    m_a = factor[q, a] lambda_a(w_k) decay(k; q),

with q the scale channel, or the scale channel and the input or the output channel that has a sigma of its own. The
adjoint sums over (c, o), coef'[i, k] = sum_c sum_o sum_{a in c} W[o, i, a] m_a(k; q) grad_c[o, k]. One kernel does it:
a tile is BLOCK_R channels of the result by BLOCK_P frequencies, all axes in one index so that the few that matter fill
it; lambda comes from the table of cosines, is multiplied in float32, and only the product lambda coef is rounded to the
type of the matrix product.

What sigma's gradient needs, sum_k (sum_axes 1 - cos w) result[k] other[k], is summed up from the registers: with the
kept coefficients in the adjoint; where sigma belongs to the output channel with the cotangent in the forward form.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..axes import Layer
from ..checks import interpreting
from .configuration import Configuration
from .cost import Cost
from .mix import PRODUCTS, mix_dot, product_type, volume
from .tables import SpectrumTable, _frequency_index, _transfer
from .tiles import entries, precision, precision_of, tile

Parity = tuple[int, ...]
Item = tuple[int, int, int, int]

SCALE, INNER, ROWS = 0, 1, 2
"""Whose sigma it is: the scale channel's, the summed channel's or the result's."""
_SUFFIX = ("", "-inner", "-rows")

_INNER, _ROWS = tl.constexpr(INNER), tl.constexpr(ROWS)


def spectral_mix_cost(
    frequencies: int, c_in: int, c_out: int, n_jet: int, n_classes: int, groups: int, *, response: bool = False
) -> Cost:
    """Bytes and operations for `frequencies` of all images, either way; `response` reads the result's partner too."""
    moved = 4 * frequencies * (c_in + n_classes * c_out + (c_in if response else 0))
    return Cost(moved, 2 * frequencies * c_in * c_out * n_jet // groups)


class SpectralTables(NamedTuple):
    """What the kernels read about frequencies and sigma; axes in array order."""

    axes: tuple[SpectrumTable, ...]
    plan: Tensor  # [S, 1 + 2 A]
    factors: Tensor  # [Q, J]
    n_sigma: int  # sigmas of a scale channel
    per_output: bool  # which of the two channels has them, where n_sigma > 1
    sizes: tuple[int, ...]
    circular: bool

    def arguments(self) -> tuple[Any, ...]:
        """Pointers and sizes, one-pixel axes in front."""
        padding = 3 - len(self.axes)
        axes = (*(self.axes[0],) * padding, *self.axes)
        sizes = (*(1,) * padding, *self.sizes)
        return self.plan, self.factors, *(t.decay for t in axes), *(t.cosines for t in axes), *sizes

    def side(self, *, rows_are_outputs: bool, depthwise: bool) -> int:
        """SCALE, INNER or ROWS for a kernel whose result has the output (or the input) channels."""
        if self.n_sigma == 1:
            return SCALE
        return ROWS if depthwise or self.per_output == rows_are_outputs else INNER


def parity_classes(layer: Layer, ndim: int) -> dict[Parity, tuple[Item, ...]]:
    """The coefficients of every parity class as (j, a_z, a_y, a_x), classes ascending."""
    classes: dict[Parity, list[Item]] = {}
    for j, a in enumerate(layer.orders(ndim)):
        z, y, x = (*(0,) * (3 - ndim), *a)
        classes.setdefault(tuple(n % 2 for n in a), []).append((j, z, y, x))
    return {parity: tuple(classes[parity]) for parity in sorted(classes)}


def flat_classes(layer: Layer, ndim: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """`parity_classes` as one tuple of numbers, and where each class starts: older triton takes no tuples of tuples."""
    classes = parity_classes(layer, ndim).values()
    items = tuple(number for members in classes for item in members for number in item)
    return items, tuple(4 * sum(len(members) for members in list(classes)[:c]) for c in range(len(classes) + 1))


def spectral_product(dtype: torch.dtype) -> str:
    """Type of the factors: as in the stencil route, but coefficients may lie outside the range of float16.

    The constant of an N-dimensional image of n pixels per axis is n^(N/2) times its mean, and lambda_a alone, without
    sigma^|a|, goes down to (pi / n)^|a|. tf32 has the digits of float16 and the range of float32.
    """
    chosen = product_type(dtype)
    return "tf32" if chosen == "float16" else chosen


@triton.jit
def ranks(plan_ptr, AXES: tl.constexpr):
    """Ranks of three axes, missing ones 1."""
    one = tl.load(plan_ptr) * 0 + 1
    r_0 = tl.load(plan_ptr + 1) if AXES == 3 else one
    r_1 = tl.load(plan_ptr + 2 * AXES - 3) if AXES >= 2 else one
    r_2 = tl.load(plan_ptr + 2 * AXES - 1)
    return r_0, r_1, r_2


@triton.jit
def _wave(cosines_ptr, k, size, mask, CIRCULAR: tl.constexpr):
    """sin^2(w / 2) and sin w of a frequency; exact zeros where they are zero."""
    u = _frequency_index(k, CIRCULAR)  # w = pi u / N; sin(pi j / (2 N)) = cos(pi (j + 3 N) / (2 N))
    half = tl.load(cosines_ptr + tl.where(u == size, 0, u + 3 * size), mask=mask & (u > 0), other=0.0)
    twice = 2 * u + tl.where(2 * u >= size, -size, 3 * size)
    sine = tl.load(cosines_ptr + twice, mask=mask & (u > 0) & (u < size), other=0.0)
    return half * half, sine


@triton.jit
def waves(
    cosines_0, cosines_1, cosines_2, k_0, k_1, k_2, size_0, size_1, size_2, mask,
    AXES: tl.constexpr, CIRCULAR: tl.constexpr,
):  # fmt: skip
    """sin^2(w / 2) and sin w of all three axes."""
    h_2, s_2 = _wave(cosines_2, k_2, size_2, mask, CIRCULAR)
    h_0, s_0, h_1, s_1 = h_2 * 0, h_2 * 0, h_2 * 0, h_2 * 0
    if AXES >= 2:
        h_1, s_1 = _wave(cosines_1, k_1, size_1, mask, CIRCULAR)
    if AXES == 3:
        h_0, s_0 = _wave(cosines_0, k_0, size_0, mask, CIRCULAR)
    return h_0, s_0, h_1, s_1, h_2, s_2


@triton.jit
def transfer(h_0, s_0, h_1, s_1, h_2, s_2, A_0: tl.constexpr, A_1: tl.constexpr, A_2: tl.constexpr):
    """lambda_a: the product over axes."""
    result = _transfer(h_2, s_2, A_2)
    if A_1 > 0:
        result = result * _transfer(h_1, s_1, A_1)
    if A_0 > 0:
        result = result * _transfer(h_0, s_0, A_0)
    return result


@triton.jit
def smoothing(
    decay_0, decay_1, decay_2, q, k_0, k_1, k_2, size_0, size_1, size_2, mask, AXES: tl.constexpr
):  # fmt: skip
    """exp(-s sum_axes (1 - cos w)) of sigma q; q, k and mask broadcast."""
    result = tl.load(decay_2 + q * size_2 + k_2, mask=mask, other=0.0)
    if AXES >= 2:
        result = result * tl.load(decay_1 + q * size_1 + k_1, mask=mask, other=0.0)
    if AXES == 3:
        result = result * tl.load(decay_0 + q * size_0 + k_0, mask=mask, other=0.0)
    return result


@triton.jit
def _add_class(
    total, source_ptr, w_ptr, factors_ptr, decay_0, decay_1, decay_2, s, group, row, r_inside, inside, damping,
    k_0, k_1, k_2, h_0, s_0, h_1, s_1, h_2, s_2, size_0, size_1, size_2, n_rows, n_inner, n_sigma,
    source_c, w_row, w_inner, w_j,
    ITEMS: tl.constexpr, FIRST: tl.constexpr, LAST: tl.constexpr, N_JET: tl.constexpr, AXES: tl.constexpr,
    SIDE: tl.constexpr, DEPTHWISE: tl.constexpr, PRODUCT: tl.constexpr, PRECISION: tl.constexpr,
    INTERPRETED: tl.constexpr, BLOCK_I: tl.constexpr,
):  # fmt: skip
    """Total + sum over channels and the coefficients of one class; `damping` is the smoothing of a scale channel."""
    for start in range(0, n_inner, BLOCK_I):
        if DEPTHWISE:
            inner, w_inside = row, r_inside
            i_inside = r_inside
            w_place = row * w_row
        else:
            inner = start + tl.arange(0, BLOCK_I)[:, None]
            i_inside = inner < n_inner
            column = start + tl.arange(0, BLOCK_I)[None, :]
            w_inside = r_inside & (column < n_inner)
            w_place = row * w_row + column * w_inner
        channel = (group * n_inner + inner).to(tl.int64)
        mask = i_inside & inside
        value = tl.load(source_ptr + channel * source_c, mask=mask, other=0.0)
        q = s * n_sigma + channel if SIDE == _INNER else s
        if SIDE == _INNER:
            value *= smoothing(decay_0, decay_1, decay_2, q, k_0, k_1, k_2, size_0, size_1, size_2, mask, AXES)
        for t in tl.static_range(FIRST, LAST, 4):
            weight = tl.load(w_ptr + w_place + ITEMS[t] * w_j, mask=w_inside, other=0.0)
            multiplier = transfer(h_0, s_0, h_1, s_1, h_2, s_2, ITEMS[t + 1], ITEMS[t + 2], ITEMS[t + 3])
            if SIDE == _ROWS:
                q_row = s * n_sigma + group * n_rows + row
                weight = weight.to(tl.float32) * tl.load(
                    factors_ptr + q_row * N_JET + ITEMS[t], mask=r_inside, other=0.0
                )
            elif SIDE == _INNER:
                multiplier = multiplier * tl.load(factors_ptr + q * N_JET + ITEMS[t], mask=i_inside, other=0.0)
            else:
                multiplier = multiplier * damping * tl.load(factors_ptr + s * N_JET + ITEMS[t])
            jet = value * multiplier
            if DEPTHWISE:
                total += weight.to(tl.float32) * jet
            else:
                total = mix_dot(weight, jet, total, PRODUCT, PRECISION, INTERPRETED)
    return total


@triton.jit
def _spectral_mix_kernel(
    source_ptr, w_ptr, out_ptr, other_ptr, partial_ptr, plan_ptr, factors_ptr,
    decay_0, decay_1, decay_2, cosines_0, cosines_1, cosines_2, size_0, size_1, size_2,
    tiles_p, tiles_r, n_rows, n_inner, n_sigma, plan_stride,
    source_class, source_s, source_b, source_c, source_0, source_1, source_2,
    out_class, out_s, out_b, out_c, out_0, out_1, out_2,
    other_class, other_s, other_b, other_c, other_0, other_1, other_2,
    w_group, w_row, w_inner, w_j,
    ITEMS: tl.constexpr, STARTS: tl.constexpr, N_JET: tl.constexpr, AXES: tl.constexpr, CIRCULAR: tl.constexpr,
    SIDE: tl.constexpr,
    ADJOINT: tl.constexpr, DEPTHWISE: tl.constexpr, STORE: tl.constexpr, RESPONSE: tl.constexpr,
    PRODUCT: tl.constexpr, PRECISION: tl.constexpr, INTERPRETED: tl.constexpr,
    BLOCK_R: tl.constexpr, BLOCK_I: tl.constexpr, BLOCK_P: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(2).to(tl.int64)
    plan_ptr += s * plan_stride
    if tl.load(plan_ptr) != 1:
        return
    r_0, r_1, r_2 = ranks(plan_ptr, AXES)
    results: tl.constexpr = 1 if ADJOINT else len(STARTS) - 1
    result = tl.program_id(0) % results
    part = tl.program_id(0) // results
    start_p = (part % tiles_p) * BLOCK_P
    if start_p >= r_0 * r_1 * r_2:
        return
    b = (part // tiles_p).to(tl.int64)
    flat = start_p + tl.arange(0, BLOCK_P)[None, :]
    inside = flat < r_0 * r_1 * r_2
    k_2 = flat % r_2
    k_1 = (flat // r_2) % r_1
    k_0 = flat // (r_2 * r_1)
    h_0, s_0, h_1, s_1, h_2, s_2 = waves(
        cosines_0, cosines_1, cosines_2, k_0, k_1, k_2, size_0, size_1, size_2, inside, AXES, CIRCULAR
    )
    damping = inside
    if SIDE != _ROWS and SIDE != _INNER:
        damping = smoothing(decay_0, decay_1, decay_2, s, k_0, k_1, k_2, size_0, size_1, size_2, inside, AXES)
    group = tl.program_id(1) // tiles_r
    row = (tl.program_id(1) % tiles_r) * BLOCK_R + tl.arange(0, BLOCK_R)[:, None]
    r_inside = row < n_rows
    w_ptr += group * w_group
    source_ptr += s * source_s + b * source_b + (k_0 * source_0 + k_1 * source_1 + k_2 * source_2)
    total = tl.zeros((BLOCK_R, BLOCK_P), dtype=tl.float32)
    for c in tl.static_range(len(STARTS) - 1):
        if ADJOINT or result == c:
            total = _add_class(
                total, source_ptr + (b * 0 + c) * source_class, w_ptr, factors_ptr, decay_0, decay_1, decay_2,
                s, group, row, r_inside, inside, damping, k_0, k_1, k_2, h_0, s_0, h_1, s_1, h_2, s_2,
                size_0, size_1, size_2, n_rows, n_inner, n_sigma, source_c, w_row, w_inner, w_j,
                ITEMS, STARTS[c], STARTS[c + 1], N_JET, AXES, SIDE, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED, BLOCK_I,
            )  # fmt: skip
    channel = (group * n_rows + row).to(tl.int64)
    kept = r_inside & inside
    if SIDE == _ROWS:
        q = s * n_sigma + channel
        total *= smoothing(decay_0, decay_1, decay_2, q, k_0, k_1, k_2, size_0, size_1, size_2, kept, AXES)
    if STORE:
        out_ptr += s * out_s + b * out_b + result.to(tl.int64) * out_class
        place = channel * out_c + (k_0 * out_0 + k_1 * out_1 + k_2 * out_2)
        tl.store(out_ptr + place, total, mask=kept)
    if RESPONSE:
        other_ptr += s * other_s + b * other_b + result.to(tl.int64) * other_class
        place = channel * other_c + (k_0 * other_0 + k_1 * other_1 + k_2 * other_2)
        other = tl.load(other_ptr + place, mask=kept, other=0.0)
        response = tl.sum(total * other * (2 * (h_0 + h_1 + h_2)), 1)[:, None]
        program = tl.program_id(0).to(tl.int64) * tl.num_programs(2) + s
        channels = tl.num_programs(1) // tiles_r * n_rows
        tl.store(partial_ptr + program * channels + channel, response, mask=r_inside)


def class_strides(tensor: Tensor, ndim: int) -> tuple[int, ...]:
    """Strides (class, s, b, c, z, y, x) of [S, B, C, *spatial] or [classes, S, B, C, *spatial]."""
    stride = tensor.stride() if tensor.ndim == ndim + 4 else (0, *tensor.stride())
    return (*stride[:4], *(0,) * (3 - ndim), *stride[4:])


def launch_spectral_mix(
    source: Tensor, weight: Tensor, out: Tensor | None, layer: Layer, tables: SpectralTables, *, dtype: torch.dtype,
    adjoint: bool = False, other: Tensor | None = None,
) -> Tensor | None:  # fmt: skip
    """Mix coefficients into parity classes, or the classes of a cotangent into that of the coefficients.

    Args:
        source: Coefficients [S, B, C_in, *spatial], or classes [classes, S, B, C_out, *spatial] if `adjoint`; float32,
            any strides; read below the ranks only.
        weight: [C_out, C_in / groups, J].
        out: The other of the two, any strides, written below the ranks; None to keep nothing but the sums.
        layer: The static arguments.
        tables: What the tables say of the axes and sigma.
        dtype: dtype of the features, for the type of the products.
        adjoint: See `source`.
        other: In the shape of `out`: what the result is multiplied with in the sums.

    Returns:
        Where `other` is given, sum over k of (sum_axes 1 - cos w) result[k] other[k], [S, channels of the result]
        float32, zero for scale channels of the stencil route.
    """
    ndim = len(tables.sizes)
    items, starts = flat_classes(layer, ndim)
    groups = layer.groups
    n_scales, batch = source.shape[-ndim - 3 : -ndim - 1]
    c_out, per_in = weight.shape[0], weight.shape[1]
    per_out = c_out // groups
    depthwise = per_out == 1 and per_in == 1
    n_groups, n_rows, n_inner = groups, per_in if adjoint else per_out, per_out if adjoint else per_in
    if depthwise:
        n_groups, n_rows, n_inner = 1, groups, 1
    side = tables.side(rows_are_outputs=not adjoint, depthwise=depthwise)
    config = tile("spectral-depthwise" if depthwise else f"spectral-mix{_SUFFIX[side]}", source.device, n_rows)
    z, y, x = volume(tables.sizes)
    tiles_p = triton.cdiv(z * y * x, config.blocks["BLOCK_P"])
    tiles_r = triton.cdiv(n_rows, config.blocks["BLOCK_R"])
    # Classes of the same frequencies follow each other: all but the first find the coefficients in the cache.
    grid = (batch * tiles_p * (1 if adjoint else len(starts) - 1), n_groups * tiles_r, n_scales)
    partial = None
    if other is not None:  # of programs beyond the ranks nothing is written
        partial = torch.zeros(grid[0], n_scales, n_groups * n_rows, dtype=torch.float32, device=source.device)
    target = source if out is None else out
    partner = source if other is None else other
    row, inner = (1, 0) if adjoint and not depthwise else (0, 1)
    _spectral_mix_kernel[grid](
        source, weight, target, partner, source if partial is None else partial, *tables.arguments(),
        tiles_p, tiles_r, n_rows, n_inner, tables.n_sigma, tables.plan.stride(0),
        *class_strides(source, ndim), *class_strides(target, ndim), *class_strides(partner, ndim),
        per_out * weight.stride(0), weight.stride(row), weight.stride(inner), weight.stride(2),
        ITEMS=items, STARTS=starts, N_JET=weight.shape[2], AXES=ndim, CIRCULAR=tables.circular,
        SIDE=side, ADJOINT=adjoint, DEPTHWISE=depthwise,
        STORE=out is not None, RESPONSE=other is not None, PRODUCT=spectral_product(dtype),
        PRECISION=precision(source.device), INTERPRETED=interpreting(), **config.blocks, **config.launch,
    )  # fmt: skip
    return None if partial is None else partial.sum(0)


def table_types() -> dict[str, Any]:
    """Types of `SpectralTables.arguments`."""
    pointers = [f"{table}_{axis}" for table in ("decay", "cosines") for axis in range(3)]
    return dict.fromkeys(pointers, "*fp32") | {"plan_ptr": "*i32", "factors_ptr": "*fp32"}


def configurations(target: str) -> Iterator[Configuration]:
    """What is compiled ahead of time: order 2 in two dimensions with every sigma, the rest in one precision."""
    forward, adjoint = (False, SCALE, False), (True, SCALE, True)  # adjoint, side, response
    cases = [("spectral-mix", 2, 2, "float32", forward), ("spectral-mix", 2, 2, "float32", adjoint)]
    cases += [("spectral-mix", 2, 2, "bfloat16", adjoint), ("spectral-mix", 3, 2, "bfloat16", forward)]
    cases += [
        (f"spectral-mix{_SUFFIX[side]}", 2, 2, "float32", (way, side, True)) for way in (False, True) for side in (1, 2)
    ]
    cases += [("spectral-depthwise", 2, 2, "float32", adjoint)]
    for kernel, ndim, order, product, (is_adjoint, side, response) in cases:
        layer = Layer(order, False, 1, 1.0, "discrete", "symmetric")
        types = dict.fromkeys(("source_ptr", "out_ptr", "other_ptr", "partial_ptr"), "*fp32") | table_types()
        items, starts = flat_classes(layer, ndim)
        types["w_ptr"] = f"*{PRODUCTS[product]}"
        constants: dict[str, Any] = {
            "ITEMS": items, "STARTS": starts, "N_JET": len(layer.orders(ndim)), "AXES": ndim,
            "CIRCULAR": False, "SIDE": side, "ADJOINT": is_adjoint, "DEPTHWISE": kernel == "spectral-depthwise",
            "STORE": True, "RESPONSE": response, "PRODUCT": product, "PRECISION": precision_of(target),
            "INTERPRETED": False, "source_2": 1, "out_2": 1, "other_2": 1,
        }  # fmt: skip
        name = f"{kernel.removeprefix('spectral-')}-{ndim}d-order{order}-{product}"
        for least, entry in entries(kernel, target):
            yield Configuration(
                f"{name}-{'adjoint' if is_adjoint else 'forward'}-side{side}-from-{least}", _spectral_mix_kernel,
                types, constants | entry.blocks,
                num_warps=entry.num_warps, num_stages=entry.num_stages, uses_dot=kernel != "spectral-depthwise",
            )  # fmt: skip
