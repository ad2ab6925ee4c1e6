"""Translation, reflection and rotation by 90 degrees on the grid: exact symmetries of every layer, borders included.

A reflection maps pixels to pixels and the border's extension to itself, so with the weights of odd derivatives along
the reflected axis negated, T' R f = R T f up to rounding; exchanging two axes exchanges their orders. A rotation by 90
degrees is an exchange and a reflection. A translation by whole pixels is exact for a circular border. Everything
between the layers (activations, normalisations, read-outs) must not care where it is: that is what these assertions
are about.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..layers import _GaussianJetConv
from .arithmetic import rounding_bound
from .images import AnalyticImage
from .numeric import arithmetic_floors
from .observe import Observation, observe

Move = Callable[[Tensor], Tensor]
Change = Callable[[_GaussianJetConv], None]


def steer(layer: _GaussianJetConv, axes: Sequence[int], reflected: Sequence[int]) -> None:
    """Change a layer's weights so that it does on moved images what it did before.

    Args:
        layer: The layer; changed in place.
        axes: New axis i is old axis axes[i].
        reflected: New axes that run backwards.
    """
    orders = layer.orders
    index = [orders.index(_old(a, axes)) for a in orders]
    signs = [(-1.0) ** sum(a[axis] for axis in reflected) for a in orders]
    with torch.no_grad():
        layer.weight.copy_(layer.weight[..., index] * layer.weight.new_tensor(signs))


def _old(a: tuple[int, ...], axes: Sequence[int]) -> tuple[int, ...]:
    """Order along the old axes of what has order `a` along the new ones."""
    old = [0] * len(a)
    for new, axis in enumerate(axes):
        old[axis] = a[new]
    return tuple(old)


def _move(axes: Sequence[int], reflected: Sequence[int]) -> Move:
    ndim = len(axes)

    def move(values: Tensor) -> Tensor:
        first = values.ndim - ndim
        permuted = values.permute(*range(first), *(first + axis for axis in axes))
        return permuted.flip([first + axis for axis in reflected]) if reflected else permuted

    return move


def assert_reflection_covariant(
    module: nn.Module, input_shape: Sequence[int], axis: int = -1, *, image: AnalyticImage | None = None
) -> None:
    """Raise AssertionError unless the network with negated odd derivatives answers a mirrored image with the mirror.

    Args:
        module: A network with a `ScaleLift`.
        input_shape: [B, C, *spatial].
        axis: Spatial axis that is reversed.
        image: By default random blobs.
    """
    ndim = len(input_shape) - 2
    _assert_moved(module, input_shape, range(ndim), [axis % ndim], image, f"reflection of axis {axis % ndim}")


def assert_rotation_covariant(
    module: nn.Module,
    input_shape: Sequence[int],
    plane: tuple[int, int] = (-2, -1),
    *,
    image: AnalyticImage | None = None,
) -> None:
    """Raise AssertionError unless the network with rotated derivatives answers an image turned by 90 degrees turned.

    Args:
        module: A network with a `ScaleLift`.
        input_shape: [B, C, *spatial], two or three spatial axes.
        plane: The two spatial axes; of the turned image the second runs backwards.
        image: By default random blobs.

    Raises:
        ValueError: For one spatial axis.
    """
    ndim = len(input_shape) - 2
    if ndim < 2:
        raise ValueError(f"rotation: input_shape must have two spatial axes or more, got {list(input_shape)}")
    a, b = (axis % ndim for axis in plane)
    axes = list(range(ndim))
    axes[a], axes[b] = b, a
    _assert_moved(module, input_shape, axes, [b], image, f"rotation of axes {a} and {b}")


def assert_translation_covariant(
    module: nn.Module, input_shape: Sequence[int], shift: int = 1, *, image: AnalyticImage | None = None
) -> None:
    """Raise AssertionError unless features move with the image, by whole pixels along the last axis, around the border.

    The border of every jet layer is made circular for it, so that no pixel is special. What stands between the layers
    must not care where it is either; the output is not compared (a centre read-out rightly changes).

    Args:
        module: A network with a `ScaleLift`.
        input_shape: [B, C, *spatial].
        shift: Pixels.
        image: By default random blobs.
    """

    def change(layer: _GaussianJetConv) -> None:
        layer.border = "circular"

    def move(values: Tensor) -> Tensor:
        return values.roll(shift, -1)

    sampled = (image or AnalyticImage.random(len(input_shape) - 2)).sample(input_shape)
    plain, _ = observe(module, sampled, change)
    moved, _ = observe(module, move(sampled), change)
    floors = arithmetic_floors(plain, truncation=False)
    for path, one in plain.items():
        # Features on another grid move by another number of pixels.
        if one.features.shape[-1] != input_shape[-1] or one.output.shape[-1] != input_shape[-1]:
            continue
        name = f"translation by {shift}"
        _alone(moved[path], one, move, name, path)
        _compare(moved[path].output, move(one.output), floors[path], name, path)


def _assert_moved(
    module: nn.Module,
    input_shape: Sequence[int],
    axes: Sequence[int],
    reflected: Sequence[int],
    image: AnalyticImage | None,
    name: str,
) -> None:
    move = _move(axes, reflected)
    sampled = (image or AnalyticImage.random(len(input_shape) - 2)).sample(input_shape)

    def change(layer: _GaussianJetConv) -> None:
        steer(layer, axes, reflected)

    plain, output = observe(module, sampled)
    moved, moved_output = observe(module, move(sampled), change)
    floors = arithmetic_floors(plain, truncation=False)
    for path, one in plain.items():
        _alone(moved[path], one, move, name, path)
        _compare(moved[path].output, move(one.output), floors[path], name, path)
    spatial = len(axes)
    if isinstance(output, Tensor):
        keeps = output.ndim >= spatial + 2 and tuple(output.shape[-spatial:]) == tuple(input_shape[2:])
        floor = max(floors.values(), default=0.0)
        features = max((float(one.output.abs().max()) for one in plain.values()), default=1.0)
        size = float(output.abs().max()) or 1.0
        _compare(moved_output, move(output) if keeps else output, floor * max(1.0, features / size), name, "output")


def _alone(moved: Observation, plain: Observation, move: Move, name: str, path: str) -> None:
    """The steered layer on moved features, within its rounding bound."""
    actual, expected = moved.again(move(plain.features)), move(plain.output)
    for i in range(len(expected)):
        size = float(plain.features[i].abs().max())
        bound = 2 * rounding_bound(plain.layer, size, plain.sigma(i), plain.spatial, truncation=False)
        error = float((actual[i] - expected[i]).abs().max())
        if not error <= bound:
            raise AssertionError(
                f"{name}: layer {path} alone differs by {error:.3g} in scale channel {i}, {error / bound:.3g} times "
                "its bound"
            )


def _compare(actual: Tensor, expected: Tensor, floor: float, name: str, path: str) -> None:
    if actual.shape != expected.shape:
        raise AssertionError(f"{name}: {path} has shape {list(actual.shape)} instead of {list(expected.shape)}")
    size = float(expected.abs().max()) or 1.0
    error = float((actual - expected).abs().max()) / size
    if not error <= floor:
        raise AssertionError(f"{name}: {path} differs by {error:.3g} of its size, rounding explains {floor:.3g}")
