"""Pooling over scale channels, [S, ...] -> [...]: max with the winning index, mean, log sum exp, and their adjoints.

A program owns BLOCK elements of the result and reads the S scale channels one after the other: every element of the
stack is read once, with any strides, and nothing is copied. Arithmetic is float32, rounded once at the store. `-inf`
marks a dropped scale channel and is left out; NaN wins. All of it is bound by memory: `pool_cost` is the floor.

Backward needs, beside the cotangent: max the index (int32), mean one bit for each scale channel that was kept (words
of 32), log sum exp its float32 result and the stack. No atomics: every element is written by one program.
"""

from collections.abc import Iterator
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from .configuration import Configuration
from .cost import Cost
from .layout import dense_axes

KINDS = ("max", "mean", "logsumexp")
WARPS = 4
BLOCK, STRIDED_BLOCK = 1024, 512
"""8 elements a thread and UNROLL scale channels in flight: 64 to 128 bytes outstanding for each thread. Half as many
where the place of an element takes divisions: with 8 the mean spills."""
UNROLL = 4
"""Scale channels whose loads are issued together."""
WORD = 32
"""Bits of a word of kept scale channels."""


def pool_cost(kind: str, n_scales: int, numel: int, itemsize: int, *, backward: bool = False) -> Cost:
    """Least traffic and arithmetic: the stack once, the result once, what backward keeps once.

    Comparisons, sums, products and exponentials count one operation each.

    Args:
        kind: "max", "mean" or "logsumexp".
        n_scales: S.
        numel: Elements of the result.
        itemsize: Bytes of an element of the stack.
        backward: The adjoint instead: the stack is written; log sum exp reads it as well.
    """
    words = -(-n_scales // WORD)
    kept = {"max": 4, "mean": 4 * words, "logsumexp": 4 if backward or itemsize < 4 else 0}[kind]
    stack = n_scales * itemsize * (2 if backward and kind == "logsumexp" else 1)
    if backward:
        operations = {"max": 1, "mean": 3, "logsumexp": 3}[kind] * n_scales
    else:
        operations = {"max": 2 * n_scales, "mean": 3 * n_scales + 1, "logsumexp": 6 * n_scales + 2}[kind]
    return Cost(numel * (stack + itemsize + kept), numel * operations)


@triton.jit
def _offsets(index, sizes, strides, NDIM: tl.constexpr):
    """Where the elements with these positions in dense memory lie in a strided tensor."""
    offset = index * 0
    for d in tl.static_range(NDIM - 1):
        offset += index % sizes[d] * strides[d]
        index = index // sizes[d]
    return offset + index * strides[NDIM - 1]


@triton.jit
def _load(pointer, s, n_scales, stride_s, offset, inside):
    """Scale channel s in float32; -inf, which pools as nothing, outside."""
    # A vector of s: the interpreter turns a mask that meets a scalar condition into integers.
    s = offset * 0 + s
    return tl.load(pointer + s * stride_s + offset, mask=inside & (s < n_scales), other=float("-inf")).to(tl.float32)


@triton.jit
def _max_kernel(
    features_ptr, values_ptr, index_ptr, numel, n_scales, stride_s, sizes, strides,
    NDIM: tl.constexpr, UNROLL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < numel
    offset = _offsets(i, sizes, strides, NDIM)
    best = tl.full((BLOCK,), float("-inf"), tl.float32)
    index = tl.zeros((BLOCK,), tl.int32)
    for first in range(0, n_scales, UNROLL):
        for u in tl.static_range(UNROLL):
            x = _load(features_ptr, first + u, n_scales, stride_s, offset, inside)
            wins = (x > best) | ((x != x) & (best == best))  # the first of equals, the first NaN
            best = tl.where(wins, x, best)
            index = tl.where(wins, first + u, index)
    tl.store(values_ptr + i, best.to(values_ptr.dtype.element_ty), mask=inside)
    tl.store(index_ptr + i, index, mask=inside)


@triton.jit
def _mean_kernel(
    features_ptr, values_ptr, kept_ptr, numel, n_scales, stride_s, sizes, strides,
    NDIM: tl.constexpr, WORD: tl.constexpr, UNROLL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < numel
    offset = _offsets(i, sizes, strides, NDIM)
    total = tl.zeros((BLOCK,), tl.float32)
    count = tl.zeros((BLOCK,), tl.float32)
    one = tl.full((BLOCK,), 1, tl.int32)
    for start in range(0, n_scales, WORD):
        word = tl.zeros((BLOCK,), tl.int32)
        for bit in range(0, tl.minimum(n_scales - start, WORD), UNROLL):
            for u in tl.static_range(UNROLL):
                x = _load(features_ptr, start + bit + u, n_scales, stride_s, offset, inside)
                kept = x != float("-inf")
                total += tl.where(kept, x, 0.0)
                count += tl.where(kept, 1.0, 0.0)
                word |= tl.where(kept, one << (bit + u), 0)
        tl.store(kept_ptr + i, word, mask=inside)
        kept_ptr += numel
    mean = tl.where(count == 0.0, float("-inf"), total / tl.maximum(count, 1.0))
    tl.store(values_ptr + i, mean.to(values_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _logsumexp_kernel(
    features_ptr, values_ptr, exact_ptr, numel, n_scales, stride_s, sizes, strides,
    EXACT: tl.constexpr, NDIM: tl.constexpr, UNROLL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < numel
    offset = _offsets(i, sizes, strides, NDIM)
    top = tl.full((BLOCK,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)  # sum of exp(x - top)
    for first in range(0, n_scales, UNROLL):
        for u in tl.static_range(UNROLL):
            x = _load(features_ptr, first + u, n_scales, stride_s, offset, inside)
            ratio = tl.where(x == top, 1.0, tl.exp(-tl.abs(x - top)))  # equal infinities have no difference
            total = tl.where(x > top, total * ratio + 1.0, total + ratio)
            top = tl.where(x > top, x, top)
    result = top + tl.log(total)
    tl.store(values_ptr + i, result.to(values_ptr.dtype.element_ty), mask=inside)
    if EXACT:
        tl.store(exact_ptr + i, result, mask=inside)


@triton.jit
def _max_backward_kernel(
    grad_ptr, index_ptr, grad_features_ptr, numel, n_scales, sizes, strides,
    NDIM: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < numel
    grad = tl.load(grad_ptr + _offsets(i, sizes, strides, NDIM), mask=inside, other=0.0)
    index = tl.load(index_ptr + i, mask=inside, other=0)
    for s in range(0, n_scales):
        tl.store(grad_features_ptr + i, tl.where(index == s, grad, 0.0).to(grad.dtype), mask=inside)
        grad_features_ptr += numel


@triton.jit
def _mean_backward_kernel(
    grad_ptr, kept_ptr, grad_features_ptr, numel, n_scales, sizes, strides,
    NDIM: tl.constexpr, WORD: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < numel
    grad = tl.load(grad_ptr + _offsets(i, sizes, strides, NDIM), mask=inside, other=0.0).to(tl.float32)
    count = tl.zeros((BLOCK,), tl.int32)
    words = kept_ptr
    for start in range(0, n_scales, WORD):
        word = tl.load(words + i, mask=inside, other=0)
        words += numel
        for bit in range(0, tl.minimum(n_scales - start, WORD)):
            count += (word >> bit) & 1
    share = (grad / tl.maximum(count, 1).to(tl.float32)).to(grad_features_ptr.dtype.element_ty)
    for start in range(0, n_scales, WORD):
        word = tl.load(kept_ptr + i, mask=inside, other=0)
        kept_ptr += numel
        for bit in range(0, tl.minimum(n_scales - start, WORD)):
            tl.store(grad_features_ptr + i, tl.where(((word >> bit) & 1) == 1, share, 0.0), mask=inside)
            grad_features_ptr += numel


@triton.jit
def _logsumexp_backward_kernel(
    grad_ptr, features_ptr, exact_ptr, grad_features_ptr, numel, n_scales, stride_s, sizes, strides, strides_grad,
    NDIM: tl.constexpr, UNROLL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < numel
    offset = _offsets(i, sizes, strides, NDIM)
    grad = tl.load(grad_ptr + _offsets(i, sizes, strides_grad, NDIM), mask=inside, other=0.0).to(tl.float32)
    exact = tl.load(exact_ptr + i, mask=inside, other=0.0)
    for first in range(0, n_scales, UNROLL):
        for u in tl.static_range(UNROLL):
            s = i * 0 + first + u
            x = _load(features_ptr, first + u, n_scales, stride_s, offset, inside)
            share = grad * tl.exp(x - exact)
            value = share.to(grad_features_ptr.dtype.element_ty)
            tl.store(grad_features_ptr + s * numel + i, value, mask=inside & (s < n_scales))


def _block(ndim: int) -> int:
    return BLOCK if ndim == 1 else STRIDED_BLOCK


def _launch(kernel: Any, dense: Tensor, *arguments: Any, **constants: Any) -> None:
    """Run a kernel over all elements of a dense tensor; an empty one needs none."""
    if dense.numel() == 0:
        return
    block = _block(constants["NDIM"])
    grid = (triton.cdiv(dense.numel(), block),)
    with torch.cuda.device_of(dense):
        kernel[grid](*arguments, **constants, BLOCK=block, num_warps=WARPS, enable_fp_fusion=True)


def launch_pool(features: Tensor, values: Tensor, saved: Tensor, kind: str) -> None:
    """Pool [S, ...] of any strides into `values` [...] and keep what backward needs in `saved`.

    Args:
        features: The stack, float32, bfloat16 or float16.
        values: The result; dense, in any order of axes.
        saved: In the same order of axes: the index (int32 [...]), the words of kept bits (int32 [ceil(S / 32), ...]) or
            the float32 log sum exp, empty where the values are that already.
        kind: "max", "mean" or "logsumexp".
    """
    sizes, (strides,) = dense_axes(values, features[0])
    arguments = (features, values, saved, values.numel(), features.shape[0], features.stride(0), sizes, strides)
    constants = {"NDIM": len(sizes), "UNROLL": UNROLL}
    if kind == "max":
        _launch(_max_kernel, values, *arguments, **constants)
    elif kind == "mean":
        _launch(_mean_kernel, values, *arguments, **constants, WORD=WORD)
    else:
        _launch(_logsumexp_kernel, values, *arguments, **constants, EXACT=saved.numel() > 0)


def launch_pool_backward(
    grad: Tensor, saved: Tensor, features: Tensor | None, grad_features: Tensor, kind: str
) -> None:  # fmt: skip
    """The adjoint: `grad` [...] of any strides into `grad_features` [S, ...].

    Args:
        grad: Cotangent of the result.
        saved: As the forward left it; for log sum exp the float32 result.
        features: The stack; log sum exp only.
        grad_features: Dense, S outermost, each scale channel with the order of axes of `saved`.
        kind: "max", "mean" or "logsumexp".
    """
    dense = grad_features[0]
    if kind == "logsumexp":
        assert features is not None
        sizes, (strides, strides_grad) = dense_axes(dense, features[0], grad)
        _launch(
            _logsumexp_backward_kernel, dense, grad, features, saved, grad_features, dense.numel(), len(features),
            features.stride(0), sizes, strides, strides_grad, NDIM=len(sizes), UNROLL=UNROLL,
        )  # fmt: skip
        return
    sizes, (strides,) = dense_axes(dense, grad)
    arguments = (grad, saved, grad_features, dense.numel(), len(grad_features), sizes, strides)
    if kind == "max":
        _launch(_max_backward_kernel, dense, *arguments, NDIM=len(sizes))
    else:
        _launch(_mean_backward_kernel, dense, *arguments, NDIM=len(sizes), WORD=WORD)


def configurations(target: str) -> Iterator[Configuration]:
    """What is compiled ahead of time: float32 and bfloat16 dense stacks, and float32 with three strided axes."""
    for dtype, ndim in (("fp32", 1), ("bf16", 1), ("fp32", 3)):
        types: dict[str, Any] = {"index_ptr": "*i32", "kept_ptr": "*i32", "exact_ptr": "*fp32"}
        types |= dict.fromkeys(("features_ptr", "values_ptr", "grad_ptr", "grad_features_ptr"), f"*{dtype}")
        types |= dict.fromkeys(("numel", "stride_s"), "i64") | {"sizes": ("i64",) * ndim}
        types |= dict.fromkeys(("strides", "strides_grad"), ("constexpr",) + ("i64",) * (ndim - 1))
        constants: dict[str, Any] = {"NDIM": ndim, "UNROLL": UNROLL, "BLOCK": _block(ndim), "WORD": WORD}
        constants |= dict.fromkeys(("strides", "strides_grad"), (1,) + (None,) * (ndim - 1))
        constants["EXACT"] = dtype != "fp32"
        for kernel in (
            _max_kernel, _mean_kernel, _logsumexp_kernel,
            _max_backward_kernel, _mean_backward_kernel, _logsumexp_backward_kernel,
        ):  # fmt: skip
            arguments = kernel.arg_names
            yield Configuration(
                f"{kernel.__name__.strip('_').removesuffix('_kernel')}-{dtype}-{'dense' if ndim == 1 else 'strided'}",
                kernel,
                {name: kind for name, kind in types.items() if name in arguments},
                {name: value for name, value in constants.items() if name in arguments},
                num_warps=WARPS,
                divisible=("numel", "stride_s") if ndim == 1 else (),
            )
