"""The axis operator in band form: P_n(sigma), or its transpose, along one axis of [S, B, C, *spatial].

Operator blocks are built in the kernel from the table of periodised taps t (`tables.py`):

    P[m, n] = t(n - m) + t(-1 - n - m)   (symmetric border; the second term is absent for the others)

with m also in a margin around the image. P is centrosymmetric, P[M-1-m, N-1-n] = (-1)^order P[m, n]: with the even and
odd parts e, o of a vector about its middle, half the rows of (P + P J) e and (P - P J) o give the other half by their
difference, so the products are half as many. Blocks outside the band are skipped; its radius is read from the plan.

Traffic: the input is read once per tile of BLOCK_M rows inside its band, the output is written once. Products are of
float32 quality in every mode (three passes of tf32 where the chip has them).
"""

from collections.abc import Iterator
from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from .configuration import Configuration
from .cost import Cost
from .tables import TapTable
from .tiles import entries, precision, precision_of, tile
from .views import axis_view


def band_cost(n_vectors: int, in_size: int, out_size: int, radius: int, in_bytes: int, out_bytes: int) -> Cost:
    """Bytes that must move and operations that must happen for `n_vectors` vectors of one axis."""
    half_width = min((in_size + 1) // 2, 2 * radius + 1)
    multiplications = 2 * ((out_size + 1) // 2) * half_width
    return Cost(n_vectors * (in_size * in_bytes + out_size * out_bytes), 2 * n_vectors * multiplications)


@triton.jit
def _band_kernel(
    x_ptr, out_ptr, taps_ptr, plan_ptr, factors_ptr,
    in_size, out_size, margin, middle, taps_stride, plan_stride, factors_stride, scale,
    n_channels, n_inner, n_vectors, tiles_m, tiles_v,
    x_s, x_b, x_c, x_i, x_n, x_v, out_s, out_b, out_c, out_i, out_n, out_v,
    ODD: tl.constexpr, TRANSPOSE: tl.constexpr, SYMMETRIC: tl.constexpr, BAND: tl.constexpr, CHECK_ROUTE: tl.constexpr,
    SCALED: tl.constexpr, ACCUMULATE: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(1).to(tl.int64)
    if CHECK_ROUTE:
        if tl.load(plan_ptr + s * plan_stride) != 0:
            return
    pid = tl.program_id(0)
    first = (pid % tiles_m) * BLOCK_M
    pid = pid // tiles_m
    vector = (pid % tiles_v) * BLOCK_V + tl.arange(0, BLOCK_V)
    pid = (pid // tiles_v).to(tl.int64)
    inner, outer = pid % n_inner, pid // n_inner
    b, c = outer // n_channels, outer % n_channels
    x_ptr += s * x_s + b * x_b + c * x_c + inner * x_i
    out_ptr += s * out_s + b * out_b + c * out_c + inner * out_i
    taps_ptr += s * taps_stride + middle

    half_in, half_out = (in_size + 1) // 2, (out_size + 1) // 2
    radius = tl.load(plan_ptr + s * plan_stride + BAND)
    reach = tl.minimum(radius, in_size) + 2 * margin + 1
    low = tl.maximum(0, (first - reach) // BLOCK_K * BLOCK_K)
    high = tl.minimum(half_in, first + BLOCK_M + reach)
    row = first + tl.arange(0, BLOCK_M)
    v_inside = vector < n_vectors
    even = tl.zeros((BLOCK_M, BLOCK_V), dtype=tl.float32)
    odd = tl.zeros((BLOCK_M, BLOCK_V), dtype=tl.float32)
    for start in range(low, high, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K)
        mirror = in_size - 1 - k
        k_inside = k < half_in
        inside = k_inside[:, None] & v_inside[None, :]
        column = vector.to(tl.int64)[None, :] * x_v
        x = tl.load(x_ptr + k.to(tl.int64)[:, None] * x_n + column, mask=inside, other=0.0).to(tl.float32)
        y = tl.load(x_ptr + mirror.to(tl.int64)[:, None] * x_n + column, mask=inside, other=0.0).to(tl.float32)
        if TRANSPOSE:  # the column of P is the row of the tile
            m, m_mirror, n = (k - margin)[None, :], (mirror - margin)[None, :], row[:, None]
            near, far = n - m, n - m_mirror
            near_image, far_image = -1 - n - m, -1 - n - m_mirror
        else:
            m, n, n_mirror = (row - margin)[:, None], k[None, :], mirror[None, :]
            near, far = n - m, n_mirror - m
            near_image, far_image = -1 - n - m, -1 - n_mirror - m
        entry = (row < half_out)[:, None] & k_inside[None, :]
        twice = entry & (k != mirror)[None, :]  # the middle pixel is its own mirror: count it once
        p = tl.load(taps_ptr + near, mask=entry, other=0.0)
        q = tl.load(taps_ptr + far, mask=twice, other=0.0)
        if SYMMETRIC:
            p += tl.load(taps_ptr + near_image, mask=entry, other=0.0)
            q += tl.load(taps_ptr + far_image, mask=twice, other=0.0)
        even = tl.dot(p + q, 0.5 * (x + y), even, input_precision=PRECISION)
        odd = tl.dot(p - q, 0.5 * (x - y), odd, input_precision=PRECISION)
    upper, lower = even + odd, even - odd
    if ODD:
        lower = odd - even
    if SCALED:
        factor = tl.load(factors_ptr + s * factors_stride) * scale
        upper, lower = factor * upper, factor * lower
    kept = (row < half_out)[:, None] & v_inside[None, :]
    opposite = out_size - 1 - row
    column = vector.to(tl.int64)[None, :] * out_v
    upper_ptr = out_ptr + row.to(tl.int64)[:, None] * out_n + column
    lower_ptr = out_ptr + opposite.to(tl.int64)[:, None] * out_n + column
    lower_kept = kept & (opposite != row)[:, None]
    if ACCUMULATE:
        upper += tl.load(upper_ptr, mask=kept, other=0.0).to(tl.float32)
        lower += tl.load(lower_ptr, mask=lower_kept, other=0.0).to(tl.float32)
    tl.store(upper_ptr, upper.to(out_ptr.dtype.element_ty), mask=kept)
    tl.store(lower_ptr, lower.to(out_ptr.dtype.element_ty), mask=lower_kept)


def launch_band(
    x: Tensor, out: Tensor, axis: int, table: TapTable, plan: Tensor, *, odd: bool, symmetric: bool, margin: int = 0,
    transpose: bool = False, check_route: bool = False, factor: Tensor | None = None, scale: float = 1.0,
    accumulate: bool = False,
) -> None:  # fmt: skip
    """Out = (factor[s] * scale *) P_n x along spatial `axis`; with `accumulate` added to out.

    Args:
        x: [S, B, C, *spatial], any strides; length N along the axis (N + 2 margin if `transpose`).
        out: The same with N + 2 margin (N if `transpose`).
        axis: Spatial axis, from 0.
        table: Taps of every scale channel.
        plan: [S, 1 + 2 A], for the radius of the band and the route.
        odd: Whether the order of the operator is odd.
        symmetric: Whether the border is the symmetric one.
        margin: Rows of P beyond the image on either side.
        transpose: Apply the transpose instead.
        check_route: Leave scale channels of the spectral route alone.
        factor: [S, ...] float32; element [s, 0] multiplies the result of scale channel s.
        scale: A number that does as well.
        accumulate: Add to `out`.
    """
    view, target = axis_view(x, axis), axis_view(out, axis)
    in_size, out_size = x.shape[3 + axis], out.shape[3 + axis]
    config = tile("band", x.device, out_size)
    tiles_m = triton.cdiv((out_size + 1) // 2, config.blocks["BLOCK_M"])
    tiles_v = triton.cdiv(view.n_vectors, config.blocks["BLOCK_V"])
    grid = (tiles_m * tiles_v * view.n_inner * view.n_outer * view.n_channels, x.shape[0])
    scaled = factor is not None
    _band_kernel[grid](
        x, out, table.taps, plan, factor if scaled else plan,
        in_size, out_size, margin, -table.first, table.taps.stride(0), plan.stride(0),
        factor.stride(0) if factor is not None else 0, scale,
        view.n_channels, view.n_inner, view.n_vectors, tiles_m, tiles_v, *view.strides, *target.strides,
        ODD=odd, TRANSPOSE=transpose, SYMMETRIC=symmetric, BAND=2 + 2 * axis, CHECK_ROUTE=check_route,
        SCALED=scaled, ACCUMULATE=accumulate, PRECISION=precision(x.device), **config.blocks, **config.launch,
    )  # fmt: skip


def configurations(target: str) -> Iterator[Configuration]:
    """What is compiled ahead of time: smoothing, its adjoint and an odd derivative that is scaled and added up."""
    smoothing: dict[str, Any] = {"ODD": False, "TRANSPOSE": False, "CHECK_ROUTE": True, "SCALED": False}
    smoothing |= {"ACCUMULATE": False, "SYMMETRIC": True, "BAND": 2}
    variants = {
        "smoothing": ("fp32", smoothing),
        "smoothing-bf16": ("bf16", smoothing),
        "adjoint": ("fp32", smoothing | {"TRANSPOSE": True}),
        "derivative": ("fp32", smoothing | {"ODD": True, "SCALED": True, "ACCUMULATE": True, "CHECK_ROUTE": False}),
    }
    for least, entry in entries("band", target):
        for name, (dtype, constants) in variants.items():
            types = {"x_ptr": f"*{dtype}", "out_ptr": "*fp32", "taps_ptr": "*fp32", "factors_ptr": "*fp32"}
            yield Configuration(
                f"{name}-from-{least}",
                _band_kernel,
                types | {"plan_ptr": "*i32", "scale": "fp32"},
                constants | {"PRECISION": precision_of(target), "x_v": 1, "out_v": 1} | entry.blocks,
                num_warps=entry.num_warps,
                num_stages=entry.num_stages,
                uses_dot=True,
            )
