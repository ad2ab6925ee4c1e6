"""The operators as PyTorch sees them: schemas, fakes and autograd. Imports no triton.

Two pairs: `jet_conv` with its adjoint, `gaussian_jet` with its adjoint. Each takes the implementation by name
("torch", "triton"), so that eager mode, torch.compile and torch.export see one opaque node whatever runs. The gradient
of an adjoint is differentiated through the reference, which is plain PyTorch: second and higher derivatives are
exact.
"""

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from . import composed, reference
from .axes import Layer
from .operators import jet_orders
from .reference import compute_dtype, without_autocast
from .saved import empty_output, saved_shape

_LAYER = "int order, bool zero_order, int groups, float norm_power, str discretisation, str border, str impl"
_JET = "int ndim, int order, bool zero_order, float norm_power, str discretisation, str border, str impl"
torch.library.define(
    "gdtriton::jet_conv",
    f"(Tensor features, Tensor weight, Tensor sigma, Tensor? bias, {_LAYER}) -> (Tensor, Tensor)",
)
torch.library.define(
    "gdtriton::jet_conv_backward",
    "(Tensor grad_output, Tensor features, Tensor saved, Tensor weight, Tensor sigma, bool[] needs, "
    f"{_LAYER}) -> (Tensor, Tensor, Tensor)",
)
torch.library.define("gdtriton::gaussian_jet", f"(Tensor image, Tensor sigma, {_JET}) -> Tensor")
torch.library.define(
    "gdtriton::gaussian_jet_backward",
    f"(Tensor grad_jets, Tensor image, Tensor sigma, bool[] needs, {_JET}) -> (Tensor, Tensor)",
)


def _backend(impl: str, file: str) -> Any:
    """The module behind an implementation; a file of the kernels is imported by its first call."""
    return import_module(f".kernels.{file}", __package__) if impl == "triton" else composed


@torch.library.impl("gdtriton::jet_conv", "CompositeExplicitAutograd")
def _jet_conv(
    features: Tensor, weight: Tensor, sigma: Tensor, bias: Tensor | None, *static: Any
) -> tuple[Tensor, Tensor]:
    *layer, impl = static
    with without_autocast(features.device):
        result: tuple[Tensor, Tensor] = _backend(impl, "layer").jet_conv(features, weight, sigma, bias, Layer(*layer))
    return result


