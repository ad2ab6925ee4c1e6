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
    Line,
    WrittenOut,
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


def _definitions(points: Sequence[str], places: Sequence[str], order: int) -> dict[str, str]:
    """The derivatives of the Gaussian kernel, and both smoothed images for any kernel K."""
    definitions = {"G_0(r)": "(2*pi)**(-1/2)*exp(-r**2/2)"}
    for k in range(1, order + 1):
        definitions[f"G_{k}(r)"] = f"{'-' * (k % 2)}({hermite(k, 'r')})*G_0(r)"
    kernel = _kernel((0,) * len(points), points, places, "s")
    for name, after in (("L", ""), ("Lp", "/S")):
        smoothed = iterated(f"f({listed(places, after=after)})*{kernel}", places)
        definitions[f"{name}({listed(points)}, s)"] = f"s**(-{len(points)})*{smoothed}"
    return definitions


def _three_lines(a: Sequence[int], points: Sequence[str], places: Sequence[str], norm_power: Fraction) -> list[Line]:
    """One multi-index: differentiate, substitute, put together."""
    ndim, order = len(a), sum(a)
    weight, loss = order * norm_power, ndim + order
    label = f"multi-index ({listed([str(k) for k in a])})"
    before = f"f({listed(places, after='/S')})*{_kernel(a, [f'S*{x}' for x in points], places, '(S*s)')}"
    after = iterated(f"f({listed(places)})*{_kernel(a, points, places, 's')}", places)
    change, values = SUBSTITUTION[ndim - 1], {"h": f"lambda {listed(places)}: {before}"}
    if ndim == 1:
        values["N"] = "1"
    left = f"{product(raised('(S*s)', weight))}{indexed('Lp', a)}({listed(points, 'S*')}, S*s)"
    factors = product(raised("S", order * (norm_power - 1)), raised("s", weight))
    return [
        Line(
            f"{indexed('L', a)}({listed(points)}, s) == s**(-{loss})*{after}",
            algebra(),
            f"Differentiate under the integral, {label}: each derivative of the kernel brings 1/s.",
            False,
        ),
        Line(
            f"{iterated(before, places)} == {raised('S', ndim)}*{after}",
            algebra(use(change, **values)),
            f"Substitute {listed(places, 'S ')} for {listed(places)}, {label}: the Jacobian is S^{ndim}, and S cancels"
            " in the kernel.",
            False,
        ),
        Line(
            f"{left} == {factors}{indexed('L', a)}({listed(points)}, s)",
            algebra(use(change, f"(S*s)**({weight - loss})", **values)),
            f"Together, {label}: S to the power {weight} from the normalisation, -{loss} from the kernel and its"
            f" derivatives, {ndim} from the Jacobian.",
        ),
    ]


def normalisation_factor(theorem: Theorem, p: Parameters, ndim: int, order: int, norm_power: Fraction) -> WrittenOut:
    """(S s)^(m p) d^a L'(S x; S s) = S^(m (p - 1)) s^(m p) d^a L(x; s) for every a of total order m."""
    points, places = POINT[:ndim], PLACE[:ndim]
    lines = [
        Line(
            f"D(G_{k - 1}(r), r) == G_{k}(r)",
            algebra(),
            f"The derivative of order {k} of the Gaussian kernel: a Hermite polynomial times the kernel.",
            False,
        )
        for k in range(1, order + 1)
    ]
    for a in multi_indices(ndim, order):
        lines += _three_lines(a, points, places, norm_power)
    variables = {"S": "positive", "s": "positive", "r": "real", "f": "function", "K": "function"}
    statement = Statement(variables | dict.fromkeys(points, "real"), (), _definitions(points, places, order))
    words = (
        "The image f'(x) = f(x/S) smoothed with S s against f smoothed with s, for every multi-index of total order"
        f" {order}. L' is the smoothed f', K any kernel profile; for the Gaussian one its derivatives are the G_k."
    )
    return written(theorem, p, statement, lines, (SUBSTITUTION[ndim - 1], "differentiate-under-integral"), words=words)


def scale_covariance(theorem: Theorem, p: Parameters, ndim: int, order: int, norm_power: Fraction) -> WrittenOut:
    """Covariance itself: proved for norm_power 1 or order 0, else refuted with the factor that survives."""
    if order == 0 or norm_power == 1:
        return normalisation_factor(theorem, p, ndim, order, norm_power)
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
    found = normalisation_factor(FACTOR, p, ndim, order, norm_power)
    return WrittenOut(found.theorem, found.lines, p, wrong, raised("S", order * (norm_power - 1)))
