"""Theorems about the Gaussian written out in coordinates: diffusion, mass, transform, semigroup, Hermite, N-jet."""

from .continuous import GAUSS_1
from .model import Statement, Theorem, algebra, use
from .parameters import Parameters
from .written import (
    POINT,
    Line,
    WrittenOut,
    dimensions,
    hermite,
    listed,
    multi_indices,
    product,
    raised,
    repeated,
    written,
)

GENERAL = "The Gaussian of the plane, or of space, is the product of those on the axes."


def _square(names: tuple[str, ...]) -> str:
    return " + ".join(f"{x}**2" for x in names)


def _gaussian(points: tuple[str, ...]) -> dict[str, str]:
    ndim = len(points)
    return {f"g({listed(points)}, s)": f"(2*pi*s**2)**(-{ndim}/2)*exp(-({_square(points)})/(2*s**2))"}


def diffusion(theorem: Theorem, p: Parameters, ndim: int) -> WrittenOut:
    """D g/D s = s (g_xx + g_yy + ...)."""
    points = POINT[:ndim]
    g = f"g({listed(points)}, s)"
    lines = [
        Line(f"D({g}, {x}, {x}) == ({x}**2/s**4 - 1/s**2)*{g}", algebra(), f"Second derivative along {x}.", False)
        for x in points
    ]
    lines += [
        Line(
            f"D({g}, s) == (({_square(points)})/s**3 - {ndim}/s)*{g}",
            algebra(),
            "Derivative in the standard deviation.",
            False,
        ),
        Line(
            f"D({g}, s) == s*({' + '.join(f'D({g}, {x}, {x})' for x in points)})",
            algebra(),
            "It is s times the sum of the second derivatives.",
        ),
    ]
    variables = {"s": "positive", **dict.fromkeys(points, "real")}
    words = f"The Gaussian in {dimensions(ndim)}, in coordinates: its derivative in s is s times its Laplacian."
    return written(theorem, p, Statement(variables, (), _gaussian(points)), lines, words=words)


def unit_mass(theorem: Theorem, p: Parameters, ndim: int) -> WrittenOut:
    """The product of the integrals over the axes is one."""
    points = POINT[:ndim]
    mass = "Int(g1(u, s), u, 1)"
    powers = [raised(mass, k) for k in range(ndim)]
    lines = [
        Line(
            f"{'*'.join(f'g1({x}, s)' for x in points)} == g({listed(points)}, s)",
            algebra(),
            "The Gaussian is the product of those on the axes, so its integral is the product of the integrals.",
            False,
        ),
        Line(f"{raised(mass, ndim)} == 1", algebra(use("unit-mass/1", " + ".join(powers))), "Each of them is one."),
    ]
    variables = {"s": "positive", **dict.fromkeys(points, "real")}
    statement = Statement(variables, (), {**GAUSS_1, **_gaussian(points)})
    words = f"The Gaussian in {dimensions(ndim)} integrates to one; by Fubini its integral is a product."
    return written(theorem, p, statement, lines, ("fubini",), ("unit-mass",), words)


def fourier(theorem: Theorem, p: Parameters, ndim: int) -> WrittenOut:
    """The product of the transforms over the axes is exp(-s^2 |w|^2/2)."""
    names = [f"w_{i}" for i in range(1, ndim + 1)] if ndim > 1 else ["w"]
    transforms = [f"Int(g1(x, s)*cos({w}*x), x, 1)" for w in names]
    results = [f"exp(-s**2*{w}**2/2)" for w in names]
    uses = [
        use("fourier-transform/1", "*".join([*transforms[k + 1 :], *results[: k + 1]]), w=w)
        for k, w in enumerate(names)
    ]
    squares = _square(tuple(names))
    line = Line(
        f"{'*'.join(transforms)} == exp(-s**2*({squares})/2)",
        algebra(*uses),
        "By Fubini the transform is the product of those along the axes; replace one after the other.",
    )
    statement = Statement({"s": "positive", **dict.fromkeys(names, "real"), "x": "real"}, (), GAUSS_1)
    words = f"The Fourier transform of the Gaussian in {dimensions(ndim)}, with frequency {', '.join(names)}."
    axioms = () if ndim == 1 else ("fubini",)
    return written(theorem, p, statement, [line], axioms, ("fourier-transform",), words)


