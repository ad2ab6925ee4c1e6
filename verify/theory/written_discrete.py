"""Theorems about the discrete analogue of the Gaussian written out: symbols of the differences as explicit formulas."""

from collections.abc import Mapping
from fractions import Fraction
from math import comb

from .discrete import SYMBOL
from .model import Statement, Theorem, Use, algebra, use
from .parameters import Parameters
from .written import Line, WrittenOut, product, raised, written

SECOND = "(2*cos(w) - 2)"


def _symbols(*orders: int) -> dict[str, str]:
    """The symbol of the n-th difference, as in the spectral form of P_n."""
    odd = {n: "-sin(w)" if n % 2 else "1" for n in orders}
    return {f"lam_{n}(w)": f"{product(odd[n])}{raised(SECOND, n // 2)}" for n in orders}


def operator_table(theorem: Theorem, p: Parameters, order: int) -> WrittenOut:
    """dP_n/dv = 1/2 P_n D_2 and the semigroup, with the symbol of order n."""
    symbol = f"lam_{order}(w)"
    lines = [
        Line(
            f"D({symbol}*T(w, v), v) == {symbol}*T(w, v)*{SECOND}/2",
            algebra(),
            "The derivative in the variance is half the second difference.",
        ),
        Line(f"{symbol}*T(w, v)*T(w, v2) == {symbol}*T(w, v + v2)", algebra(), "Variances add."),
    ]
    variables = {"w": "real", "v": "positive", "v2": "positive"}
    words = f"The operator P_{order} per frequency, with its explicit symbol; circular and symmetric border."
    return written(theorem, p, Statement(variables, (), {**SYMBOL, **_symbols(order)}), lines, words=words)


def _taps(half: int) -> dict[int, int]:
    """The even difference of order 2 half: its tap at each distance."""
    return {j: (-1) ** (half - j) * comb(2 * half, half - j) for j in range(half + 1)}


def _multiples(axiom: str, weights: Mapping[int, Fraction | int], factor: str) -> list[Use]:
    """Turn the sum of weight_j f(j w), f cosine or sine, into powers of cos w.

    f(j w) + f((j - 2) w) = 2 cos w f((j - 1) w) once for every j, with the weights that collect from the top down.
    """
    uses = []
    for i in range(2, max(weights) + 1):
        collected = " + ".join(f"({weights[j]})*{('1', '2*cos(w)')[j - i]}" for j in range(i, max(weights) + 1))
        for step in ("w", "-w")[: 1 if i == 2 else 2]:  # at w - w there is nothing to add
            uses.append(use(axiom, f"({collected})*{factor}", a=f"{i - 1}*w", b=step))
    return uses


def even_difference(theorem: Theorem, p: Parameters, order: int) -> WrittenOut:
    """The taps of the even difference summed up: its symbol is a power of that of the second difference."""
    if order % 2:
        raise ValueError(f"specialise: order of {theorem.id} must be even, got {order}")
    half = order // 2
    weights = {j: tap if j == 0 else 2 * tap for j, tap in _taps(half).items()}
    sum_ = " + ".join(f"({c})*cos({j}*w)" if j else f"({c})" for j, c in weights.items())
    uses = _multiples("cosine-sum", weights, "1")
    line = Line(
        f"{sum_} == {raised(SECOND, half)}",
        algebra(*uses),
        f"The binomial taps of the difference of order {order} at distances 0 to {half}.",
    )
    words = f"The taps of the central difference of order {order}, and their symbol."
    return written(theorem, p, Statement({"w": "real"}, ()), [line], ("cosine-sum",) if uses else (), (), words)


