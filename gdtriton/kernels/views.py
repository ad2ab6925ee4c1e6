"""How the axis kernels see memory: one axis of length n, vectors along another, everything else outside.

Features are [S, B, C, *spatial] with any strides. An axis kernel multiplies along one spatial axis ("n") and runs
over vectors of a second axis ("v"); the third spatial axis ("i"), B and C are outer indices. In one dimension the
vectors run over C.
"""

from typing import NamedTuple

from torch import Tensor


class AxisView(NamedTuple):
    """Sizes and strides, in elements, of a tensor as an axis kernel sees it."""

    n_outer: int  # B
    n_channels: int  # C, 1 where the vectors run over it
    n_inner: int
    n_vectors: int
    strides: tuple[int, int, int, int, int, int]  # s, b, c, i, n, v


def inner_and_vector_axes(ndim: int, axis: int) -> tuple[int | None, int | None]:
    """Spatial axes "i" and "v" for a product along spatial `axis`; None where there is none."""
    others = [k for k in range(ndim) if k != axis]
    vector = others[-1] if others else None
    inner = others[0] if len(others) == 2 else None
    return inner, vector


def axis_view(tensor: Tensor, axis: int) -> AxisView:
    """View [S, B, C, *spatial] for a product along spatial `axis`."""
    ndim = tensor.ndim - 3
    size, stride = tensor.shape, tensor.stride()
    inner, vector = inner_and_vector_axes(ndim, axis)
    if vector is None:
        return AxisView(size[1], 1, 1, size[2], (stride[0], stride[1], 0, 0, stride[3], stride[2]))
    n_inner, stride_inner = (1, 0) if inner is None else (size[3 + inner], stride[3 + inner])
    return AxisView(
        size[1], size[2], n_inner, size[3 + vector],
        (stride[0], stride[1], stride[2], stride_inner, stride[3 + axis], stride[3 + vector]),
    )  # fmt: skip
