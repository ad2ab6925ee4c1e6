"""Jets and channel mixing in one implicit matrix product: the stencil route of a layer, and its adjoint.

    out[s, b, o, x] = bias[o] + sum_i sum_a W[o, i, a] factor[s, a] sum_t c_a(t) u[s, b, i, x + shift + t]

u is the smoothed image on its margin and c_a the central difference of multi-index a. A tile is BLOCK_O output channels
by BLOCK_P pixels of a plane (pixels of all axes in one index, so that no tile is padded per row); over blocks of input
channels every jet is differenced in float32, scaled, rounded to the type of the product and multiplied: a jet never
reaches memory. The adjoint is the same kernel: u is the cotangent, zero outside, differences are mirrored, W is
transposed and the result lies on the margin. There the smoothing is still to come: it removes most of a difference of
the cotangent but not its rounding, so that differences enter products as two factors. It can add up the first term of
the sigma gradient, <g_L, Laplacian_h L>, from its own registers.

Traffic: u once per block of output channels (neighbours come from the cache), out once.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..axes import Layer
from ..checks import interpreting
from ..operators import jet_orders
from ..taps import _difference
from .configuration import Configuration
from .cost import Cost
from .tiles import entries, precision, precision_of, tile

Terms = tuple[tuple[int, int, int, float], ...]


def mix_cost(pixels: int, c_in: int, c_out: int, n_jet: int, groups: int, in_bytes: int, out_bytes: int) -> Cost:
    """Bytes that must move and operations that must happen for `pixels` pixels of all images."""
    return Cost(pixels * (c_in * in_bytes + c_out * out_bytes), 2 * pixels * c_in * c_out * n_jet // groups)


def difference_terms(orders: tuple[tuple[int, ...], ...], *, mirrored: bool = False) -> tuple[Terms, ...]:
    """Non-zero entries (z, y, x, coefficient) of the central difference of every multi-index, or of its transpose."""
    sign = -1 if mirrored else 1
    result = []
    for a in orders:
        masks = [_difference(n) for n in a]
        terms = []
        for place in itertools.product(*(range(len(mask)) for mask in masks)):
            value = math.prod(mask[k] for mask, k in zip(masks, place, strict=True))
            offset = [sign * (k - len(mask) // 2) for mask, k in zip(masks, place, strict=True)]
            if value != 0:
                z, y, x = (*(0,) * (3 - len(a)), *offset)
                terms.append((z, y, x, value))
        result.append(tuple(terms))
    return tuple(result)


def product_type(dtype: torch.dtype) -> str:
    """Type of the factors of channel mixing: that of narrow features; for float32 what torch allows matmul."""
    if dtype == torch.float32:
        return "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "float32"
    return "bfloat16" if dtype == torch.bfloat16 else "float16"


@triton.jit
def mix_dot(a, b, total, PRODUCT: tl.constexpr, PRECISION: tl.constexpr, INTERPRETED: tl.constexpr):
    """Total + a b with factors rounded to PRODUCT; the interpreter cannot multiply bfloat16 and gets it upcast."""
    if PRODUCT == "bfloat16":
        a, b = a.to(tl.bfloat16), b.to(tl.bfloat16)
        if INTERPRETED:
            a, b = a.to(tl.float32), b.to(tl.float32)
        total = tl.dot(a, b, total)
    elif PRODUCT == "float16":
        total = tl.dot(a.to(tl.float16), b.to(tl.float16), total)
    elif PRODUCT == "tf32":
        total = tl.dot(a.to(tl.float32), b.to(tl.float32), total, input_precision="tf32")
    else:
        total = tl.dot(a.to(tl.float32), b.to(tl.float32), total, input_precision=PRECISION)
    return total


@triton.jit
def leading_part(value, PRODUCT: tl.constexpr):
    """What a factor of type PRODUCT holds of a float32 value; the rest fits another factor to twice the digits."""
    if PRODUCT == "bfloat16":
        part = value.to(tl.bfloat16).to(tl.float32)
    elif PRODUCT == "float16":
        part = value.to(tl.float16).to(tl.float32)
    else:
        part = (value.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
    return part


@triton.jit
def place_of(z, y, x, stride_z, stride_y, stride_x):
    """Offset of a pixel."""
    return z.to(tl.int64) * stride_z + y.to(tl.int64) * stride_y + x.to(tl.int64) * stride_x


@triton.jit
def difference(
    centre, z, y, x, mask, depth, height, width, stride_z, stride_y, stride_x,
    TERMS: tl.constexpr, START: tl.constexpr, STOP: tl.constexpr, BOUNDED: tl.constexpr,
):  # fmt: skip
    """Sum of c(t) u(. + t) over terms START .. STOP - 1 in float32, from pointers [I, P] to u(.).

    BOUNDED: u is zero outside [depth, height, width], which z, y, x [1, P] may leave by t; else nobody leaves it.
    """
    total = tl.zeros((centre.shape[0], centre.shape[1]), dtype=tl.float32)
    for t in tl.static_range(START, STOP):
        inside = mask  # narrowed axis by axis: the compiler keeps what does not change in a loop, which is little then
        if BOUNDED:
            kz, ky, kx = z + TERMS[4 * t], y + TERMS[4 * t + 1], x + TERMS[4 * t + 2]
            inside = ((inside & ((kz >= 0) & (kz < depth))) & ((ky >= 0) & (ky < height))) & ((kx >= 0) & (kx < width))
        step = tl.cast(stride_z, tl.int64) * TERMS[4 * t] + tl.cast(stride_y, tl.int64) * TERMS[4 * t + 1]
        step += tl.cast(stride_x, tl.int64) * TERMS[4 * t + 2]
        total += tl.load(centre + step, mask=inside, other=0.0).to(tl.float32) * TERMS[4 * t + 3]
    return total


@triton.jit
def _store_laplacian_product(
    total, smoothed, partial_ptr, s, z, y, x, kept, depth, height, width, LAPLACIAN: tl.constexpr
):  # fmt: skip
    """One program's share of <g_L, Laplacian_h L>; pointers `smoothed` to L, on the margin and in the order of g_L.

    One sum over both axes: of a sum per axis triton 3.6 and 3.7 make no program for sm_100 (tests/test_aot.py).
    """
    change = difference(
        smoothed, z, y, x, kept, depth, height, width, height * width, width, 1,
        LAPLACIAN, 0, len(LAPLACIAN) // 4, True,
    )  # fmt: skip
    product = tl.where(kept, total * change, 0.0)
    programs = tl.num_programs(0) * tl.num_programs(1)
    program = tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    tl.store(partial_ptr + s * programs + program, tl.sum(product))


@triton.jit
def _mix_kernel(
    u_ptr, w_ptr, bias_ptr, out_ptr, factors_ptr, plan_ptr, smoothed_ptr, partial_ptr,
    u_depth, u_height, u_width, depth, height, width, shift_z, shift_y, shift_x,
    tiles_p, tiles_o, n_in, n_out, plan_stride,
    u_s, u_b, u_c, u_z, u_y, u_x, out_s, out_b, out_c, w_group, w_out, w_in, w_j,
    TERMS: tl.constexpr, STARTS: tl.constexpr, BOUNDED: tl.constexpr, LAPLACIAN: tl.constexpr,
    HAS_BIAS: tl.constexpr, CHECK_ROUTE: tl.constexpr, PRODUCT: tl.constexpr, PRECISION: tl.constexpr,
    INTERPRETED: tl.constexpr,
    BLOCK_O: tl.constexpr, BLOCK_I: tl.constexpr, BLOCK_P: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(2).to(tl.int64)
    if CHECK_ROUTE:
        if tl.load(plan_ptr + s * plan_stride) != 0:
            return
    b = (tl.program_id(0) // tiles_p).to(tl.int64)
    pixel = (tl.program_id(0) % tiles_p) * BLOCK_P + tl.arange(0, BLOCK_P)[None, :]
    group = tl.program_id(1) // tiles_o
    out_channel = (tl.program_id(1) % tiles_o) * BLOCK_O + tl.arange(0, BLOCK_O)[:, None]
    inside = pixel < depth * height * width
    x = pixel % width
    y = (pixel // width) % height
    z = pixel // (width * height)
    u_place = place_of(z + shift_z, y + shift_y, x + shift_x, u_z, u_y, u_x)
    w_ptr += group * w_group
    total = tl.zeros((BLOCK_O, BLOCK_P), dtype=tl.float32)
    for start in range(0, n_in, BLOCK_I):
        in_channel = start + tl.arange(0, BLOCK_I)
        centre = u_ptr + s * u_s + b * u_b + (group * n_in + in_channel).to(tl.int64)[:, None] * u_c + u_place
        mask = (in_channel < n_in)[:, None] & inside
        w_mask = (out_channel < n_out) & (in_channel < n_in)[None, :]
        for j in tl.static_range(len(STARTS) - 1):
            jet = difference(
                centre, z + shift_z, y + shift_y, x + shift_x, mask, u_depth, u_height, u_width, u_z, u_y, u_x,
                TERMS, STARTS[j], STARTS[j + 1], BOUNDED,
            )  # fmt: skip
            jet *= tl.load(factors_ptr + s * (len(STARTS) - 1) + j)
            weight = tl.load(w_ptr + out_channel * w_out + in_channel[None, :] * w_in + j * w_j, mask=w_mask, other=0.0)
            if BOUNDED and PRODUCT != "float32" and STARTS[j + 1] - STARTS[j] > 1:
                high = leading_part(jet, PRODUCT)
                total = mix_dot(weight, high, total, PRODUCT, PRECISION, INTERPRETED)
                jet -= high
            total = mix_dot(weight, jet, total, PRODUCT, PRECISION, INTERPRETED)
    channel = (group * n_out + out_channel).to(tl.int64)
    kept = (out_channel < n_out) & inside
    if HAS_BIAS:
        total += tl.load(bias_ptr + channel, mask=out_channel < n_out, other=0.0).to(tl.float32)
    place = s * out_s + b * out_b + channel * out_c + pixel
    tl.store(out_ptr + place, total.to(out_ptr.dtype.element_ty), mask=kept)
    if len(LAPLACIAN) > 0:
        _store_laplacian_product(
            total, smoothed_ptr + s * out_s + b * out_b + channel * out_c + pixel, partial_ptr, s, z, y, x, kept,
            depth, height, width, LAPLACIAN,
        )  # fmt: skip


@triton.jit
def _depthwise_kernel(
    u_ptr, w_ptr, bias_ptr, out_ptr, factors_ptr, plan_ptr, smoothed_ptr, partial_ptr,
    u_depth, u_height, u_width, depth, height, width, shift_z, shift_y, shift_x, tiles_p, n_channels, plan_stride,
    u_s, u_b, u_c, u_z, u_y, u_x, out_s, out_b, out_c, w_c, w_j,
    TERMS: tl.constexpr, STARTS: tl.constexpr, BOUNDED: tl.constexpr, LAPLACIAN: tl.constexpr,
    HAS_BIAS: tl.constexpr, CHECK_ROUTE: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(2).to(tl.int64)
    if CHECK_ROUTE:
        if tl.load(plan_ptr + s * plan_stride) != 0:
            return
    b = (tl.program_id(0) // tiles_p).to(tl.int64)
    pixel = (tl.program_id(0) % tiles_p) * BLOCK_P + tl.arange(0, BLOCK_P)[None, :]
    channel = (tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)[:, None]).to(tl.int64)
    x = pixel % width
    y = (pixel // width) % height
    z = pixel // (width * height)
    known = channel < n_channels
    kept = known & (pixel < depth * height * width)
    u_place = place_of(z + shift_z, y + shift_y, x + shift_x, u_z, u_y, u_x)
    centre = u_ptr + s * u_s + b * u_b + channel * u_c + u_place
    total = tl.zeros((BLOCK_C, BLOCK_P), dtype=tl.float32)
    for j in tl.static_range(len(STARTS) - 1):
        jet = difference(
            centre, z + shift_z, y + shift_y, x + shift_x, kept, u_depth, u_height, u_width, u_z, u_y, u_x,
            TERMS, STARTS[j], STARTS[j + 1], BOUNDED,
        )  # fmt: skip
        weight = tl.load(w_ptr + channel * w_c + j * w_j, mask=known, other=0.0).to(tl.float32)
        total += weight * tl.load(factors_ptr + s * (len(STARTS) - 1) + j) * jet
    if HAS_BIAS:
        total += tl.load(bias_ptr + channel, mask=known, other=0.0).to(tl.float32)
    tl.store(out_ptr + s * out_s + b * out_b + channel * out_c + pixel, total.to(out_ptr.dtype.element_ty), mask=kept)
    if len(LAPLACIAN) > 0:
        _store_laplacian_product(
            total, smoothed_ptr + s * out_s + b * out_b + channel * out_c + pixel, partial_ptr, s, z, y, x, kept,
            depth, height, width, LAPLACIAN,
        )  # fmt: skip


def _mix_table(n_jet: int) -> str:
    """Which table of tiles: more than six jets need more registers, since all are in flight at once."""
    return "mix" if n_jet <= 6 else "mix-many-jets"


def flat_terms(terms: tuple[Terms, ...]) -> dict[str, tuple[float, ...]]:
    """Constants of a kernel: all terms in one tuple of numbers, and which term is each jet's first.

    triton 3.6 takes no tuples of tuples.
    """
    starts = tuple(itertools.accumulate((len(jet) for jet in terms), initial=0))
    return {"TERMS": tuple(number for jet in terms for term in jet for number in term), "STARTS": starts}


def _laplacian(ndim: int) -> tuple[float, ...]:
    """Central second differences of every axis, summed."""
    units = tuple(tuple(2 if i == k else 0 for i in range(ndim)) for k in range(ndim))
    return flat_terms(difference_terms(units))["TERMS"]


def volume(spatial: tuple[int, ...]) -> tuple[int, int, int]:
    """Axis lengths as depth, height and width."""
    padded = (*(1,) * (3 - len(spatial)), *spatial)
    return padded[0], padded[1], padded[2]


def launch_mix(
    u: Tensor, weight: Tensor, factors: Tensor, out: Tensor, layer: Layer, *, shift: int, plan: Tensor | None = None,
    bias: Tensor | None = None, adjoint: bool = False, smoothed: Tensor | None = None,
    terms: tuple[Terms, ...] | None = None,
) -> Tensor | None:  # fmt: skip
    """The mixing of the smoothed image into the output, or of the output's cotangent into that of the smoothed image.

    Args:
        u: [S, B, C, *spatial], any strides: the smoothed image, or the cotangent if `adjoint`.
        weight: [C_out, C_in / groups, J].
        factors: [S, J] float32.
        out: [S, B, C', *spatial], contiguous: the output, or the cotangent of the smoothed image.
        layer: The static arguments.
        shift: Position in u of the first pixel of out.
        plan: Given, scale channels of the spectral route are left alone.
        bias: [C_out] or None.
        adjoint: See `u`.
        smoothed: Given with `adjoint`, the smoothed image on the margin: returns <g_L, Laplacian_h L>.
        terms: Differences in place of those of the layer's jets.

    Returns:
        Partial sums [S, programs] float32 where `smoothed` is given; of other routes they are zero.
    """
    ndim = u.ndim - 3
    if terms is None:
        terms = difference_terms(layer.orders(ndim), mirrored=adjoint)
    u_extent, extent = volume(u.shape[3:]), volume(out.shape[3:])
    shifts = (*(0,) * (3 - ndim), *(shift,) * ndim)
    u_strides = (*u.stride()[:3], *(0,) * (3 - ndim), *u.stride()[3:])
    n_scales, batch, channels = out.shape[:3]
    groups = layer.groups
    per_out, per_in = channels // groups, u.shape[2] // groups
    pixels = extent[0] * extent[1] * extent[2]
    common: dict[str, Any] = {
        **flat_terms(terms),
        "BOUNDED": adjoint,
        "LAPLACIAN": () if smoothed is None else _laplacian(ndim),
        "HAS_BIAS": bias is not None,
        "CHECK_ROUTE": plan is not None,
    }
    depthwise = per_out == 1 and per_in == 1
    config = tile("depthwise", u.device, channels) if depthwise else tile(_mix_table(len(terms)), u.device, per_out)
    tiles_p = triton.cdiv(pixels, config.blocks["BLOCK_P"])
    tiles_o = triton.cdiv(channels if depthwise else per_out, config.blocks["BLOCK_C" if depthwise else "BLOCK_O"])
    grid = (batch * tiles_p, tiles_o if depthwise else groups * tiles_o, n_scales)
    partial = None
    if smoothed is not None:
        partial = torch.zeros(n_scales, grid[0] * grid[1], dtype=torch.float32, device=u.device)
    pointers = (
        u, weight, weight if bias is None else bias, out, factors, u if plan is None else plan,
        u if smoothed is None else smoothed, u if partial is None else partial,
    )  # fmt: skip
    plan_stride = 0 if plan is None else plan.stride(0)
    out_strides = out.stride()[:3]
    if depthwise:
        _depthwise_kernel[grid](
            *pointers, *u_extent, *extent, *shifts, tiles_p, channels, plan_stride, *u_strides, *out_strides,
            weight.stride(0), weight.stride(2), **common, **config.blocks, **config.launch,
        )  # fmt: skip
        return partial
    stride_out, stride_in = (weight.stride(1), weight.stride(0)) if adjoint else (weight.stride(0), weight.stride(1))
    _mix_kernel[grid](
        *pointers, *u_extent, *extent, *shifts, tiles_p, tiles_o, per_in, per_out, plan_stride,
        *u_strides, *out_strides,
        (weight.shape[0] // groups) * weight.stride(0), stride_out, stride_in, weight.stride(2),
        PRODUCT=product_type(weight.dtype), PRECISION=precision(u.device), INTERPRETED=interpreting(),
        **common, **config.blocks, **config.launch,
    )  # fmt: skip
    return partial


PRODUCTS = {"float32": "fp32", "tf32": "fp32", "bfloat16": "bf16"}
"""Types of products, and of the features that they are for; float16 compiles to the same code as bfloat16."""


def configurations(target: str) -> Iterator[Configuration]:
    """What is compiled ahead of time: order 2 in two dimensions in every precision, the rest in one."""
    cases = [(2, 2, product, adjoint) for product in PRODUCTS for adjoint in (False, True)]
    cases += [(3, 2, "float32", False), (2, 3, "bfloat16", True), (2, 4, "float32", False)]
    for ndim, order, product, adjoint in cases:
        wide = PRODUCTS[product]
        types = dict.fromkeys(("u_ptr", "out_ptr", "w_ptr", "bias_ptr"), f"*{wide}")
        types |= {("out_ptr" if adjoint else "u_ptr"): "*fp32", "factors_ptr": "*fp32", "plan_ptr": "*i32"}
        types |= {"smoothed_ptr": "*fp32", "partial_ptr": "*fp32"}
        constants: dict[str, Any] = {
            **flat_terms(difference_terms(jet_orders(ndim, order, zero_order=False), mirrored=adjoint)),
            "BOUNDED": adjoint,
            "LAPLACIAN": _laplacian(ndim) if adjoint else (),
            "HAS_BIAS": not adjoint,
            "CHECK_ROUTE": True,
        }
        name = f"{ndim}d-order{order}-{product}-{'adjoint' if adjoint else 'forward'}"
        precise = {"PRODUCT": product, "PRECISION": precision_of(target), "INTERPRETED": False}
        for least, entry in entries(_mix_table(len(constants["STARTS"]) - 1), target):
            yield Configuration(
                f"{name}-from-{least}", _mix_kernel, types, constants | precise | entry.blocks | {"u_x": 1},
                num_warps=entry.num_warps, num_stages=entry.num_stages, uses_dot=True,
            )  # fmt: skip
        if product == "float32":
            for least, entry in entries("depthwise", target):
                yield Configuration(
                    f"{name}-from-{least}", _depthwise_kernel, types, constants | entry.blocks | {"u_x": 1},
                    num_warps=entry.num_warps, num_stages=entry.num_stages,
                )  # fmt: skip