def spectral_operator(theorem: Theorem, p: Parameters, order: int) -> WrittenOut:
    """The n-th difference of the cosines cos(w (i + 1/2)): its symbol times the cosine or, for odd n, the sine."""
    here, odd, half = "w*(i + 1/2)", order % 2, order // 2
    even = _taps(half)
    if odd:
        taps = {j: Fraction(even.get(abs(j - 1), 0) - even.get(j + 1, 0), 2) for j in range(1, half + 2)}
        terms = [f"({c})*(cos({here} + {j}*w) - cos({here} - {j}*w))" for j, c in taps.items()]
        result, axiom, factor = f"-sin(w)*{product(raised(SECOND, half))}sin({here})", "sine-sum", f"sin({here})"
        weights = {j: -2 * c for j, c in taps.items()}
    else:
        taps = {j: Fraction(c) for j, c in even.items()}
        terms = [
            f"({c})*(cos({here} + {j}*w) + cos({here} - {j}*w))" if j else f"({c})*cos({here})" for j, c in taps.items()
        ]
        result, axiom, factor = f"{product(raised(SECOND, half))}cos({here})", "cosine-sum", f"cos({here})"
        weights = {j: 2 * c for j, c in taps.items()}
    split = [
        use("cosine-sum", f"{sign}({c})", a=here, b=f"{side}{j}*w")
        for j, c in taps.items()
        for side, sign in (("", ""), ("-", "-" * odd))
        if j
    ]
    uses = [*split, *_multiples(axiom, weights, factor)]
    line = Line(
        f"{' + '.join(terms)} == {result}",
        algebra(*uses),
        f"The difference of order {order} applied to the cosine of frequency w, at pixel i.",
    )
    words = (
        f"The central difference of order {order} maps the half-sample symmetric cosines to multiples of themselves"
        " (even order) or of the sines (odd order): the factor in the spectral form of P_n."
    )
    axioms = tuple(dict.fromkeys(u.fact for u in uses))
    return written(theorem, p, Statement({"w": "real", "i": "integer"}, ()), [line], axioms, (), words)


def diffusion(theorem: Theorem, p: Parameters, ndim: int) -> WrittenOut:
    """On a product of axes the second differences add."""
    names = [f"w_{i}" for i in range(1, ndim + 1)]
    symbol = "*".join(f"T({w}, v)" for w in names)
    line = Line(
        f"D({symbol}, v) == ({' + '.join(f'(2*cos({w}) - 2)' for w in names)})/2*{symbol}",
        algebra(),
        "The product rule: one second difference an axis.",
    )
    variables = {**dict.fromkeys(names, "real"), "v": "positive"}
    words = f"The discrete diffusion equation on {ndim} ax{'es' if ndim > 1 else 'is'}, per frequency."
    return written(theorem, p, Statement(variables, (), SYMBOL), [line], words=words)


def sigma_gradient(theorem: Theorem, p: Parameters, order: int, norm_power: Fraction) -> WrittenOut:
    """S d/ds H_n = n p H_n + s^(n p + 2) lambda_(n+2) T."""
    weight = order * norm_power
    factor = product(raised("s", weight))
    own = f"({weight})*{factor}lam_{order}(w)*T(w, s**2) + " if weight else ""
    line = Line(
        f"s*D({factor}lam_{order}(w)*T(w, s**2), s)"
        f" == {own}{product(raised('s', weight + 2))}lam_{order + 2}(w)*T(w, s**2)",
        algebra(),
        "The product rule; the derivative of the symbol in s brings s times the second difference.",
    )
    statement = Statement({"s": "positive", "w": "real"}, (), {**SYMBOL, **_symbols(order, order + 2)})
    words = f"The sigma gradient of the discrete jet of order {order}, normalised with s^({weight}), per frequency."
    return written(theorem, p, statement, [line], words=words)


def error_expansion(theorem: Theorem, p: Parameters, order: int) -> WrittenOut:
    """The leading relative error of the discrete jet of that order."""
    odd, pairs = order % 2, order // 2
    ratio = product("exp(e**2*u**4/24 - e**4*u**6*r)", raised("(1 - e**2*u**2/6 + e**4*u**4*q)", odd))
    ratio += product(raised("(1 - e**2*u**2/12 + 2*e**4*u**4*r)", pairs))
    slope = Fraction(odd, 6) + Fraction(pairs, 12)
    right = "u**4/24" + (f" - ({slope})*u**2" if slope else "")
    lines = [
        Line("At(R(e), e, 0) == 1", algebra(), "No error for large sigma."),
        Line("At(D(R(e), e), e, 0) == 0", algebra(), "None of order 1/sigma."),
        Line(f"At(D(R(e), e, e), e, 0)/2 == {right}", algebra(), "The error of order 1/sigma^2, with u = sigma w."),
    ]
    variables = dict.fromkeys(("e", "u", "r", "q"), "real")
    words = (
        f"Discrete over continuous jet of order {order}, e = 1/sigma, u = sigma w: {odd} central and {pairs} second"
        " differences; r and q bound the rest of Taylor's formula."
    )
    return written(theorem, p, Statement(variables, (), {"R(e)": ratio.removesuffix("*")}), lines, words=words)
