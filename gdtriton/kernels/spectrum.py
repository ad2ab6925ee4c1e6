"""The transforms of the spectral route: cosine and sine rows along one axis of [S, B, C, *spatial], kept to the rank.

    analysis    c_p[k] = sum_x B_p[k, x] f[x]               for parities p of the order: B_0 = C, B_1 the rows that the
    synthesis   f[x] = sum_p sum_k B_p[k, x] c_p[k]         first difference maps C to; k < rank, read from the plan

No basis is stored. With u_k = k (symmetric border) or 2 ceil(k / 2) (circular) the entry of row k at x is

    B_p[k, x] = norm_k cos(pi / (2 N) (u_k (2 x + 1) + 3 N (p + [circular and k odd]))),

one number of a table of 4 N cosines. (A real DFT with phases counted from half a pixel before the image: a rotation
within every frequency, which P_n commutes with.) So row k of B_p is symmetric about the middle of the axis if k + p is
even and antisymmetric where it is odd: rows of one kind need the even part of f on half the pixels, those of the other
kind its odd part, and products are half as many. A tile is BLOCK_M pairs of rows (2 m, 2 m + 1), or pixels with their
mirror images, by BLOCK_V vectors; B, C and the other axes, cut to their rank where they are transformed, are one index,
so that few frequencies do not leave tiles empty.

Traffic: the input once per tile of rows (from the cache but for the first), both parities of the output once.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from .configuration import Configuration
from .cost import Cost
from .tables import SpectrumTable, _frequency_index
from .tiles import entries, precision, precision_of, tile
from .views import inner_and_vector_axes

_ROOT_HALF = tl.constexpr(math.sqrt(0.5))


def transform_cost(n_vectors: int, size: int, rank: int, parities: int, image_bytes: int) -> Cost:
    """Bytes that must move and operations that must happen for `n_vectors` vectors of one axis, either way."""
    multiplications = parities * rank * ((size + 1) // 2)
    return Cost(n_vectors * (size * image_bytes + parities * rank * 4), 2 * n_vectors * multiplications)


def transform_precision(dtype: torch.dtype, device: torch.device) -> str:
    """How the factors of a transform are rounded for features of a dtype.

    Narrow features need no more than the ten bits of tf32: the frequency 0 is multiplied by lambda_n(0) = 0 before any
    image is put together again, so that its rounding never reaches a derivative and nothing is amplified.
    """
    return precision(device) if dtype == torch.float32 else "tf32"


@triton.jit
def _basis(cosines_ptr, k, x, mask, size, norm, inverse_period, ODD: tl.constexpr, CIRCULAR: tl.constexpr):
    """Entries B_p[k, x]; k and x broadcast."""
    index = _frequency_index(k, CIRCULAR) * (2 * x + 1)
    special = k == 0
    if CIRCULAR:
        index += (k % 2) * (3 * size)
        special = special | (_frequency_index(k, CIRCULAR) == size)
    if ODD:
        index += 3 * size
    period = 4 * size
    index -= (index.to(tl.float32) * inverse_period).to(tl.int32) * period  # off by one period at most
    index = tl.where(index < 0, index + period, index)
    index = tl.where(index >= period, index - period, index)
    return tl.load(cosines_ptr + index, mask=mask, other=0.0) * tl.where(special, norm * _ROOT_HALF, norm)


@triton.jit
def _columns(vector, n_channels, extent_i, extent_v, t_b, t_c, t_i, t_v):
    """Offsets of vectors, counted over (b, c, i, v) with v fastest; and their channels."""
    v = vector % extent_v
    rest = vector // extent_v
    i = rest % extent_i
    rest = rest // extent_i
    c = rest % n_channels
    b = rest // n_channels
    offset = b.to(tl.int64) * t_b + c.to(tl.int64) * t_c + i.to(tl.int64) * t_i + v.to(tl.int64) * t_v
    return offset, c


@triton.jit
def _analysis_kernel(
    x_ptr, even_ptr, odd_ptr, cosines_ptr, plan_ptr,
    size, norm, inverse_period, n_outer, n_channels, extent_i, extent_v, tiles_m, plan_stride,
    x_s, x_b, x_c, x_i, x_n, x_v, out_s, out_b, out_c, out_i, out_n, out_v,
    RANK: tl.constexpr, INNER_RANK: tl.constexpr, VECTOR_RANK: tl.constexpr, EVEN: tl.constexpr, ODD: tl.constexpr,
    CIRCULAR: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(1).to(tl.int64)
    plan_ptr += s * plan_stride
    if tl.load(plan_ptr) != 1:
        return
    rank = tl.load(plan_ptr + RANK)
    pair = (tl.program_id(0) % tiles_m) * BLOCK_M
    if 2 * pair >= rank:
        return
    if INNER_RANK > 0:
        extent_i = tl.load(plan_ptr + INNER_RANK)
    if VECTOR_RANK > 0:
        extent_v = tl.load(plan_ptr + VECTOR_RANK)
    n_vectors = n_outer * extent_i * extent_v
    start_v = (tl.program_id(0) // tiles_m) * BLOCK_V
    if start_v >= n_vectors:
        return
    vector = start_v + tl.arange(0, BLOCK_V)
    v_inside = (vector < n_vectors)[None, :]
    x_offset, _ = _columns(vector, n_channels, extent_i, extent_v, x_b, x_c, x_i, x_v)
    x_ptr += s * x_s + x_offset[None, :]
    out_offset, _ = _columns(vector, n_channels, extent_i, extent_v, out_b, out_c, out_i, out_v)

    half = (size + 1) // 2
    first = 2 * (pair + tl.arange(0, BLOCK_M))[:, None]  # symmetric rows of B_0, antisymmetric of B_1
    second = first + 1
    even_first = tl.zeros((BLOCK_M, BLOCK_V), dtype=tl.float32)
    even_second = tl.zeros((BLOCK_M, BLOCK_V), dtype=tl.float32)
    odd_first = tl.zeros((BLOCK_M, BLOCK_V), dtype=tl.float32)
    odd_second = tl.zeros((BLOCK_M, BLOCK_V), dtype=tl.float32)
    for start in range(0, half, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K)
        mirror = size - 1 - k
        inside = (k < half)[:, None] & v_inside
        twice = inside & (k != mirror)[:, None]  # the middle pixel is its own mirror: count it once
        near = tl.load(x_ptr + k.to(tl.int64)[:, None] * x_n, mask=inside, other=0.0).to(tl.float32)
        far = tl.load(x_ptr + mirror.to(tl.int64)[:, None] * x_n, mask=twice, other=0.0).to(tl.float32)
        total, change = near + far, near - far
        x = k[None, :]
        kept_first = (first < rank) & (x < half)
        kept_second = (second < rank) & (x < half)
        if EVEN:
            rows = _basis(cosines_ptr, first, x, kept_first, size, norm, inverse_period, False, CIRCULAR)
            even_first = tl.dot(rows, total, even_first, input_precision=PRECISION)
            rows = _basis(cosines_ptr, second, x, kept_second, size, norm, inverse_period, False, CIRCULAR)
            even_second = tl.dot(rows, change, even_second, input_precision=PRECISION)
        if ODD:
            rows = _basis(cosines_ptr, first, x, kept_first, size, norm, inverse_period, True, CIRCULAR)
            odd_first = tl.dot(rows, change, odd_first, input_precision=PRECISION)
            rows = _basis(cosines_ptr, second, x, kept_second, size, norm, inverse_period, True, CIRCULAR)
            odd_second = tl.dot(rows, total, odd_second, input_precision=PRECISION)
    place = s * out_s + out_offset[None, :] + first.to(tl.int64) * out_n
    kept_first = (first < rank) & v_inside
    kept_second = (second < rank) & v_inside
    if EVEN:
        tl.store(even_ptr + place, even_first, mask=kept_first)
        tl.store(even_ptr + place + out_n, even_second, mask=kept_second)
    if ODD:
        tl.store(odd_ptr + place, odd_first, mask=kept_first)
        tl.store(odd_ptr + place + out_n, odd_second, mask=kept_second)


@triton.jit
def _synthesis_kernel(
    even_ptr, odd_ptr, out_ptr, bias_ptr, cosines_ptr, plan_ptr,
    size, norm, inverse_period, n_outer, n_channels, extent_i, extent_v, tiles_m, plan_stride,
    x_s, x_b, x_c, x_i, x_n, x_v, out_s, out_b, out_c, out_i, out_n, out_v,
    RANK: tl.constexpr, INNER_RANK: tl.constexpr, VECTOR_RANK: tl.constexpr, EVEN: tl.constexpr, ODD: tl.constexpr,
    HAS_BIAS: tl.constexpr, CIRCULAR: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(1).to(tl.int64)
    plan_ptr += s * plan_stride
    if tl.load(plan_ptr) != 1:
        return
    if INNER_RANK > 0:
        extent_i = tl.load(plan_ptr + INNER_RANK)
    if VECTOR_RANK > 0:
        extent_v = tl.load(plan_ptr + VECTOR_RANK)
    n_vectors = n_outer * extent_i * extent_v
    start_v = (tl.program_id(0) // tiles_m) * BLOCK_V
    if start_v >= n_vectors:
        return
    rank = tl.load(plan_ptr + RANK)
    vector = start_v + tl.arange(0, BLOCK_V)
    v_inside = (vector < n_vectors)[None, :]
    x_offset, channel = _columns(vector, n_channels, extent_i, extent_v, x_b, x_c, x_i, x_v)
    x_offset = s * x_s + x_offset[None, :]
    out_offset, _ = _columns(vector, n_channels, extent_i, extent_v, out_b, out_c, out_i, out_v)

    half = (size + 1) // 2
    pixel = (tl.program_id(0) % tiles_m) * BLOCK_M + tl.arange(0, BLOCK_M)[:, None]
    symmetric = tl.zeros((BLOCK_M, BLOCK_V), dtype=tl.float32)
    antisymmetric = tl.zeros((BLOCK_M, BLOCK_V), dtype=tl.float32)
    for start in range(0, (rank + 1) // 2, BLOCK_K):
        first = 2 * (start + tl.arange(0, BLOCK_K))
        second = first + 1
        place = x_offset + first.to(tl.int64)[:, None] * x_n
        kept_first = (first < rank)[:, None] & v_inside
        kept_second = (second < rank)[:, None] & v_inside
        first, second = first[None, :], second[None, :]
        entry_first = (first < rank) & (pixel < half)
        entry_second = (second < rank) & (pixel < half)
        if EVEN:
            rows = _basis(cosines_ptr, first, pixel, entry_first, size, norm, inverse_period, False, CIRCULAR)
            values = tl.load(even_ptr + place, mask=kept_first, other=0.0)
            symmetric = tl.dot(rows, values, symmetric, input_precision=PRECISION)
            rows = _basis(cosines_ptr, second, pixel, entry_second, size, norm, inverse_period, False, CIRCULAR)
            values = tl.load(even_ptr + place + x_n, mask=kept_second, other=0.0)
            antisymmetric = tl.dot(rows, values, antisymmetric, input_precision=PRECISION)
        if ODD:
            rows = _basis(cosines_ptr, first, pixel, entry_first, size, norm, inverse_period, True, CIRCULAR)
            values = tl.load(odd_ptr + place, mask=kept_first, other=0.0)
            antisymmetric = tl.dot(rows, values, antisymmetric, input_precision=PRECISION)
            rows = _basis(cosines_ptr, second, pixel, entry_second, size, norm, inverse_period, True, CIRCULAR)
            values = tl.load(odd_ptr + place + x_n, mask=kept_second, other=0.0)
            symmetric = tl.dot(rows, values, symmetric, input_precision=PRECISION)
    near, far = symmetric + antisymmetric, symmetric - antisymmetric
    if HAS_BIAS:
        bias = tl.load(bias_ptr + channel[None, :], mask=v_inside, other=0.0).to(tl.float32)
        near, far = near + bias, far + bias
    opposite = size - 1 - pixel
    kept = (pixel < half) & v_inside
    out_ptr += s * out_s + out_offset[None, :]
    tl.store(out_ptr + pixel.to(tl.int64) * out_n, near.to(out_ptr.dtype.element_ty), mask=kept)
    far_kept = kept & (opposite != pixel)
    tl.store(out_ptr + opposite.to(tl.int64) * out_n, far.to(out_ptr.dtype.element_ty), mask=far_kept)


def _launch(
    kernel: Any, name: str, pointers: tuple[Tensor, ...], source: Tensor, target: Tensor, axis: int, rows: int,
    table: SpectrumTable, plan: Tensor, constants: dict[str, Any], *, symmetric: bool, dtype: torch.dtype,
) -> None:  # fmt: skip
    """Either kernel, from `source` to `target` with their extents along all axes, for `rows` pairs of rows."""
    ndim, size = source.ndim - 3, source.shape[3 + axis]
    if source.numel() == 0:
        return
    others = inner_and_vector_axes(ndim, axis)
    extents = [1 if k is None else source.shape[3 + k] for k in others]
    # Axes before this one hold coefficients, on the way there and on the way back: of them only the rank.
    ranks = [1 + 2 * k if k is not None and k < axis else 0 for k in others]

    def strides(tensor: Tensor) -> tuple[int, ...]:
        inner, vector = (0 if k is None else tensor.stride(3 + k) for k in others)
        return (*tensor.stride()[:3], inner, tensor.stride(3 + axis), vector)

    config = tile(f"{name}-last" if axis == ndim - 1 else name, source.device, size)
    tiles_m = triton.cdiv(rows, config.blocks["BLOCK_M"])
    n_outer = source.shape[1] * source.shape[2]
    tiles_v = triton.cdiv(n_outer * extents[0] * extents[1], config.blocks["BLOCK_V"])
    kernel[(tiles_m * tiles_v, source.shape[0])](
        *pointers, table.cosines, plan, size, math.sqrt(2 / size), 0.25 / size, n_outer, source.shape[2], *extents,
        tiles_m, plan.stride(0), *strides(source), *strides(target),
        RANK=1 + 2 * axis, INNER_RANK=ranks[0], VECTOR_RANK=ranks[1], CIRCULAR=not symmetric,
        PRECISION=transform_precision(dtype, source.device), **constants, **config.blocks, **config.launch,
    )  # fmt: skip


def launch_analysis(
    x: Tensor, even: Tensor | None, odd: Tensor | None, axis: int, table: SpectrumTable, plan: Tensor, *,
    symmetric: bool, dtype: torch.dtype,
) -> None:  # fmt: skip
    """Coefficients of x along one axis; along the axes before it x holds coefficients already.

    Args:
        x: [S, B, C, *spatial], any strides.
        even: The same shape, float32, any strides: receives B_0 x in its first `rank` entries along the axis, or None.
        odd: As `even`, with the same strides, for B_1 x.
        axis: Spatial axis, from 0.
        table: Cosines of the axis.
        plan: [S, 1 + 2 A]; scale channels of the stencil route are left alone.
        symmetric: Whether the border is the symmetric one; else it is circular.
        dtype: dtype of the features, for the precision.
    """
    target = even if even is not None else odd
    assert target is not None
    pointers = (x, target if even is None else even, target if odd is None else odd)
    constants = {"EVEN": even is not None, "ODD": odd is not None}
    _launch(
        _analysis_kernel, "analysis", pointers, x, target, axis, (x.shape[3 + axis] + 1) // 2, table, plan, constants,
        symmetric=symmetric, dtype=dtype,
    )  # fmt: skip


def launch_synthesis(
    even: Tensor | None, odd: Tensor | None, out: Tensor, axis: int, table: SpectrumTable, plan: Tensor, *,
    symmetric: bool, dtype: torch.dtype, bias: Tensor | None = None,
) -> None:  # fmt: skip
    """Sum of the transposes of B_0 and B_1 along one axis: the adjoint of `launch_analysis`.

    Args:
        even: [S, B, C, *spatial] float32, any strides, or None; of the axis and those before it only the rank is read.
        odd: As `even`, with the same strides.
        out: The same shape, any strides and dtype.
        axis: Spatial axis, from 0.
        table: Cosines of the axis.
        plan: [S, 1 + 2 A]; scale channels of the stencil route are left alone.
        symmetric: Whether the border is the symmetric one; else it is circular.
        dtype: dtype of the features, for the precision.
        bias: [C], added to the result, or None.
    """
    source = even if even is not None else odd
    assert source is not None
    pointers = (
        source if even is None else even, source if odd is None else odd, out, source if bias is None else bias
    )  # fmt: skip
    constants = {"EVEN": even is not None, "ODD": odd is not None, "HAS_BIAS": bias is not None}
    _launch(
        _synthesis_kernel, "synthesis", pointers, source, out, axis, (out.shape[3 + axis] + 1) // 2, table, plan,
        constants, symmetric=symmetric, dtype=dtype,
    )  # fmt: skip


def configurations(target: str) -> Iterator[Configuration]:
    """What is compiled ahead of time: both axes of two dimensions, every parity, float32 and bfloat16 features."""
    for kernel, name in ((_analysis_kernel, "analysis"), (_synthesis_kernel, "synthesis")):
        forward = kernel is _analysis_kernel
        for last, both, dtype in ((False, True, "fp32"), (False, not forward, "bf16"), (True, True, "fp32")):
            types = dict.fromkeys(("x_ptr", "even_ptr", "odd_ptr", "out_ptr", "bias_ptr", "cosines_ptr"), "*fp32")
            types |= {"x_ptr": f"*{dtype}"} if forward else {"out_ptr": f"*{dtype}", "bias_ptr": f"*{dtype}"}
            types |= {"plan_ptr": "*i32", "norm": "fp32", "inverse_period": "fp32"}
            types = {argument: kind for argument, kind in types.items() if argument in kernel.arg_names}
            constants: dict[str, Any] = {"EVEN": True, "ODD": both, "CIRCULAR": False}
            constants |= {"RANK": 3, "VECTOR_RANK": 1} if last else {"RANK": 1, "VECTOR_RANK": 0}
            constants |= {"INNER_RANK": 0, "PRECISION": precision_of(target) if dtype == "fp32" else "tf32"}
            constants |= {} if forward else {"HAS_BIAS": not last}
            constants |= {"x_n": 1, "out_n": 1} if last else {"x_v": 1, "out_v": 1}
            for least, entry in entries(f"{name}-last" if last else name, target):
                yield Configuration(
                    f"{'last' if last else 'first'}-{'both' if both else 'even'}-{dtype}-from-{least}",
                    kernel, types, constants | entry.blocks,
                    num_warps=entry.num_warps, num_stages=entry.num_stages, uses_dot=True,
                )  # fmt: skip
