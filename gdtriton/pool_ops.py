"""Pooling over scale channels as PyTorch operators on GPU kernels: schemas, fakes, autograd. Imports no triton.

`scale_pool` and its adjoint `scale_pool_backward`; the adjoint is linear in its cotangent and differentiated through
plain PyTorch, so second and higher derivatives are exact. The torch path of `ScalePool` does not come here.
"""

from typing import Any

import torch
from torch import Tensor

from .ops import _differentiate_adjoint

WORD = 32
"""Bits in which a mean keeps which scale channels it saw."""

torch.library.define("gdtriton::scale_pool", "(Tensor features, str kind) -> (Tensor, Tensor)")
torch.library.define(
    "gdtriton::scale_pool_backward",
    "(Tensor grad, Tensor saved, Tensor? features, SymInt n_scales, str kind) -> Tensor",
)


def _pooled_like(features: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Memory for the result and for what backward keeps, dense, in the order of axes of the first scale channel."""
    values = torch.empty_like(features[0])
    if kind == "max":
        return values, torch.empty_like(values, dtype=torch.int32)
    if kind == "mean":
        n_words = (features.shape[0] + WORD - 1) // WORD
        return values, _stacked(values, n_words, torch.int32)
    if features.dtype == torch.float32:  # the result itself
        return values, values.new_empty(0)
    return values, torch.empty_like(values, dtype=torch.float32)


def _stacked(plane: Tensor, count: int, dtype: torch.dtype) -> Tensor:
    """Memory for `count` copies of a dense plane, one after the other."""
    shape, strides = (count, *plane.shape), (plane.numel(), *plane.stride())
    return torch.empty_strided(shape, strides, dtype=dtype, device=plane.device)


def _stack_like(grad: Tensor, saved: Tensor, n_scales: int, kind: str) -> Tensor:
    """Memory for the gradient of the stack: S outermost, then the order of axes of the result."""
    return _stacked(saved[0] if kind == "mean" else saved, n_scales, grad.dtype)


@torch.library.impl("gdtriton::scale_pool", "CompositeExplicitAutograd")
def _scale_pool(features: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    from .kernels.pool import launch_pool

    values, saved = _pooled_like(features, kind)
    launch_pool(features, values, saved, kind)
    return values, saved


@torch.library.impl("gdtriton::scale_pool_backward", "CompositeExplicitAutograd")
def _scale_pool_backward(grad: Tensor, saved: Tensor, features: Tensor | None, n_scales: int, kind: str) -> Tensor:
    from .kernels.pool import launch_pool_backward

    grad_features = _stack_like(grad, saved, n_scales, kind)
    launch_pool_backward(grad, saved, features, grad_features, kind)
    return grad_features


@torch.library.register_fake("gdtriton::scale_pool")
def _scale_pool_fake(features: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    return _pooled_like(features, kind)


@torch.library.register_fake("gdtriton::scale_pool_backward")
def _scale_pool_backward_fake(
    grad: Tensor, saved: Tensor, features: Tensor | None, n_scales: int, kind: str
) -> Tensor:  # fmt: skip
    return _stack_like(grad, saved, n_scales, kind)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    features, kind = inputs
    values, saved = output
    ctx.kind, ctx.n_scales = kind, features.shape[0]
    if kind == "logsumexp":
        ctx.save_for_backward(features, values if features.dtype == torch.float32 else saved)
    else:  # the stack is not kept
        ctx.save_for_backward(None, saved)
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, grad: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, None]:
    if grad is None:
        return None, None
    features, saved = ctx.saved_tensors
    return torch.ops.gdtriton.scale_pool_backward(grad, saved, features, ctx.n_scales, ctx.kind), None


torch.library.register_autograd("gdtriton::scale_pool", _backward, setup_context=_setup)


def _kept(saved: Tensor, n_scales: int) -> Tensor:
    """Which scale channels a mean saw, bool [S, ...], from the words of bits."""
    s = torch.arange(n_scales, device=saved.device)
    bit = (s % WORD).view(-1, *(1,) * (saved.ndim - 1))
    return ((saved[s // WORD] >> bit) & 1).bool()


def _adjoint_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    grad, saved, features, n_scales, kind = inputs
    ctx.kind, ctx.n_scales = kind, n_scales
    ctx.save_for_backward(grad, saved, features)
    ctx.set_materialize_grads(False)


def _adjoint_backward(ctx: Any, cotangent: Tensor | None) -> tuple[Tensor | None, ...]:
    """Gradients of <cotangent, adjoint(grad)>; log sum exp depends on the stack too."""
    none = (None,) * 5
    if cotangent is None:
        return none
    grad, saved, features = ctx.saved_tensors
    if ctx.kind == "max":
        return (cotangent.gather(0, saved[None].long()).squeeze(0), *none[1:])
    if ctx.kind == "mean":
        kept = _kept(saved, ctx.n_scales)
        total = torch.where(kept, cotangent, 0).sum(0, dtype=torch.float32)
        return ((total / kept.sum(0).clamp_min(1)).to(grad.dtype), *none[1:])
    # The float32 result is a function of the stack; all of the derivative goes to the stack.
    wide = [x.float() for x in (features, grad, cotangent)]
    grad_grad, grad_features = _differentiate_adjoint(lambda x: x.logsumexp(0), (wide[0],), wide[1], (wide[2],))
    assert grad_grad is not None
    assert grad_features is not None
    return (grad_grad.to(grad.dtype), None, grad_features.to(features.dtype), None, None)


torch.library.register_autograd("gdtriton::scale_pool_backward", _adjoint_backward, setup_context=_adjoint_setup)
