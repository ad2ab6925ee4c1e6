"""Scale covariance written out for a dimension, an order and a normalisation power.

Explicit multi-indices, explicit Hermite polynomials, iterated integrals: every line is a claim of its own that the
prover and the checker decide.
"""

from collections.abc import Sequence
from fractions import Fraction

from .continuous2 import THEOREMS
from .model import Refutation, Statement, Theorem, algebra, use
from .parameters import Parameters
from .written import (
    PLACE,
    POINT,
    Explicit,
    Line,
    hermite,
    indexed,
    iterated,
    listed,
    multi_indices,
    product,
    raised,
    repeated,
    written,
)

SUBSTITUTION = ("change-of-variables", "change-of-variables-plane", "change-of-variables-space")
FACTOR = next(t for t in THEOREMS if t.id == "normalisation-factor")


def _kernel(index: Sequence[int], points: Sequence[str], places: Sequence[str], sigma: str) -> str:
    factors = []
    for k, x, u in zip(index, points, places, strict=True):
        factors.append(f"{indexed('K', (k,))}(({x} - {u})/{sigma})")
    return "*".join(factors)


def factor_written_out(theorem: Theorem, p: Parameters, ndim: int, order: int, norm_power: Fraction) -> Explicit:
    """(S s)^(m p) d^a L'(S x; S s) = S^(m (p - 1)) s^(m p) d^a L(x; s) for every a of total order m."""
    points, places = POINT[:ndim], PLACE[:ndim]
    scaled = listed(points, "S*")
    zero = (0,) * ndim
    definitions = {"G_0(r)": "(2*pi)**(-1/2)*exp(-r**2/2)"}
    for k in range(1, order + 1):
        sign = "-" if k % 2 else ""
        definitions[f"G_{k}(r)"] = f"{sign}({hermite(k, 'r')})*G_0(r)"
    image = f"f({listed(places)})"
    resized = f"f({listed(places, after='/S')})"
    for name, argument in (("L", image), ("Lp", resized)):
        kernel = _kernel(zero, points, places, "s")
        definitions[f"{name}({listed(points)}, s)"] = f"s**(-{ndim})*" + iterated(f"{argument}*{kernel}", places)
    lines = []
    for k in range(1, order + 1):
        lines.append(
            Line(
                f"D(G_{k - 1}(r), r) == G_{k}(r)",
                algebra(),
                f"The derivative of order {k} of the Gaussian kernel: a Hermite polynomial times the kernel.",
                False,
            )
        )
    weight = order * norm_power
    change = SUBSTITUTION[ndim - 1]
    normalised, plain = raised("(S*s)", weight), raised("s", weight)
    jacobian, factor = raised("S", ndim), raised("S", order * (norm_power - 1))
    for a in multi_indices(ndim, order):
        label = f"multi-index ({listed([str(k) for k in a])})"
        integrand = f"{resized}*{_kernel(a, [f'S*{x}' for x in points], places, '(S*s)')}"
        result = iterated(f"{image}*{_kernel(a, points, places, 's')}", places)
        values = {"h": f"lambda {listed(places)}: {integrand}"} | ({"N": "1"} if ndim == 1 else {})
        lines += [
            Line(
                f"{indexed('L', a)}({listed(points)}, s) == s**(-{ndim + order})*{result}",
                algebra(),
                f"Differentiate under the integral, {label}: each derivative of the kernel brings 1/s.",
                False,
            ),
            Line(
                f"{iterated(integrand, places)} == {jacobian}*{result}",
                algebra(use(change, **values)),
                f"Substitute S {', S '.join(places)} for {', '.join(places)}, {label}: the Jacobian is S^{ndim}, and S"
                " cancels in the kernel.",
                False,
            ),
            Line(
                f"{product(normalised)}{indexed('Lp', a)}({scaled}, S*s) == {product(factor, plain)}{indexed('L', a)}({listed(points)}, s)",
                algebra(use(change, f"(S*s)**({weight - ndim - order})", **values)),
                f"Together, {label}: S to the power {weight} from the normalisation, -{ndim + order} from the kernel and"
                f" its derivatives, {ndim} from the Jacobian.",
            ),
        ]
    variables = {"S": "positive", "s": "positive", "r": "real", "f": "function", "K": "function"}
    return written(
        theorem,
        p,
        Statement(variables | dict.fromkeys(points, "real"), (), definitions),
        lines,
        (change, "differentiate-under-integral"),
        words="The image f'(x) = f(x/S) smoothed with S s against f smoothed with s, for every multi-index of total order"
        f" {order}. L' is the smoothed f', K any kernel profile; for the Gaussian one its derivatives are the G_k.",
    )


def covariance_written_out(theorem: Theorem, p: Parameters, ndim: int, order: int, norm_power: Fraction) -> Explicit:
    """Covariance itself: proved for norm_power 1 or order 0, else refuted with the factor that survives."""
    if order == 0 or norm_power == 1:
        return factor_written_out(theorem, p, ndim, order, norm_power)
    points = POINT[:ndim]
    index = (order,) + (0,) * (ndim - 1)
    axes = listed(repeated(index, points))

    def side(image: str, sigma: str) -> str:
        smoothed = f"D(Heat({image}, {sigma}, {listed(points)}), {axes})"
        for x in points:
            smoothed = f"At({smoothed}, {x}, 0)"
        return f"{product(raised(f'({sigma})', order * norm_power))}{smoothed}"

    resized, image = f"f({listed(points, after='/S')})", f"f({listed(points)})"
    wrong = Refutation(
        theorem.id,
        f"normalisation power {norm_power} instead of 1, order {order}",
        Statement(
            {"S": "positive", "s": "positive", "f": "function"},
            (f"{side(resized, 'S*s')} == {side(image, 's')}",),
        ),
        {
            # a power of 2 that makes the surviving factor rational, where it stays small
            "S": str(2 ** (norm_power.denominator if norm_power.denominator <= 6 else 1)),
            "s": "1",
            "f": f"lambda {listed(points)}: {points[0]}**{order}",
        },
        theorem.id,
    )
    found = factor_written_out(FACTOR, p, ndim, order, norm_power)
    return Explicit(found.theorem, found.lines, p, wrong, raised("S", order * (norm_power - 1)))