@torch.library.impl("gdtriton::jet_conv_backward", "CompositeExplicitAutograd")
def _jet_conv_backward(
    grad_output: Tensor,
    features: Tensor,
    saved: Tensor,
    weight: Tensor,
    sigma: Tensor,
    needs: list[bool],
    *static: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    *layer, impl = static
    with without_autocast(features.device):
        result: tuple[Tensor, Tensor, Tensor] = _backend(impl, "layer").jet_conv_backward(
            grad_output, features, saved, weight, sigma, Layer(*layer), tuple(needs)
        )
    return result


def _jet_layer(static: tuple[Any, ...]) -> tuple[Layer, str]:
    """The static arguments of a jet after ndim, as a layer of one group, and the implementation."""
    order, zero_order, norm_power, discretisation, border, impl = static
    return Layer(order, zero_order, 1, norm_power, discretisation, border), impl


@torch.library.impl("gdtriton::gaussian_jet", "CompositeExplicitAutograd")
def _gaussian_jet(image: Tensor, sigma: Tensor, ndim: int, *static: Any) -> Tensor:
    layer, impl = _jet_layer(static)
    with without_autocast(image.device):
        result: Tensor = _backend(impl, "jet").gaussian_jet(image, sigma, ndim, layer)
    return result


@torch.library.impl("gdtriton::gaussian_jet_backward", "CompositeExplicitAutograd")
def _gaussian_jet_backward(
    grad_jets: Tensor, image: Tensor, sigma: Tensor, needs: list[bool], ndim: int, *static: Any
) -> tuple[Tensor, Tensor]:
    layer, impl = _jet_layer(static)
    with without_autocast(image.device):
        result: tuple[Tensor, Tensor] = _backend(impl, "jet").gaussian_jet_backward(
            grad_jets, image, sigma, ndim, layer, (needs[0], needs[1])
        )
    return result


@torch.library.register_fake("gdtriton::jet_conv")
def _jet_conv_fake(
    features: Tensor, weight: Tensor, sigma: Tensor, bias: Tensor | None, *static: Any
) -> tuple[Tensor, Tensor]:
    *layer, impl = static
    saved = features.new_empty(saved_shape(features, Layer(*layer), impl), dtype=compute_dtype(features.dtype))
    return empty_output(features, weight.shape[0], impl), saved


@torch.library.register_fake("gdtriton::jet_conv_backward")
def _jet_conv_backward_fake(
    grad_output: Tensor,
    features: Tensor,
    saved: Tensor,
    weight: Tensor,
    sigma: Tensor,
    needs: list[bool],
    *static: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    grad_weight = weight.new_empty(weight.shape)
    return (
        empty_output(features, features.shape[2], static[-1]),
        grad_weight,
        sigma.new_empty(sigma.shape),
    )


@torch.library.register_fake("gdtriton::gaussian_jet")
def _gaussian_jet_fake(image: Tensor, sigma: Tensor, ndim: int, *static: Any) -> Tensor:
    order, zero_order = static[:2]
    lead, spatial = image.shape[: image.ndim - ndim], image.shape[image.ndim - ndim :]
    n_jet = len(jet_orders(ndim, order, zero_order=zero_order))
    return image.new_empty((sigma.shape[0], *lead, n_jet, *spatial))


@torch.library.register_fake("gdtriton::gaussian_jet_backward")
def _gaussian_jet_backward_fake(
    grad_jets: Tensor, image: Tensor, sigma: Tensor, needs: list[bool], *static: Any
) -> tuple[Tensor, Tensor]:
    return image.new_empty(image.shape), sigma.new_empty(sigma.shape)


def _differentiate_adjoint(
    function: Any, inputs: tuple[Tensor, ...], grad: Tensor, cotangents: tuple[Tensor | None, ...]
) -> tuple[Tensor | None, ...]:
    """Gradients, in (grad, *inputs), of sum_i <cotangent_i, i-th vector-Jacobian product of function>."""
    if all(cotangent is None for cotangent in cotangents):
        return (None,) * (len(inputs) + 1)
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad(), without_autocast(grad.device):
        # Nodes of their own: `grad` may itself depend on the inputs, and that path is not ours to follow.
        tracked = [
            x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_() for x in (grad, *inputs)
        ]
        output = function(*tracked[1:])
        products = torch.autograd.grad(output, tracked[1:], tracked[0], create_graph=True, materialize_grads=True)
        terms = [
            (product * cotangent).sum()
            for product, cotangent in zip(products, cotangents, strict=True)
            if cotangent is not None
        ]
        total = torch.stack([term.to(torch.float64) for term in terms]).sum()
        return torch.autograd.grad(total, tracked, create_graph=create_graph, materialize_grads=True)


def _layer_options(static: tuple[Any, ...]) -> dict[str, Any]:
    names = ("order", "zero_order", "groups", "norm_power", "discretisation", "border")
    return dict(zip(names, static, strict=False))


def _jet_conv_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    features, weight, sigma, bias, *static = inputs
    ctx.static, ctx.has_bias = tuple(static), bias is not None
    ctx.save_for_backward(features, output[1], weight, sigma)
    ctx.set_materialize_grads(False)


def _jet_conv_autograd(ctx: Any, grad_output: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
    none = (None,) * len(ctx.static)
    if grad_output is None:
        return (None, None, None, None, *none)
    features, saved, weight, sigma = ctx.saved_tensors
    needs = list(ctx.needs_input_grad[:3])
    grads: tuple[Tensor | None, ...] = (None, None, None)
    if any(needs):
        values = torch.ops.gdtriton.jet_conv_backward(grad_output, features, saved, weight, sigma, needs, *ctx.static)
        grads = tuple(g if need else None for g, need in zip(values, needs, strict=True))
    grad_bias = None
    if ctx.has_bias and ctx.needs_input_grad[3]:
        axes = [i for i in range(grad_output.ndim) if i != 2]
        dtype = compute_dtype(grad_output.dtype)
        grad_bias = grad_output.sum(axes, dtype=dtype).to(grad_output.dtype)
    return (*grads, grad_bias, *none)


torch.library.register_autograd("gdtriton::jet_conv", _jet_conv_autograd, setup_context=_jet_conv_setup)


def _jet_conv_backward_setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    grad_output, features, _, weight, sigma, _, *static = inputs
    ctx.static = tuple(static)
    ctx.save_for_backward(grad_output, features, weight, sigma)
    ctx.set_materialize_grads(False)


def _jet_conv_backward_autograd(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
    grad_output, *inputs = ctx.saved_tensors
    options = _layer_options(ctx.static)

    def layer(features: Tensor, weight: Tensor, sigma: Tensor) -> Tensor:
        return reference.jet_conv(features, weight, sigma, None, **options)

    grad, features, weight, sigma = _differentiate_adjoint(layer, tuple(inputs), grad_output, cotangents)
    return (grad, features, None, weight, sigma, None, *(None,) * len(ctx.static))


torch.library.register_autograd(
    "gdtriton::jet_conv_backward",
    _jet_conv_backward_autograd,
    setup_context=_jet_conv_backward_setup,
)


def _gaussian_jet_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    image, sigma, *static = inputs
    ctx.static = tuple(static)
    ctx.save_for_backward(image, sigma)
    ctx.set_materialize_grads(False)


def _gaussian_jet_autograd(ctx: Any, grad_jets: Tensor | None) -> tuple[Tensor | None, ...]:
    if grad_jets is None:
        return (None, None, *(None,) * len(ctx.static))
    image, sigma = ctx.saved_tensors
    needs = list(ctx.needs_input_grad[:2])
    grads = torch.ops.gdtriton.gaussian_jet_backward(grad_jets, image, sigma, needs, *ctx.static)
    kept = tuple(g if need else None for g, need in zip(grads, needs, strict=True))
    return (*kept, *(None,) * len(ctx.static))


torch.library.register_autograd("gdtriton::gaussian_jet", _gaussian_jet_autograd, setup_context=_gaussian_jet_setup)


def _gaussian_jet_backward_setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    grad_jets, image, sigma, _, *static = inputs
    ctx.static = tuple(static)
    ctx.save_for_backward(grad_jets, image, sigma)
    ctx.set_materialize_grads(False)


def _gaussian_jet_backward_autograd(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
    grad_jets, *inputs = ctx.saved_tensors
    ndim, order, zero_order, norm_power, discretisation, border, _ = ctx.static

    def jets(image: Tensor, sigma: Tensor) -> Tensor:
        return reference.jet(
            image, sigma, order, ndim=ndim, zero_order=zero_order, norm_power=norm_power,
            discretisation=discretisation, border=border,
        )  # fmt: skip

    grad, image, sigma = _differentiate_adjoint(jets, tuple(inputs), grad_jets, cotangents)
    return (grad, image, sigma, None, *(None,) * len(ctx.static))


torch.library.register_autograd(
    "gdtriton::gaussian_jet_backward",
    _gaussian_jet_backward_autograd,
    setup_context=_gaussian_jet_backward_setup,
)
