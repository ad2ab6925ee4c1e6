"""Theorems about derivatives of any image written out in coordinates: scaling, steering, rotation, sigma ladder."""

from fractions import Fraction
from itertools import combinations
from math import factorial

from .model import Given, Statement, Theorem, algebra, use
from .parameters import Parameters
from .written import (
    PLACE,
    POINT,
    Line,
    WrittenOut,
    dimensions,
    indexed,
    listed,
    multi_indices,
    product,
    raised,
    repeated,
    written,
)


def _label(index: tuple[int, ...]) -> str:
    return f"Multi-index ({listed([str(k) for k in index])})."


def scaled_function(theorem: Theorem, p: Parameters, ndim: int, order: int) -> WrittenOut:
    """Derivatives of F(x/S, y/S)."""
    points = POINT[:ndim]
    scaled = listed(points, after="/S")
    lines = [
        Line(
            f"{indexed('J', a)}({listed(points)}) == {product(raised('S', -order))}{indexed('F', a)}({scaled})",
            algebra(),
            f"{_label(a)} The chain rule brings 1/S a derivative.",
        )
        for a in multi_indices(ndim, order)
    ]
    variables = {"S": "positive", **dict.fromkeys(points, "real"), "F": "function"}
    statement = Statement(variables, (), {f"J({listed(points)})": f"F({scaled})"})
    words = f"Every derivative of total order {order} of F(x/S) in {dimensions(ndim)}, for an arbitrary F."
    return written(theorem, p, statement, lines, words=words)


def scaled_kernel(theorem: Theorem, p: Parameters, ndim: int, order: int) -> WrittenOut:
    """Derivatives of s^-N G((x - u)/s, (y - v)/s)."""
    points = POINT[:ndim]
    arguments = listed([f"({x} - {u})/s" for x, u in zip(points, PLACE, strict=False)])
    kernel = f"s**(-{ndim})*G({arguments})"
    lines = [
        Line(
            f"{f'D({kernel}, {listed(repeated(a, points))})' if order else kernel}"
            f" == s**(-{ndim + order})*{indexed('G', a)}({arguments})",
            algebra(),
            f"{_label(a)} The chain rule brings 1/s a derivative.",
        )
        for a in multi_indices(ndim, order)
    ]
    variables = {"s": "positive", **dict.fromkeys((*points, *PLACE[:ndim]), "real"), "G": "function"}
    words = f"Every derivative of total order {order} of the kernel in {dimensions(ndim)}, for any profile G."
    return written(theorem, p, Statement(variables, ()), lines, words=words)


def steering(theorem: Theorem, p: Parameters, ndim: int, order: int) -> WrittenOut:
    """The derivative along a direction as a combination of the Cartesian ones, with multinomial coefficients."""
    points = POINT[:ndim]
    direction = [f"c_{i}" for i in range(1, ndim + 1)]
    moved = listed([f"{x} + r*{c}" for x, c in zip(points, direction, strict=True)])
    terms = []
    for a in multi_indices(ndim, order):
        count = factorial(order)
        for k in a:
            count //= factorial(k)
        weights = [raised(c, k) for c, k in zip(direction, a, strict=True)]
        terms.append(f"{product(str(count), *weights)}{indexed('L', a)}({listed(points)})")
    left = f"D(L({moved}), {listed(['r'] * order)})" if order else f"L({moved})"
    line = Line(
        f"At({left}, r, 0) == {' + '.join(terms)}",
        algebra(),
        f"The derivative of order {order} along the direction ({listed(direction)}).",
    )
    variables = {"L": "function", **dict.fromkeys((*points, *direction, "r"), "real")}
    words = f"Directional derivatives of order {order} in {dimensions(ndim)} from Cartesian ones, for an arbitrary L."
    return written(theorem, p, Statement(variables, ()), [line], words=words)


def rotation(theorem: Theorem, p: Parameters, ndim: int) -> WrittenOut:
    """Laplacian and gradient length under a rotation of each coordinate plane (on the line: the reflection)."""
    points = POINT[:ndim]
    turns = {}
    for i, j in combinations(range(ndim), 2):
        turned = list(points)
        turned[i] = f"{points[i]}*cos(t) - {points[j]}*sin(t)"
        turned[j] = f"{points[i]}*sin(t) + {points[j]}*cos(t)"
        turns[f"Rotation of the plane of {points[i]} and {points[j]}"] = f"L({listed(turned)})"
    if ndim == 1:
        turns["The reflection"] = "L(-x)"
    lines = []
    units = [tuple(int(i == j) for j in range(ndim)) for i in range(ndim)]
    for name, image in turns.items():
        second = [image.replace("L(", f"{indexed('L', [2 * k for k in e])}(", 1) for e in units]
        first = [image.replace("L(", f"{indexed('L', e)}(", 1) for e in units]
        lines += [
            Line(
                f"{' + '.join(f'D({image}, {x}, {x})' for x in points)} == {' + '.join(second)}",
                algebra(),
                f"{name}: the Laplacian is that of L at the turned point.",
            ),
            Line(
                f"{' + '.join(f'D({image}, {x})**2' for x in points)} == {' + '.join(f'{f}**2' for f in first)}",
                algebra(),
                f"{name}: so is the squared length of the gradient.",
            ),
        ]
    variables = {"L": "function", **dict.fromkeys((*points, "t"), "real")}
    words = f"Rotations of the coordinate planes in {dimensions(ndim)}; every rotation is a product of them."
    return written(theorem, p, Statement(variables, ()), lines, words=words)


def ladder(theorem: Theorem, p: Parameters, ndim: int, order: int, norm_power: Fraction) -> WrittenOut:
    """S d/ds of s^(p m) d^a L in derivatives two orders higher."""
    points = POINT[:ndim]
    weight = order * norm_power
    at = f"({listed(points)}, s)"
    lines = []
    for a in multi_indices(ndim, order):
        higher = " + ".join(f"{indexed('L', [k + 2 * (i == j) for j, k in enumerate(a)])}{at}" for i in range(ndim))
        jet = f"{product(raised('s', weight))}{indexed('L', a)}{at}"
        own = f"({weight})*{jet} + " if weight else ""
        lines.append(
            Line(
                f"s*D({jet}, s) == {own}{raised('s', weight + 2)}*({higher})".replace("*1*(", "*("),
                algebra(use("given:diffusion", raised("s", weight + 1), " ".join(repeated(a, points)))),
                f"{_label(a)} The product rule, and the diffusion equation differentiated as often.",
            )
        )
    units = [[2 * (i == j) for j in range(ndim)] for i in range(ndim)]
    laplacian = " + ".join(f"{indexed('L', e)}{at}" for e in units)
    time = indexed("L", [*[0] * ndim, 1])
    statement = Statement(
        {"L": "function", **dict.fromkeys(points, "real"), "s": "positive"},
        (),
        {},
        {"diffusion": Given(f"{time}{at} == s*({laplacian})", (*points, "s"))},
    )
    words = (
        f"How the derivatives of total order {order}, normalised with s^({weight}), change with s in {ndim}"
        " dimension(s): with their order times the power, and with derivatives two orders higher."
    )
    return written(theorem, p, statement, lines, words=words)
