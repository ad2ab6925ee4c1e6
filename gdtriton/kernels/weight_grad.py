"""Gradient of a layer in its weight, by scale channel: the stencil route.

    sum_{b, x} g[s, b, o, x] (c_a * L)[s, b, i, x]

for every output channel o, input channel i of its group and multi-index a; factors sigma^(p |a|) / a! are left to the
caller, who has a small tensor by then. The jets are differenced again from the kept smoothed image, six at a time, and
multiplied with the cotangent over chunks of pixels. Every program writes its own sum and the sums are added in a fixed
order: two runs agree bit by bit.

Traffic: g and L once per six jets and per block of channels of the other side, and the partial sums.
"""

from collections.abc import Iterator
from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from ..axes import Layer
from ..checks import interpreting
from ..operators import jet_orders
from .configuration import Configuration
from .cost import Cost
from .mix import PRODUCTS, Terms, difference, difference_terms, flat_terms, mix_dot, place_of, product_type, volume
from .tiles import entries, precision, precision_of, tile

JETS_AT_ONCE = 6
PROGRAMS = 1024
"""About how many programs share the pixels: several for every multiprocessor of a large chip."""


def weight_grad_cost(pixels: int, c_in: int, c_out: int, n_jet: int, groups: int, grad_bytes: int) -> Cost:
    """Bytes that must move and operations that must happen for `pixels` pixels of all images."""
    passes = -(-n_jet // JETS_AT_ONCE)
    return Cost(passes * pixels * (4 * c_in + grad_bytes * c_out), 2 * pixels * c_in * c_out * n_jet // groups)


@triton.jit
def _add(
    total, grad, jet, DEPTHWISE: tl.constexpr, PRODUCT: tl.constexpr, PRECISION: tl.constexpr, INTERPRETED: tl.constexpr
):  # fmt: skip
    if DEPTHWISE:
        total += grad.to(tl.float32) * jet
    else:
        total = mix_dot(grad, tl.trans(jet), total, PRODUCT, PRECISION, INTERPRETED)
    return total


@triton.jit
def _store(target, total, kept, DEPTHWISE: tl.constexpr):
    tl.store(target, tl.sum(total, 1)[:, None] if DEPTHWISE else total, mask=kept)


@triton.jit
def _weight_grad_kernel(
    g_ptr, u_ptr, partial_ptr, plan_ptr,
    depth, height, width, shift_z, shift_y, shift_x,
    n_scales, batch, tiles_o, tiles_i, n_in, n_out, n_row, first, n_jet, chunk, plan_stride,
    g_s, g_b, g_c, g_z, g_y, g_x, u_s, u_b, u_c, u_z, u_y, u_x,
    TERMS: tl.constexpr, STARTS: tl.constexpr, CHECK_ROUTE: tl.constexpr, DEPTHWISE: tl.constexpr,
    PRODUCT: tl.constexpr, PRECISION: tl.constexpr, INTERPRETED: tl.constexpr,
    BLOCK_O: tl.constexpr, BLOCK_I: tl.constexpr, BLOCK_P: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(2).to(tl.int64)
    if CHECK_ROUTE:
        if tl.load(plan_ptr + s * plan_stride) != 0:
            return
    part = tl.program_id(1)
    out_channel = (part // tiles_i % tiles_o) * BLOCK_O + tl.arange(0, BLOCK_O)
    group = part // tiles_i // tiles_o
    if DEPTHWISE:  # a channel meets itself only: no block of input channels
        in_channel = out_channel
        column = tl.zeros((1,), dtype=tl.int32)
    else:
        in_channel = (part % tiles_i) * BLOCK_I + tl.arange(0, BLOCK_I)
        column = in_channel
    volume = depth * height * width
    tiles_p = tl.cdiv(volume, BLOCK_P)
    low = tl.program_id(0) * chunk
    high = tl.minimum(low + chunk, batch * tiles_p)
    u_base = u_ptr + s * u_s + (group * n_in + in_channel).to(tl.int64)[:, None] * u_c
    g_base = g_ptr + s * g_s + (group * n_out + out_channel).to(tl.int64)[:, None] * g_c
    sum_0 = tl.zeros((BLOCK_O, BLOCK_P if DEPTHWISE else BLOCK_I), dtype=tl.float32)
    sum_1, sum_2, sum_3, sum_4, sum_5 = sum_0, sum_0, sum_0, sum_0, sum_0
    for step in range(low, high):
        b = (step // tiles_p).to(tl.int64)
        pixel = (step % tiles_p) * BLOCK_P + tl.arange(0, BLOCK_P)[None, :]
        x = pixel % width
        y = (pixel // width) % height
        z = pixel // (width * height)
        inside = pixel < volume
        mask = (in_channel < n_in)[:, None] & inside
        place = place_of(z, y, x, g_z, g_y, g_x)
        grad = tl.load(g_base + b * g_b + place, mask=(out_channel < n_out)[:, None] & inside, other=0.0)
        centre = u_base + b * u_b + place_of(z + shift_z, y + shift_y, x + shift_x, u_z, u_y, u_x)
        for j in tl.static_range(len(STARTS) - 1):
            jet = difference(
                centre, z, y, x, mask, depth, height, width, u_z, u_y, u_x, TERMS, STARTS[j], STARTS[j + 1], False
            )
            if j == 0:
                sum_0 = _add(sum_0, grad, jet, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED)
            elif j == 1:
                sum_1 = _add(sum_1, grad, jet, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED)
            elif j == 2:
                sum_2 = _add(sum_2, grad, jet, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED)
            elif j == 3:
                sum_3 = _add(sum_3, grad, jet, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED)
            elif j == 4:
                sum_4 = _add(sum_4, grad, jet, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED)
            else:
                sum_5 = _add(sum_5, grad, jet, DEPTHWISE, PRODUCT, PRECISION, INTERPRETED)
    channels = tl.num_programs(1) // (tiles_o * tiles_i) * n_out
    row = (group * n_out + out_channel)[:, None]
    place = ((tl.program_id(0).to(tl.int64) * n_scales + s) * channels + row) * n_row + column[None, :]
    kept = (out_channel < n_out)[:, None] & (column < n_row)[None, :]
    target = partial_ptr + place * n_jet + first
    _store(target, sum_0, kept, DEPTHWISE)
    if len(STARTS) > 2:
        _store(target + 1, sum_1, kept, DEPTHWISE)
    if len(STARTS) > 3:
        _store(target + 2, sum_2, kept, DEPTHWISE)
    if len(STARTS) > 4:
        _store(target + 3, sum_3, kept, DEPTHWISE)
    if len(STARTS) > 5:
        _store(target + 4, sum_4, kept, DEPTHWISE)
    if len(STARTS) > 6:
        _store(target + 5, sum_5, kept, DEPTHWISE)


def launch_weight_grad(
    grad: Tensor,
    u: Tensor,
    layer: Layer,
    *,
    shift: int,
    plan: Tensor | None = None,
    terms: tuple[Terms, ...] | None = None,
) -> Tensor:
    """Sums [S, C_out, C_in / groups, J] float32 of cotangent times jet, without factors; zero for other routes.

    Args:
        grad: [S, B, C_out, *spatial], any strides.
        u: [S, B, C_in, *spatial], any strides: the smoothed image.
        layer: The static arguments.
        shift: Position in u of the first pixel of grad.
        plan: Given, scale channels of the spectral route are left alone.
        terms: Differences in place of those of the layer's jets.
    """
    ndim = u.ndim - 3
    if terms is None:
        terms = difference_terms(layer.orders(ndim))
    n_scales, batch, c_out = grad.shape[:3]
    groups = layer.groups
    per_out, per_in = c_out // groups, u.shape[2] // groups
    depthwise = per_out == 1 and per_in == 1
    n_groups, n_out, n_in, n_row = (1, groups, groups, 1) if depthwise else (groups, per_out, per_in, per_in)
    config = tile("depthwise-weight-grad" if depthwise else "weight-grad", u.device, n_out)
    tiles_o = triton.cdiv(n_out, config.blocks["BLOCK_O"])
    tiles_i = 1 if depthwise else triton.cdiv(n_in, config.blocks["BLOCK_I"])
    extent = volume(grad.shape[3:])
    steps = batch * triton.cdiv(extent[0] * extent[1] * extent[2], config.blocks["BLOCK_P"])
    columns = n_groups * tiles_o * tiles_i
    chunk = triton.cdiv(steps, max(1, min(steps, PROGRAMS // (columns * n_scales))))
    grid = (triton.cdiv(steps, chunk), columns, n_scales)
    # Scale channels of the other route are never written.
    partial = u.new_zeros(grid[0], n_scales, c_out, per_in, len(terms))
    padding = (0,) * (3 - ndim)
    for first in range(0, len(terms), JETS_AT_ONCE):
        _weight_grad_kernel[grid](
            grad, u, partial, u if plan is None else plan,
            *extent, *padding, *(shift,) * ndim,
            n_scales, batch, tiles_o, tiles_i, n_in, n_out, n_row, first, len(terms), chunk,
            0 if plan is None else plan.stride(0),
            *grad.stride()[:3], *padding, *grad.stride()[3:], *u.stride()[:3], *padding, *u.stride()[3:],
            **flat_terms(terms[first : first + JETS_AT_ONCE]), CHECK_ROUTE=plan is not None, DEPTHWISE=depthwise,
            PRODUCT=product_type(grad.dtype), PRECISION=precision(u.device), INTERPRETED=interpreting(),
            **config.blocks, **config.launch,
        )  # fmt: skip
    return partial.sum(0)


def configurations(target: str) -> Iterator[Configuration]:
    """What is compiled ahead of time: order 2 in two dimensions in every precision, six jets of order 4, 3-D."""
    cases = [(2, 2, product) for product in PRODUCTS] + [(2, 4, "float32"), (3, 2, "bfloat16")]
    for ndim, order, product in cases:
        types = {"g_ptr": f"*{PRODUCTS[product]}", "u_ptr": "*fp32", "partial_ptr": "*fp32", "plan_ptr": "*i32"}
        terms = difference_terms(jet_orders(ndim, order, zero_order=False))[:JETS_AT_ONCE]
        constants: dict[str, Any] = {**flat_terms(terms), "CHECK_ROUTE": True, "PRODUCT": product, "INTERPRETED": False}
        constants |= {"PRECISION": precision_of(target), "g_x": 1, "u_x": 1}
        for depthwise in (False, True) if product == "float32" else (False,):
            for least, entry in entries("depthwise-weight-grad" if depthwise else "weight-grad", target):
                yield Configuration(
                    f"{'depthwise-' if depthwise else ''}{ndim}d-order{order}-{product}-from-{least}",
                    _weight_grad_kernel, types, constants | entry.blocks | {"DEPTHWISE": depthwise},
                    num_warps=entry.num_warps, num_stages=entry.num_stages, uses_dot=not depthwise,
                )  # fmt: skip
