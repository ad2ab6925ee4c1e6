"""Strided tensors as few axes as possible: what launchers hand to kernels that go over elements one by one."""

from torch import Tensor


def dense_axes(dense: Tensor, *strided: Tensor) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Axes of a dense tensor in the order of its memory, innermost first, merged where every tensor allows it.

    Args:
        dense: A tensor whose elements fill its memory without gaps, in any order of axes.
        strided: Tensors of the same shape with any strides.

    Returns:
        Sizes, and for each strided tensor its strides. Element i of the dense memory has the coordinates
        i % sizes[0], i // sizes[0] % sizes[1] and so on.
    """
    axes = [a for a in range(dense.ndim) if dense.shape[a] != 1]
    axes.sort(key=dense.stride)
    merged: list[tuple[int, list[int]]] = []
    for axis in axes:
        size, steps = dense.shape[axis], [x.stride(axis) for x in strided]
        if merged:
            inner, inner_steps = merged[-1]
            if all(step == inner * own for step, own in zip(steps, inner_steps, strict=True)):
                merged[-1] = (inner * size, inner_steps)
                continue
        merged.append((size, steps))
    if not merged:
        merged = [(1, [1] * len(strided))]
    sizes = tuple(size for size, _ in merged)
    return sizes, tuple(tuple(steps[k] for _, steps in merged) for k in range(len(strided)))
