"""Weight gradient of the spectral route, from coefficients.

    summand s of dLoss/dW[o, i, a] = factor[q, a] sum_{b, k} grad_c[b, o, k] lambda_a(w_k) decay(k; q) coef[b, i, k]

with c the parity class of a and q as in `spectral_mix.py`. A program takes a share of the frequencies of all images and
six coefficients at a time, ordered by class: `coef` is read once per six of them, every class once. It writes its own
sum; the sums are added in a fixed order: two runs agree bit by bit.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..axes import Layer
from .cost import Cost
from .mix import mix_dot, volume
from .spectral_mix import (
    SpectralTables,
    class_strides,
    parity_classes,
    ranks,
    smoothing,
    spectral_product,
    transfer,
    waves,
)
from .tiles import interpreting, precision, tile
from .weight_grad import JETS_AT_ONCE, PROGRAMS

_INPUT, _OUTPUT = tl.constexpr(1), tl.constexpr(2)
Item = tuple[int, int, int, int, int]


def spectral_weight_cost(frequencies: int, c_in: int, c_out: int, n_jet: int, n_classes: int, groups: int) -> Cost:
    """Bytes that must move and operations that must happen for `frequencies` of all images."""
    passes = -(-n_jet // JETS_AT_ONCE)
    moved = 4 * frequencies * (passes * c_in + (n_classes + passes - 1) * c_out)
    return Cost(moved, 2 * frequencies * c_in * c_out * n_jet // groups)


@triton.jit
def _add(
    total, grad, jet, DEPTHWISE: tl.constexpr, PRODUCT: tl.constexpr, PRECISION: tl.constexpr, INTERPRETED: tl.constexpr
):  # fmt: skip
    if DEPTHWISE:
        total += grad * jet
    else:
        total = mix_dot(grad, tl.trans(jet), total, PRODUCT, PRECISION, INTERPRETED)
    return total


@triton.jit
def _store(
    target, factors_ptr, total, kept, q, q_inside, J: tl.constexpr, N_JET: tl.constexpr, DEPTHWISE: tl.constexpr
):  # fmt: skip
    factor = tl.load(factors_ptr + q * N_JET + J, mask=q_inside, other=0.0)
    tl.store(target + J, factor * (tl.sum(total, 1)[:, None] if DEPTHWISE else total), mask=kept)


@triton.jit
def _spectral_weight_kernel(
    g_ptr, coef_ptr, partial_ptr,
    plan_ptr, factors_ptr, decay_0, decay_1, decay_2, cosines_0, cosines_1, cosines_2, size_0, size_1, size_2,
    n_scales, batch, tiles_o, tiles_i, n_out, n_in, n_row, n_sigma, plan_stride,
    g_class, g_s, g_b, g_c, g_0, g_1, g_2, x_class, x_s, x_b, x_c, x_0, x_1, x_2,
    PASSES: tl.constexpr, N_JET: tl.constexpr, AXES: tl.constexpr, CIRCULAR: tl.constexpr, SIGMA: tl.constexpr,
    DEPTHWISE: tl.constexpr, PRODUCT: tl.constexpr, PRECISION: tl.constexpr, INTERPRETED: tl.constexpr,
    BLOCK_O: tl.constexpr, BLOCK_I: tl.constexpr, BLOCK_P: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(2).to(tl.int64)
    plan_ptr += s * plan_stride
    if tl.load(plan_ptr) != 1:
        return
    r_0, r_1, r_2 = ranks(plan_ptr, AXES)
    n_places = r_0 * r_1 * r_2
    tiles_p = tl.cdiv(n_places, BLOCK_P)
    share = tl.cdiv(batch * tiles_p, tl.num_programs(0))
    low = tl.program_id(0) * share
    high = tl.minimum(low + share, batch * tiles_p)
    if low >= high:
        return
    part = tl.program_id(1)
    group = part // tiles_i // tiles_o
    out_row = (part // tiles_i % tiles_o) * BLOCK_O + tl.arange(0, BLOCK_O)
    o_inside = out_row < n_out
    if DEPTHWISE:  # a channel meets itself only
        in_row = out_row
        column = tl.zeros((1,), dtype=tl.int32)
    else:
        in_row = (part % tiles_i) * BLOCK_I + tl.arange(0, BLOCK_I)
        column = in_row
    i_inside = in_row < n_in
    out_channel = (group * n_out + out_row).to(tl.int64)
    in_channel = (group * n_in + in_row).to(tl.int64)
    g_ptr += s * g_s + out_channel[:, None] * g_c
    coef_ptr += s * x_s + in_channel[:, None] * x_c
    channels = tl.num_programs(1) // (tiles_o * tiles_i) * n_out
    place = (tl.program_id(0).to(tl.int64) * n_scales + s) * channels + out_channel[:, None]
    target = partial_ptr + (place * n_row + column[None, :]) * N_JET
    kept = o_inside[:, None] & (column < n_row)[None, :]
    if SIGMA == _OUTPUT or (DEPTHWISE and SIGMA == _INPUT):
        q, q_inside = s * n_sigma + out_channel[:, None], o_inside[:, None]
    elif SIGMA == _INPUT:
        q, q_inside = s * n_sigma + in_channel[None, :], i_inside[None, :]
    else:
        q, q_inside = s + tl.zeros((1, 1), dtype=tl.int64), tl.full((1, 1), 1, dtype=tl.int1)
    for p in tl.static_range(len(PASSES)):
        sum_0 = tl.zeros((BLOCK_O, BLOCK_P if DEPTHWISE else BLOCK_I), dtype=tl.float32)
        sum_1, sum_2, sum_3, sum_4, sum_5 = sum_0, sum_0, sum_0, sum_0, sum_0
        for step in range(low, high):
            b = (step // tiles_p + tl.program_id(0) * 0).to(tl.int64)
            flat = (step % tiles_p) * BLOCK_P + tl.arange(0, BLOCK_P)[None, :]
            inside = flat < n_places
            k_2 = flat % r_2
            k_1 = (flat // r_2) % r_1
            k_0 = flat // (r_2 * r_1)
            h_0, s_0, h_1, s_1, h_2, s_2 = waves(
                cosines_0, cosines_1, cosines_2, k_0, k_1, k_2, size_0, size_1, size_2, inside, AXES, CIRCULAR
            )
            o_mask, i_mask = o_inside[:, None] & inside, i_inside[:, None] & inside
            value = tl.load(coef_ptr + b * x_b + (k_0 * x_0 + k_1 * x_1 + k_2 * x_2), mask=i_mask, other=0.0)
            if SIGMA == _OUTPUT:
                damping = smoothing(
                    decay_0, decay_1, decay_2, s * n_sigma + out_channel[:, None], k_0, k_1, k_2,
                    size_0, size_1, size_2, o_mask, AXES,
                )  # fmt: skip
            elif SIGMA == _INPUT:
                value *= smoothing(
                    decay_0, decay_1, decay_2, s * n_sigma + in_channel[:, None], k_0, k_1, k_2,
                    size_0, size_1, size_2, i_mask, AXES,
                )  # fmt: skip
            else:
                value *= smoothing(decay_0, decay_1, decay_2, s, k_0, k_1, k_2, size_0, size_1, size_2, inside, AXES)
            for t in tl.static_range(len(PASSES[p])):
                if t == 0 or PASSES[p][t][0] != PASSES[p][t - 1][0]:
                    grad = tl.load(
                        g_ptr + (b * 0 + PASSES[p][t][0]) * g_class + b * g_b + (k_0 * g_0 + k_1 * g_1 + k_2 * g_2),
                        mask=o_mask, other=0.0,
                    )  # fmt: skip
                    if SIGMA == _OUTPUT:
                        grad *= damping
                jet = value * transfer(h_0, s_0, h_1, s_1, h_2, s_2, PASSES[p][t][2], PASSES[p][t][3], PASSES[p][t][4])
                if t == 0:
                    sum_0 = _add(sum_0, grad, jet, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED)
                elif t == 1:
                    sum_1 = _add(sum_1, grad, jet, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED)
                elif t == 2:
                    sum_2 = _add(sum_2, grad, jet, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED)
                elif t == 3:
                    sum_3 = _add(sum_3, grad, jet, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED)
                elif t == 4:
                    sum_4 = _add(sum_4, grad, jet, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED)
                else:
                    sum_5 = _add(sum_5, grad, jet, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED)
        _store(target, factors_ptr, sum_0, kept, q, q_inside, PASSES[p][0][1], N_JET, DEPTHWISE)
        if len(PASSES[p]) > 1:
            _store(target, factors_ptr, sum_1, kept, q, q_inside, PASSES[p][1][1], N_JET, DEPTHWISE)
        if len(PASSES[p]) > 2:
            _store(target, factors_ptr, sum_2, kept, q, q_inside, PASSES[p][2][1], N_JET, DEPTHWISE)
        if len(PASSES[p]) > 3:
            _store(target, factors_ptr, sum_3, kept, q, q_inside, PASSES[p][3][1], N_JET, DEPTHWISE)
        if len(PASSES[p]) > 4:
            _store(target, factors_ptr, sum_4, kept, q, q_inside, PASSES[p][4][1], N_JET, DEPTHWISE)
        if len(PASSES[p]) > 5:
            _store(target, factors_ptr, sum_5, kept, q, q_inside, PASSES[p][5][1], N_JET, DEPTHWISE)


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
    items = [(c, *item) for c, (_, members) in enumerate(parity_classes(layer, ndim).items()) for item in members]
    passes = tuple(tuple(items[k : k + JETS_AT_ONCE]) for k in range(0, len(items), JETS_AT_ONCE))
    n_scales, batch, c_in = coefficients.shape[:3]
    c_out, groups = classes.shape[3], layer.groups
    per_out, per_in = c_out // groups, c_in // groups
    depthwise = per_out == 1 and per_in == 1
    n_groups, n_out, n_in, n_row = (1, groups, groups, 1) if depthwise else (groups, per_out, per_in, per_in)
    config = tile("spectral-depthwise-weight" if depthwise else "spectral-weight", classes.device, n_out)
    tiles_o = triton.cdiv(n_out, config.blocks["BLOCK_O"])
    tiles_i = 1 if depthwise else triton.cdiv(n_in, config.blocks["BLOCK_I"])
    z, y, x = volume(tables.sizes)
    columns = n_groups * tiles_o * tiles_i
    steps = batch * triton.cdiv(z * y * x, config.blocks["BLOCK_P"])
    parts = max(1, min(steps, PROGRAMS // (columns * n_scales)))
    # Programs without a share and scale channels of the other route write nothing.
    partial = torch.zeros(parts, n_scales, c_out, per_in, len(items), dtype=torch.float32, device=classes.device)
    _spectral_weight_kernel[(parts, columns, n_scales)](
        classes, coefficients, partial, *tables.arguments(),
        n_scales, batch, tiles_o, tiles_i, n_out, n_in, n_row, tables.n_sigma, tables.plan.stride(0),
        *class_strides(classes, ndim), *class_strides(coefficients, ndim),
        PASSES=passes, N_JET=len(items), AXES=ndim, CIRCULAR=tables.circular,
        SIGMA=0 if tables.n_sigma == 1 else 2 if tables.per_output else 1, DEPTHWISE=depthwise,
        PRODUCT=spectral_product(dtype), PRECISION=precision(classes.device), INTERPRETED=interpreting(),
        **config.blocks, **config.launch,
    )  # fmt: skip
    return partial.sum(0)
