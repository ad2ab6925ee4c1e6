"""Checks of arguments: every message reads `function: argument must rule, got value; what to do`.

Rank first, then shape, then dtype and device, then values. Values of a tensor are read only on the CPU and never
under a compiler: a bad sigma on a GPU gives NaN instead of an error.
"""

import math
import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from .operators import BORDERS, has_spectrum
from .taps import DISCRETISATIONS

IMPLEMENTATIONS = ("reference", "torch", "triton")
MAX_ORDER = 6
MAX_KERNEL_AXES = 3
TRITON_INSTALLED = find_spec("triton") is not None
KERNEL_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def check_tensor(function: str, name: str, value: Any) -> Tensor:
    """`value` is a floating-point tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{function}: {name} must be a tensor, got {type(value).__name__}")
    if value.dtype not in FLOATS:
        raise TypeError(f"{function}: {name} must be a floating-point tensor, got {value.dtype}; use {name}.float()")
    return value


def check_choice(function: str, name: str, value: Any, choices: Sequence[str]) -> None:
    """`value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{function}: {name} must be one of {', '.join(choices)}, got {value!r}")


def check_integer(function: str, name: str, value: Any, low: int, high: int | None = None) -> None:
    """`value` is an integer in low .. high."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{function}: {name} must be an integer, got {value!r}")
    if value < low or (high is not None and value > high):
        limits = f">= {low}" if high is None else f"in {low} .. {high}"
        raise ValueError(f"{function}: {name} must be {limits}, got {value}")


def check_number(function: str, name: str, value: Any) -> None:
    """`value` is a finite real number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{function}: {name} must be a number, got {value!r}")
    if not torch.compiler.is_compiling() and not math.isfinite(value):
        raise ValueError(f"{function}: {name} must be finite, got {value}")


def check_flag(function: str, name: str, value: Any) -> None:
    """`value` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{function}: {name} must be True or False, got {value!r}")


def check_module(function: str, name: str, value: Any) -> None:
    """`value` is a module."""
    if not isinstance(value, torch.nn.Module):
        raise TypeError(f"{function}: {name} must be a module, got {value!r}")


def check_options(
    function: str, order: Any, zero_order: Any, norm_power: Any, discretisation: Any, border: Any, impl: Any
) -> None:  # fmt: skip
    """The keyword arguments shared by jets and jet layers."""
    check_flag(function, "zero_order", zero_order)
    check_integer(function, "order", order, 0 if zero_order else 1, MAX_ORDER)
    check_number(function, "norm_power", norm_power)
    check_choice(function, "discretisation", discretisation, DISCRETISATIONS)
    check_choice(function, "border", border, BORDERS)
    if impl is not None:
        check_choice(function, "impl", impl, IMPLEMENTATIONS)


def check_spatial(function: str, name: str, shape: Sequence[int], ndim: int) -> None:
    """The last ndim axes exist and are not empty."""
    if len(shape) < ndim:
        raise ValueError(f"{function}: {name} must have at least {ndim} axes [..., *spatial], got {list(shape)}")
    if any(n == 0 for n in shape[len(shape) - ndim :]):
        raise ValueError(f"{function}: {name} must not have an empty spatial axis, got {list(shape)}")


def sigma_tensor(function: str, sigma: Any, device: torch.device) -> Tensor:
    """`sigma` as a float32 or float64 tensor, its values checked where they can be read for nothing."""
    if isinstance(sigma, Tensor):
        tensor = check_tensor(function, "sigma", sigma)
        tensor = tensor.to(torch.promote_types(tensor.dtype, torch.float32))
        if tensor.device != device and tensor.device.type != "cpu":
            raise ValueError(
                f"{function}: sigma must be on {device} or the CPU, got {tensor.device}; "
                "move it with sigma.to(image.device)"
            )
    elif isinstance(sigma, Sequence) and not isinstance(sigma, str):
        for value in sigma:
            check_number(function, "sigma", value)
        tensor = torch.tensor(list(sigma), dtype=torch.float64)
    else:
        check_number(function, "sigma", sigma)
        tensor = torch.full((), sigma, dtype=torch.float64)
    if tensor.numel() == 0:
        raise ValueError(f"{function}: sigma must not be empty, got shape {list(tensor.shape)}")
    if not torch.compiler.is_compiling() and tensor.device.type == "cpu":
        values = tensor.detach()
        if not bool(((values > 0) & torch.isfinite(values)).all()):
            raise ValueError(f"{function}: sigma must be finite and > 0 (pixels), got {values.tolist()}")
    return tensor


def check_layer(
    function: str,
    features: Tensor,
    weight: Tensor,
    sigma: Tensor,
    bias: Tensor | None,
    order: int,
    zero_order: bool,
    groups: int,
) -> None:
    """Shapes and dtypes of a jet layer agree."""
    if features.ndim < 4:
        raise ValueError(
            f"{function}: features must have shape [S, B, C_in, *spatial], got {list(features.shape)}; "
            "for a single scale channel add an axis with features[None]"
        )
    ndim = features.ndim - 3
    check_spatial(function, "features", features.shape, ndim)
    if features.shape[0] == 0 or features.shape[2] == 0:
        raise ValueError(
            f"{function}: features must have at least one scale channel and one feature channel, "
            f"got {list(features.shape)}"
        )
    n_jet = math.comb(ndim + order, ndim) - (not zero_order)  # a compiler cannot look into the cache of jet_orders
    if weight.ndim != 3 or weight.shape[2] != n_jet:
        raise ValueError(
            f"{function}: weight must have shape [C_out, C_in / groups, J = {n_jet}] for order {order} in "
            f"{ndim} dimensions{'' if zero_order else ' without the zero order'}, got {list(weight.shape)}"
        )
    check_integer(function, "groups", groups, 1)
    c_out, c_in = weight.shape[0], features.shape[2]
    if c_out == 0 or c_out % groups or weight.shape[1] * groups != c_in:
        raise ValueError(
            f"{function}: weight must have shape [C_out, C_in / groups, J] with C_in = {c_in} and C_out a "
            f"multiple of groups = {groups}, got {list(weight.shape)}"
        )
    if bias is not None and bias.shape != (c_out,):
        raise ValueError(f"{function}: bias must have shape [C_out = {c_out}], got {list(bias.shape)}")
    n_scales = features.shape[0]
    # A list: the hash of a set would fix these sizes in a compiled graph.
    allowed = [(n_scales,), (n_scales, 1, 1), (n_scales, 1, c_in), (n_scales, c_out, 1)]
    if tuple(sigma.shape) not in allowed:
        raise ValueError(
            f"{function}: sigma must have shape [S = {n_scales}], [S, 1, C_in = {c_in}] or "
            f"[S, C_out = {c_out}, 1], got {list(sigma.shape)}"
        )
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is None:
            continue
        if tensor.dtype != features.dtype:
            raise TypeError(f"{function}: {name} must have the dtype of features, {features.dtype}, got {tensor.dtype}")
        if tensor.device != features.device:
            raise ValueError(
                f"{function}: {name} must be on the device of features, {features.device}, got {tensor.device}"
            )


def interpreting() -> bool:
    """Whether triton runs kernels in its interpreter, on CPU tensors."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def driven(device: torch.device) -> bool:
    """Whether triton makes kernels for a GPU: all of ROCm's, NVIDIA's from compute capability 8.0 on."""
    if torch.version.hip is not None or not torch.cuda.is_available():  # without a GPU the tensor is a fake of one
        return True
    return bool(torch.cuda.get_device_properties(device).major >= 8)


def kernels_run(image: Tensor) -> bool:
    """Whether triton kernels take a tensor: float32 or narrower, on a GPU that triton drives, and it is installed."""
    return image.is_cuda and image.dtype in KERNEL_DTYPES and TRITON_INSTALLED and driven(image.device)


def resolve_implementation(function: str, impl: str | None, image: Tensor, ndim: int) -> str:
    """Which implementation runs: triton where it can and nothing was asked for, else torch.

    "triton" where it cannot run is an error, never another implementation; on the CPU it runs in triton's interpreter.
    """
    if impl is None:
        return "triton" if kernels_run(image) and ndim <= MAX_KERNEL_AXES else "torch"
    if impl != "triton":
        return impl
    instead = f"{function}: impl must be 'torch' or 'reference' for"
    if not image.is_cuda and not interpreting():
        raise ValueError(
            f"{instead} a tensor on {image.device}, got 'triton'; triton kernels need a tensor on a GPU, "
            "or TRITON_INTERPRET=1 for triton's interpreter"
        )
    if image.dtype not in KERNEL_DTYPES:
        raise TypeError(f"{instead} {image.dtype}, got 'triton'; the kernels take float32, bfloat16 and float16")
    if ndim > MAX_KERNEL_AXES:
        raise ValueError(f"{instead} {ndim} spatial axes, got 'triton'; the kernels take 1, 2 or 3")
    if not TRITON_INSTALLED:
        raise ValueError(f"{function}: impl must be 'torch' or 'reference', got 'triton'; pip install triton")
    if image.is_cuda and not driven(image.device):
        raise ValueError(f"{instead} {image.device}, got 'triton'; triton needs compute capability 8.0 or newer")
    return impl


def spectral_sigma(sigma: Tensor, discretisation: str, border: str) -> bool:
    """Whether one call handles this shape of sigma: always, but per channel only in the spectral form."""
    return sigma.ndim == 1 or has_spectrum(discretisation, border)
