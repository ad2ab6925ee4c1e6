"""Continuous theorems written out for a dimension, an order and a power.

Explicit multi-indices, explicit Hermite polynomials, iterated integrals. Pure data: the prover and the checker
decide it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from .continuous2 import THEOREMS
from .model import Refutation, Statement, Step, Theorem, algebra, use
from .parameters import Parameters

FACTOR = next(t for t in THEOREMS if t.id == "normalisation-factor")
POINT, PLACE = ("x", "y", "z"), ("u", "v", "w")


@dataclass(frozen=True)
class Line:
    """One claim on the way, how it is proved, why it is there, and whether it belongs to the result."""

    claim: str
    proof: Step
    reason: str
    result: bool = True


@dataclass(frozen=True)
class Explicit:
    """A theorem written out.

    Attributes:
        theorem: what is proved, a claim a line.
        lines: the claims with their reasons.
        parameters: the values, defaults filled in.
        wrong: the statement that was asked for, where the parameters make it false, with a witness.
        residual: the factor that survives in it.
    """

    theorem: Theorem
    lines: tuple[Line, ...]
    parameters: Parameters
    wrong: Refutation | None = None
    residual: str | None = None


def multi_indices(ndim: int, order: int) -> Iterator[tuple[int, ...]]:
    """All multi-indices of that total order, in order (2, 0), (1, 1), (0, 2)."""
    if ndim == 1:
        yield (order,)
        return
    for first in range(order, -1, -1):
        for rest in multi_indices(ndim - 1, order - first):
            yield (first, *rest)


def hermite(order: int, variable: str) -> str:
    """The polynomial He_order, as the derivative of order m of exp(-y^2/2) is (-1)^m He_m(y) exp(-y^2/2)."""
    previous, current = [0], [1]
    for n in range(order):
        following = [0, *current]
        for i, value in enumerate(previous):
            following[i] -= n * value
        previous, current = current, following
    return " + ".join(reversed([_monomial(c, variable, i) for i, c in enumerate(current) if c])).replace("+ -", "- ")


def _monomial(coefficient: int, variable: str, exponent: int) -> str:
    power = {0: "", 1: variable}.get(exponent, f"{variable}**{exponent}")
    if not power or abs(coefficient) != 1:
        return f"{coefficient}*{power}".removesuffix("*")
    return power if coefficient == 1 else f"-{power}"


def iterated(body: str, variables: Sequence[str]) -> str:
    """The integral over each variable in turn."""
    for name in variables:
        body = f"Int({body}, {name}, 1)"
    return body


def raised(base: str, exponent: Fraction | int) -> str:
    """The power, written as one writes it for exponents 0 and 1."""
    return "1" if exponent == 0 else base if exponent == 1 else f"{base}**({exponent})"


def product(*factors: str) -> str:
    """The factors other than 1, each with a star behind it."""
    return "".join(f"{f}*" for f in factors if f != "1")


def listed(names: Sequence[str], before: str = "", after: str = "") -> str:
    """Names separated by commas, each with something around it."""
    return ", ".join(f"{before}{n}{after}" for n in names)


def _kernel(index: Sequence[int], points: Sequence[str], places: Sequence[str], sigma: str) -> str:
    factors = []
    for k, x, u in zip(index, points, places, strict=True):
        derivative = f"K[{k}]" if k else "K"
        factors.append(f"{derivative}(({x} - {u})/{sigma})")
    return "*".join(factors)


def factor_written_out(theorem: Theorem, p: Parameters) -> Explicit:
    """(S s)^(m p) d^a L'(S x; S s) = S^(m (p - 1)) s^(m p) d^a L(x; s) for every a of total order m."""
    ndim, order, power = _given(p)
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
    weight = order * power
    fact = f"change-of-variables-{ndim}d"
    normalised, plain = raised("(S*s)", weight), raised("s", weight)
    jacobian, factor = raised("S", ndim), raised("S", order * (power - 1))
    for a in multi_indices(ndim, order):
        label = f"multi-index ({listed([str(k) for k in a])})"
        index = f"[{listed([str(k) for k in a])}]" if order else ""
        integrand = f"{resized}*{_kernel(a, [f'S*{x}' for x in points], places, '(S*s)')}"
        result = iterated(f"{image}*{_kernel(a, points, places, 's')}", places)
        moved = f"lambda {listed(places)}: {integrand}"
        lines += [
            Line(
                f"L{index}({listed(points)}, s) == s**(-{ndim + order})*{result}",
                algebra(),
                f"Differentiate under the integral, {label}: each derivative of the kernel brings 1/s.",
                False,
            ),
            Line(
                f"{iterated(integrand, places)} == {jacobian}*{result}",
                algebra(use(fact, h=moved)),
                f"Substitute S {', S '.join(places)} for {', '.join(places)}, {label}: the Jacobian is {jacobian}, and S"
                " cancels in the kernel.",
                False,
            ),
            Line(
                f"{product(normalised)}Lp{index}({scaled}, S*s) == {product(factor, plain)}L{index}({listed(points)}, s)",
                algebra(use(fact, f"(S*s)**({weight - ndim - order})", h=moved)),
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
        (f"change-of-variables-{ndim}d", "differentiate-under-integral"),
        words="The image f'(x) = f(x/S) smoothed with S s against f smoothed with s, for every multi-index of total order"
        f" {order}. L' is the smoothed f', K any kernel profile; for the Gaussian one its derivatives are the G_k.",
    )


def covariance_written_out(theorem: Theorem, p: Parameters) -> Explicit:
    """Covariance itself: proved for norm_power 1 or order 0, else refuted with the factor that survives."""
    ndim, order, power = _given(p)
    if order == 0 or power == 1:
        return factor_written_out(theorem, p)
    points = POINT[:ndim]
    index = (order,) + (0,) * (ndim - 1)
    axes = "".join(f", {x}" for x, k in zip(points, index, strict=True) for _ in range(k))

    def side(image: str, sigma: str) -> str:
        smoothed = f"D(Heat({image}, {sigma}, {listed(points)}){axes})"
        for x in points:
            smoothed = f"At({smoothed}, {x}, 0)"
        return f"{product(raised(f'({sigma})', order * power))}{smoothed}"

    resized, image = f"f({listed(points, after='/S')})", f"f({listed(points)})"
    wrong = Refutation(
        theorem.id,
        f"normalisation power {power} instead of 1, order {order}",
        Statement(
            {"S": "positive", "s": "positive", "f": "function"},
            (f"{side(resized, 'S*s')} == {side(image, 's')}",),
        ),
        {
            # a power of 2 that makes the surviving factor rational, where it stays small
            "S": str(2 ** (power.denominator if power.denominator <= 6 else 1)),
            "s": "1",
            "f": f"lambda {listed(points)}: {points[0]}**{order}",
        },
        theorem.id,
    )
    found = factor_written_out(FACTOR, p)
    return Explicit(found.theorem, found.lines, p, wrong, f"S**({order * (power - 1)})")


def _given(p: Parameters) -> tuple[int, int, Fraction]:
    assert p.ndim is not None
    assert p.order is not None
    assert p.norm_power is not None
    return p.ndim, p.order, p.norm_power


def written(
    theorem: Theorem,
    p: Parameters,
    statement: Statement,
    lines: Sequence[Line],
    axioms: tuple[str, ...] = (),
    lemmas: tuple[str, ...] = (),
    words: str = "",
) -> Explicit:
    """The lines as claims of the statement, under the theorem's own id and source."""
    own = Theorem(
        theorem.id,
        theorem.topic,
        f"{theorem.title} ({p})",
        words or theorem.words,
        replace(statement, claims=tuple(line.claim for line in lines)),
        tuple(line.proof for line in lines),
        theorem.source,
        axioms,
        lemmas,
        theorem.parameters,
    )
    return Explicit(own, tuple(lines), p)
