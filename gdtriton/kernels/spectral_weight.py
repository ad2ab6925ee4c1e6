"""Weight gradient of the spectral route, from coefficients.

    summand s of dLoss/dW[o, i, a] = factor[q, a] sum_{b, k} grad_c[b, o, k] lambda_a(w_k) decay(k; q) coef[b, i, k]

with c the parity class of a and q as in `spectral_mix.py`. A program takes a share of the frequencies of all images and
at most three coefficients of one class; programs of the same share follow each other, so that all but the first find
`coef` in the cache. It writes its own sum; the sums are added in a fixed order: two runs agree bit by bit.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..axes import Layer
from ..checks import interpreting
from .configuration import Configuration
from .cost import Cost
from .mix import mix_dot, volume
from .spectral_mix import (
    SpectralTables,
    class_strides,
    flat_classes,
    ranks,
    smoothing,
    spectral_product,
    table_types,
    transfer,
    waves,
)
from .tiles import entries, precision, precision_of, tile
from .weight_grad import PROGRAMS

_INPUT, _OUTPUT = tl.constexpr(1), tl.constexpr(2)
AT_ONCE = 3
"""Coefficients of one class that share a program: as many sums in registers."""


def spectral_weight_cost(frequencies: int, c_in: int, c_out: int, n_jet: int, n_classes: int, groups: int) -> Cost:
    """Bytes that must move and operations that must happen for `frequencies` of all images."""
    moved = 4 * frequencies * (c_in + n_classes * c_out)
    return Cost(moved, 2 * frequencies * c_in * c_out * n_jet // groups)


@triton.jit
def _add(
    total, grad, value, multiplier, DEPTHWISE: tl.constexpr, PRODUCT: tl.constexpr, PRECISION: tl.constexpr,
    INTERPRETED: tl.constexpr,
):  # fmt: skip
    if DEPTHWISE:
        total += grad * (value * multiplier)
    else:
        total = mix_dot(grad, tl.trans(value * multiplier), total, PRODUCT, PRECISION, INTERPRETED)
    return total


@triton.jit
def _store(
    target, factors_ptr, total, kept, q, q_inside, J: tl.constexpr, N_JET: tl.constexpr, DEPTHWISE: tl.constexpr
):  # fmt: skip
    factor = tl.load(factors_ptr + q * N_JET + J, mask=q_inside, other=0.0)
    tl.store(target + J, factor * (tl.sum(total, 1)[:, None] if DEPTHWISE else total), mask=kept)


@triton.jit
def _class_sums(
    g_ptr, coef_ptr, decay_0, decay_1, decay_2, cosines_0, cosines_1, cosines_2, size_0, size_1, size_2,
    s, r_0, r_1, r_2, low, high, tiles_p, o_inside, i_inside, q_out, q_in,
    g_b, g_0, g_1, g_2, x_b, x_0, x_1, x_2,
    ITEMS: tl.constexpr, FIRST: tl.constexpr, COUNT: tl.constexpr, AXES: tl.constexpr, CIRCULAR: tl.constexpr,
    SIGMA: tl.constexpr, DEPTHWISE: tl.constexpr, PRODUCT: tl.constexpr, PRECISION: tl.constexpr,
    INTERPRETED: tl.constexpr, BLOCK_O: tl.constexpr, BLOCK_I: tl.constexpr, BLOCK_P: tl.constexpr,
):  # fmt: skip
    """Sums over a share of the frequencies for at most three coefficients of one class, without factors."""
    sum_0 = tl.zeros((BLOCK_O, BLOCK_P if DEPTHWISE else BLOCK_I), dtype=tl.float32)
    sum_1, sum_2 = sum_0, sum_0
    for step in range(low, high):
        b = (low * 0 + step // tiles_p).to(tl.int64)
        flat = (low * 0 + step % tiles_p) * BLOCK_P + tl.arange(0, BLOCK_P)[None, :]
        inside = flat < r_0 * r_1 * r_2
        k_2 = flat % r_2
        k_1 = (flat // r_2) % r_1
        k_0 = flat // (r_2 * r_1)
        h_0, s_0, h_1, s_1, h_2, s_2 = waves(
            cosines_0, cosines_1, cosines_2, k_0, k_1, k_2, size_0, size_1, size_2, inside, AXES, CIRCULAR
        )
        o_mask, i_mask = o_inside & inside, i_inside & inside
        value = tl.load(coef_ptr + b * x_b + (k_0 * x_0 + k_1 * x_1 + k_2 * x_2), mask=i_mask, other=0.0)
        grad = tl.load(g_ptr + b * g_b + (k_0 * g_0 + k_1 * g_1 + k_2 * g_2), mask=o_mask, other=0.0)
        if SIGMA == _OUTPUT:
            grad *= smoothing(decay_0, decay_1, decay_2, q_out, k_0, k_1, k_2, size_0, size_1, size_2, o_mask, AXES)
        elif SIGMA == _INPUT:
            value *= smoothing(decay_0, decay_1, decay_2, q_in, k_0, k_1, k_2, size_0, size_1, size_2, i_mask, AXES)
        else:
            value *= smoothing(decay_0, decay_1, decay_2, s, k_0, k_1, k_2, size_0, size_1, size_2, inside, AXES)
        multiplier = transfer(h_0, s_0, h_1, s_1, h_2, s_2, ITEMS[FIRST + 1], ITEMS[FIRST + 2], ITEMS[FIRST + 3])
        sum_0 = _add(sum_0, grad, value, multiplier, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED)
        if COUNT > 1:
            multiplier = transfer(h_0, s_0, h_1, s_1, h_2, s_2, ITEMS[FIRST + 5], ITEMS[FIRST + 6], ITEMS[FIRST + 7])
            sum_1 = _add(sum_1, grad, value, multiplier, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED)
        if COUNT > 2:
            multiplier = transfer(h_0, s_0, h_1, s_1, h_2, s_2, ITEMS[FIRST + 9], ITEMS[FIRST + 10], ITEMS[FIRST + 11])
            sum_2 = _add(sum_2, grad, value, multiplier, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED)
    return sum_0, sum_1, sum_2


@triton.jit
def _spectral_weight_kernel(
    g_ptr, coef_ptr, partial_ptr,
    plan_ptr, factors_ptr, decay_0, decay_1, decay_2, cosines_0, cosines_1, cosines_2, size_0, size_1, size_2,
    n_scales, batch, tiles_o, tiles_i, n_out, n_in, n_row, n_sigma, plan_stride,
    g_class, g_s, g_b, g_c, g_0, g_1, g_2, x_class, x_s, x_b, x_c, x_0, x_1, x_2,
    ITEMS: tl.constexpr, PASSES: tl.constexpr, N_JET: tl.constexpr, AXES: tl.constexpr, CIRCULAR: tl.constexpr,
    SIGMA: tl.constexpr,
    DEPTHWISE: tl.constexpr, PRODUCT: tl.constexpr, PRECISION: tl.constexpr, INTERPRETED: tl.constexpr,
    BLOCK_O: tl.constexpr, BLOCK_I: tl.constexpr, BLOCK_P: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(2).to(tl.int64)
    plan_ptr += s * plan_stride
    if tl.load(plan_ptr) != 1:
        return
    r_0, r_1, r_2 = ranks(plan_ptr, AXES)
    tiles_p = tl.cdiv(r_0 * r_1 * r_2, BLOCK_P)
    passes: tl.constexpr = len(PASSES) // 3
    chosen = tl.program_id(0) % passes
    part = tl.program_id(0) // passes
    share = tl.cdiv(batch * tiles_p, tl.num_programs(0) // passes)
    low = part * share
    high = tl.minimum(low + share, batch * tiles_p)
    if low >= high:
        return
    tile = tl.program_id(1)
    group = tile // tiles_i // tiles_o
    out_row = (tile // tiles_i % tiles_o) * BLOCK_O + tl.arange(0, BLOCK_O)
    o_inside = out_row < n_out
    if DEPTHWISE:  # a channel meets itself only
        in_row = out_row
        column = tl.zeros((1,), dtype=tl.int32)
    else:
        in_row = (tile % tiles_i) * BLOCK_I + tl.arange(0, BLOCK_I)
        column = in_row
    i_inside = in_row < n_in
    out_channel = (group * n_out + out_row).to(tl.int64)
    in_channel = (group * n_in + in_row).to(tl.int64)
    g_ptr += s * g_s + out_channel[:, None] * g_c
    coef_ptr += s * x_s + in_channel[:, None] * x_c
    q_out, q_in = s * n_sigma + out_channel[:, None], s * n_sigma + in_channel[:, None]
    for p in tl.static_range(len(PASSES) // 3):
        if chosen == p:
            sum_0, sum_1, sum_2 = _class_sums(
                g_ptr + (s * 0 + PASSES[3 * p]) * g_class, coef_ptr,
                decay_0, decay_1, decay_2, cosines_0, cosines_1, cosines_2, size_0, size_1, size_2,
                s, r_0, r_1, r_2, low, high, tiles_p, o_inside[:, None], i_inside[:, None], q_out, q_in,
                g_b, g_0, g_1, g_2, x_b, x_0, x_1, x_2,
                ITEMS, PASSES[3 * p + 1], PASSES[3 * p + 2], AXES, CIRCULAR, SIGMA, DEPTHWISE, PRODUCT, PRECISION,
                INTERPRETED, BLOCK_O, BLOCK_I, BLOCK_P,
            )  # fmt: skip
            if SIGMA == _OUTPUT or (DEPTHWISE and SIGMA == _INPUT):
                q, q_inside = q_out, o_inside[:, None]
            elif SIGMA == _INPUT:
                q, q_inside = s * n_sigma + in_channel[None, :], i_inside[None, :]
            else:
                q, q_inside = s + tl.zeros((1, 1), dtype=tl.int64), tl.full((1, 1), 1, dtype=tl.int1)
            channels = tl.num_programs(1) // (tiles_o * tiles_i) * n_out
            place = (part.to(tl.int64) * n_scales + s) * channels + out_channel[:, None]
            target = partial_ptr + (place * n_row + column[None, :]) * N_JET
            kept = o_inside[:, None] & (column < n_row)[None, :]
            _store(target, factors_ptr, sum_0, kept, q, q_inside, ITEMS[PASSES[3 * p + 1]], N_JET, DEPTHWISE)
            if PASSES[3 * p + 2] > 1:
                _store(target, factors_ptr, sum_1, kept, q, q_inside, ITEMS[PASSES[3 * p + 1] + 4], N_JET, DEPTHWISE)
            if PASSES[3 * p + 2] > 2:
                _store(target, factors_ptr, sum_2, kept, q, q_inside, ITEMS[PASSES[3 * p + 1] + 8], N_JET, DEPTHWISE)


def _passes(starts: tuple[int, ...]) -> tuple[int, ...]:
    """(class, place of its first item, items) of every pass, one after the other; at most three items each."""
    result: list[int] = []
    for c, (start, end) in enumerate(pairwise(starts)):
        for first in range(start, end, 4 * AT_ONCE):
            result += c, first, min(AT_ONCE, (end - first) // 4)
    return tuple(result)


def launch_spectral_weight(
    classes: Tensor, coefficients: Tensor, layer: Layer, tables: SpectralTables, *, dtype: torch.dtype
) -> Tensor:
    """Summands [S, C_out, C_in / groups, J] float32 of dLoss/dW, zero for scale channels of the stencil route.

    Args:
        classes: Parity classes of the cotangent, [classes, S, B, C_out, *spatial] float32, any strides.
        coefficients: [S, B, C_in, *spatial] float32, any strides; both are read below the ranks only.
        layer: The static arguments.
        tables: What the tables say of the axes and sigma.
        dtype: dtype of the features, for the type of the products.
    """
    ndim = len(tables.sizes)
    items, starts = flat_classes(layer, ndim)
    passes, n_jet = _passes(starts), len(layer.orders(ndim))
    n_passes = len(passes) // 3
    n_scales, batch, c_in = coefficients.shape[:3]
    c_out, groups = classes.shape[3], layer.groups
    per_out, per_in = c_out // groups, c_in // groups
    depthwise = per_out == 1 and per_in == 1
    n_groups, n_out, n_in, n_row = (1, groups, groups, 1) if depthwise else (groups, per_out, per_in, per_in)
    own = "" if tables.n_sigma == 1 else "-own"
    config = tile("spectral-depthwise-weight" if depthwise else f"spectral-weight{own}", classes.device, n_out)
    tiles_o = triton.cdiv(n_out, config.blocks["BLOCK_O"])
    tiles_i = 1 if depthwise else triton.cdiv(n_in, config.blocks["BLOCK_I"])
    z, y, x = volume(tables.sizes)
    columns = n_groups * tiles_o * tiles_i
    steps = batch * triton.cdiv(z * y * x, config.blocks["BLOCK_P"])
    parts = max(1, min(steps, PROGRAMS // (columns * n_scales * n_passes)))
    # Programs without a share and scale channels of the other route write nothing.
    partial = torch.zeros(parts, n_scales, c_out, per_in, n_jet, dtype=torch.float32, device=classes.device)
    _spectral_weight_kernel[(parts * n_passes, columns, n_scales)](
        classes, coefficients, partial, *tables.arguments(),
        n_scales, batch, tiles_o, tiles_i, n_out, n_in, n_row, tables.n_sigma, tables.plan.stride(0),
        *class_strides(classes, ndim), *class_strides(coefficients, ndim),
        ITEMS=items, PASSES=passes, N_JET=n_jet, AXES=ndim, CIRCULAR=tables.circular,
        SIGMA=0 if tables.n_sigma == 1 else 2 if tables.per_output else 1, DEPTHWISE=depthwise,
        PRODUCT=spectral_product(dtype), PRECISION=precision(classes.device), INTERPRETED=interpreting(),
        **config.blocks, **config.launch,
    )  # fmt: skip
    return partial.sum(0)


def configurations(target: str) -> Iterator[Configuration]:
    """What is compiled ahead of time: order 2 in two dimensions with every sigma, three dimensions in bfloat16."""
    cases = [("spectral-weight", 2, "float32", 0), ("spectral-weight", 2, "bfloat16", 0)]
    if target != "gfx942":  # there, strides of three axes leave too few scalar registers: 33 to 62 are spilled
        cases += [("spectral-weight", 3, "bfloat16", 0)]
    cases += [("spectral-weight-own", 2, "float32", 1), ("spectral-weight-own", 2, "float32", 2)]
    cases += [("spectral-depthwise-weight", 2, "float32", 0)]
    for kernel, ndim, product, own in cases:
        layer = Layer(2, False, 1, 1.0, "discrete", "symmetric")
        items, starts = flat_classes(layer, ndim)
        types = dict.fromkeys(("g_ptr", "coef_ptr", "partial_ptr"), "*fp32") | table_types()
        constants: dict[str, Any] = {
            "ITEMS": items, "PASSES": _passes(starts), "N_JET": len(layer.orders(ndim)), "AXES": ndim,
            "CIRCULAR": False, "SIGMA": own, "DEPTHWISE": kernel == "spectral-depthwise-weight", "PRODUCT": product,
            "PRECISION": precision_of(target), "INTERPRETED": False, "g_2": 1, "x_2": 1,
        }  # fmt: skip
        for least, entry in entries(kernel, target):
            yield Configuration(
                f"{kernel.removeprefix('spectral-')}-{ndim}d-order2-{product}-sigma{own}-from-{least}",
                _spectral_weight_kernel, types, constants | entry.blocks,
                num_warps=entry.num_warps, num_stages=entry.num_stages, uses_dot=not constants["DEPTHWISE"],
            )  # fmt: skip
