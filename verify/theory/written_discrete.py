"""Theorems about the discrete analogue of the Gaussian written out: symbols of the differences as explicit formulas."""

from fractions import Fraction
from math import comb

from .discrete import SYMBOL
from .model import Statement, Theorem, algebra, use
from .parameters import Parameters
from .written import Explicit, Line, product, raised, written

SECOND = "(2*cos(w) - 2)"


def _symbols(*orders: int) -> dict[str, str]:
    """The symbol of the n-th difference, as in the spectral form of P_n."""
    odd = {n: "-sin(w)" if n % 2 else "1" for n in orders}
    return {f"lam_{n}(w)": f"{product(odd[n])}{raised(SECOND, n // 2)}" for n in orders}


def operator_table(theorem: Theorem, p: Parameters, order: int) -> Explicit:
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


def even_difference(theorem: Theorem, p: Parameters, order: int) -> Explicit:
    """The taps of the even difference summed up: its symbol is a power of that of the second difference."""
    if order % 2:
        raise ValueError(f"derive: order of {theorem.id} must be even, got {order}")
    half = order // 2
    weights = {j: (1 if j == 0 else 2) * (-1) ** (half - j) * comb(order, half - j) for j in range(half + 1)}
    taps = " + ".join(f"({c})*cos({j}*w)" if j else f"({c})" for j, c in weights.items())
    # cos(j w) + cos((j - 2) w) = 2 cos((j - 1) w) cos w, used once for every j from the top down
    uses = []
    for i in range(2, half + 1):
        factor = " + ".join(f"({weights[j]})*({_second_kind(j - i)})" for j in range(i, half + 1))
        for step in ("w", "-w")[: 1 if i == 2 else 2]:  # cos(w - w) = 1 needs no addition formula
            uses.append(use("cosine-sum", factor, a=f"{i - 1}*w", b=step))
    line = Line(
        f"{taps} == {raised(SECOND, half)}",
        algebra(*uses),
        f"The binomial taps of the difference of order {order} at distances 0 to {half}.",
    )
    words = f"The taps of the central difference of order {order}, and their symbol."
    return written(theorem, p, Statement({"w": "real"}, ()), [line], ("cosine-sum",) if uses else (), (), words)


def _second_kind(degree: int) -> str:
    """The Chebyshev polynomial U of cos w, to the degree that order 6 needs."""
    return ("1", "2*cos(w)")[degree]


def diffusion(theorem: Theorem, p: Parameters, ndim: int) -> Explicit:
    """On a product of axes the second differences add."""
    names = [f"w_{i}" for i in range(1, ndim + 1)]
    symbol = "*".join(f"T({w}, v)" for w in names)
    line = Line(
        f"D({symbol}, v) == ({' + '.join(f'(2*cos({w}) - 2)' for w in names)})/2*{symbol}",
        algebra(),
        "The product rule: one second difference an axis.",
    )
    variables = {**dict.fromkeys(names, "real"), "v": "positive"}
    words = f"The discrete diffusion equation on {ndim} axis or axes, per frequency."
    return written(theorem, p, Statement(variables, (), SYMBOL), [line], words=words)


def sigma_gradient(theorem: Theorem, p: Parameters, order: int, norm_power: Fraction) -> Explicit:
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


def error_expansion(theorem: Theorem, p: Parameters, order: int) -> Explicit:
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