def semigroup(theorem: Theorem, p: Parameters, ndim: int) -> WrittenOut:
    """Completing the square in coordinates, the constants, and the transforms."""
    points = POINT[:ndim]
    shifts = ("u", "v", "w")[:ndim]
    both = "(a**2 + b**2)"
    pairs = list(zip(points, shifts, strict=True))
    left = " + ".join(f"({x} - {u})**2/(2*a**2) + {u}**2/(2*b**2)" for x, u in pairs)
    right = f"({_square(points)})/(2*{both})" + "".join(
        f" + {both}/(2*a**2*b**2)*({u} - {x}*b**2/{both})**2" for x, u in pairs
    )
    frequencies = _square(tuple(f"w_{i}" for i in range(1, ndim + 1)))
    lines = [
        Line(f"{left} == {right}", algebra(), "Complete the square in the variable of integration, on every axis."),
        Line(
            f"(2*pi*a**2)**(-{ndim}/2)*(2*pi*b**2)**(-{ndim}/2)"
            f" == (2*pi*{both})**(-{ndim}/2)*(2*pi*a**2*b**2/{both})**(-{ndim}/2)",
            algebra(),
            "The constants are those of a Gaussian of a^2 + b^2 and of one that integrates to 1.",
        ),
        Line(
            f"exp(-a**2*({frequencies})/2)*exp(-b**2*({frequencies})/2) == exp(-{both}*({frequencies})/2)",
            algebra(),
            "The same in frequencies.",
        ),
    ]
    real = [*points, *shifts, *(f"w_{i}" for i in range(1, ndim + 1))]
    variables = {"a": "positive", "b": "positive", **dict.fromkeys(real, "real")}
    words = f"Smoothing with a and then with b is smoothing with sqrt(a^2 + b^2), in {dimensions(ndim)}."
    axioms = () if ndim == 1 else ("fubini",)
    return written(theorem, p, Statement(variables, ()), lines, axioms, (), words)


def _polynomials(order: int) -> dict[str, str]:
    return {f"H_{k}(y)": hermite(k, "y", 2) for k in range(order + 1)}


def hermite_derivative(theorem: Theorem, p: Parameters, order: int) -> WrittenOut:
    """The recursion gives the polynomials; their derivatives are 2 m H_(m-1)."""
    lines = [
        Line(
            f"H_{k + 1}(y) == 2*y*H_{k}(y)" + (f" - {2 * k}*H_{k - 1}(y)" if k else ""),
            algebra(),
            f"The recursion gives the polynomial of order {k + 1}.",
            False,
        )
        for k in range(order)
    ]
    right = f"{2 * order}*H_{order - 1}(y)" if order else "0"
    lines.append(Line(f"D(H_{order}(y), y) == {right}", algebra(), "Its derivative."))
    words = f"The Hermite polynomials up to order {order}, explicitly, and the derivative of the last."
    return written(theorem, p, Statement({"y": "real"}, (), _polynomials(order)), lines, words=words)


def njet(theorem: Theorem, p: Parameters, ndim: int, order: int) -> WrittenOut:
    """Derivatives of the Gaussian as explicit Hermite polynomials times the Gaussian."""
    points = POINT[:ndim]
    lines = []
    g = f"g({listed(points)}, s)"
    for k in range(1, order + 1):
        lines.append(
            Line(
                f"D((-1/(s*2**(1/2)))**{k - 1}*H_{k - 1}(x/(s*2**(1/2)))*g1(x, s), x)"
                f" == (-1/(s*2**(1/2)))**{k}*H_{k}(x/(s*2**(1/2)))*g1(x, s)",
                algebra(),
                f"On the line, from order {k - 1} to order {k}.",
                False,
            )
        )
    for a in multi_indices(ndim, order):
        polynomial = product(*(f"H_{k}({x}/(s*2**(1/2)))" for k, x in zip(a, points, strict=True) if k))
        left = f"D({g}, {listed(repeated(a, points))})" if order else g
        lines.append(
            Line(
                f"{left} == {product(raised('(-1/(s*2**(1/2)))', order))}{polynomial}{g}",
                algebra(),
                f"Multi-index ({listed([str(k) for k in a])}).",
            )
        )
    variables = {"s": "positive", **dict.fromkeys(points, "real")}
    definitions = {**GAUSS_1, **_gaussian(points), **_polynomials(order)}
    words = f"Every derivative of total order {order} of the Gaussian in {dimensions(ndim)}, with explicit polynomials."
    return written(theorem, p, Statement(variables, (), definitions), lines, words=words)


def self_similarity(theorem: Theorem, p: Parameters, ndim: int) -> WrittenOut:
    """S^N g(S x; S s) = g(x; s) in coordinates."""
    points = POINT[:ndim]
    line = Line(
        f"{raised('S', ndim)}*g({listed(points, 'S*')}, S*s) == g({listed(points)}, s)",
        algebra(),
        "S leaves the exponent, and its power in the constant is that of the volume.",
    )
    variables = {"S": "positive", "s": "positive", **dict.fromkeys(points, "real")}
    words = f"The Gaussian in {dimensions(ndim)}, in coordinates."
    return written(theorem, p, Statement(variables, (), _gaussian(points)), [line], words=words)
