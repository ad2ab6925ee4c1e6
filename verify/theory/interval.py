"""Certified enclosures of numbers and boxes in fixed point, outward rounded. Plain Python integers, no floats.

An interval is a pair of integers (low, high) in units of 2^-BITS. Every operation returns an enclosure of all
exact results. Used to evaluate witnesses of refutations again and for bounds by branch and bound.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache

from .terms import FormulaError, Term, parts

BITS = 80
ONE = 1 << BITS
GUARD = 80
LARGEST = 1 << (BITS + 400)
Interval = tuple[int, int]


def enclose(value: Fraction) -> Interval:
    """The rational number."""
    scaled = value * ONE
    return scaled.numerator // scaled.denominator, -((-scaled.numerator) // scaled.denominator)


def as_fractions(interval: Interval) -> tuple[Fraction, Fraction]:
    """Exact end points."""
    return Fraction(interval[0], ONE), Fraction(interval[1], ONE)


def multiply(a: Interval, b: Interval) -> Interval:
    """A b."""
    products = (a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1])
    if max(map(abs, products)) > LARGEST << BITS:
        raise FormulaError("a number is too large to enclose")
    return min(products) >> BITS, -(-max(products) >> BITS)


def reciprocal(a: Interval) -> Interval:
    """1 / a.

    Raises:
        FormulaError: a contains zero.
    """
    if a[0] <= 0 <= a[1]:
        raise FormulaError("division by an interval that contains zero")
    square = ONE * ONE
    return square // a[1], -(-square // a[0])


def integer_power(a: Interval, n: int) -> Interval:
    """a^n; even powers are never negative."""
    if n < 0:
        return reciprocal(integer_power(a, -n))
    if n > 400:
        raise FormulaError("an exponent is too large to enclose")
    result = (ONE, ONE)
    base = a
    if n % 2 == 0 and a[0] < 0 < a[1]:
        base = (0, max(-a[0], a[1]))
    elif n % 2 == 0 and a[1] <= 0:
        base = (-a[1], -a[0])
    for _ in range(n):
        result = multiply(result, base)
    return result


def _exp_unit(x: int) -> Interval:
    """Exp of x units, 0 <= x <= 1. Each of at most 60 terms is rounded down by less than two guarded units."""
    work = BITS + GUARD
    argument = x << GUARD
    term = total = 1 << work
    for k in range(1, 60):
        term = (term * argument >> work) // k
        total += term
        if not term:
            break
    low = total >> GUARD
    return low, low + 2


@lru_cache(maxsize=4096)
def _exp_point(x: int) -> Interval:
    whole = x >> BITS
    if abs(whole) > 250:
        if whole < 0:
            return 0, 1
        raise FormulaError("exp of a number that is too large")
    euler = _exp_unit(ONE)
    return multiply(_exp_unit(x - (whole << BITS)), integer_power(euler, whole))


def exp(a: Interval) -> Interval:
    """Monotone."""
    return max(_exp_point(a[0])[0], 0), _exp_point(a[1])[1]


def _log_point(x: int) -> Interval:
    """Log of x units: 2 atanh((m - 1)/(m + 1)) + k log 2, with 1/2 <= m < 1."""
    shift = x.bit_length() - BITS
    mantissa = Fraction(x, 1) / Fraction(2) ** (shift + BITS)
    two = _atanh2(Fraction(1, 3))
    body = _atanh2((mantissa - 1) / (mantissa + 1))
    scaled = (two[0] * shift, two[1] * shift)
    return body[0] + min(scaled), body[1] + max(scaled)


def _atanh2(z: Fraction) -> Interval:
    """2 atanh z for |z| <= 1/3, by its series; the rest after 60 terms is below 9^-60."""
    work = BITS + GUARD
    argument = (z.numerator << work) // z.denominator
    square = argument * argument >> work
    term, total = argument, 0
    for k in range(60):
        total += term // (2 * k + 1)
        term = term * square >> work
    middle = 2 * total >> GUARD
    return middle - 4, middle + 4


def log(a: Interval) -> Interval:
    """Monotone.

    Raises:
        FormulaError: a is not positive.
    """
    if a[0] <= 0:
        raise FormulaError("log of an interval that is not positive")
    return _log_point(a[0])[0], _log_point(a[1])[1]


@lru_cache(maxsize=4096)
def _cos_point(x: int) -> Interval:
    """Cos for |x| <= 24. Rounding of each term grows by less than e^24 < 2^35 and stays below the guard."""
    if abs(x) > 24 * ONE:
        raise FormulaError("cos of a number that is too large")
    work = BITS + GUARD
    square = (x << GUARD) * (x << GUARD) >> work
    term = total = 1 << work
    for k in range(1, 120):
        term = -(term * square >> work) // ((2 * k - 1) * (2 * k))
        total += term
        if -1 <= term <= 1 and k > 40:
            break
    middle = total >> GUARD
    return middle - 2, middle + 2


@lru_cache(maxsize=1)
def pi() -> Interval:
    """Machin's formula 16 atan(1/5) - 4 atan(1/239); 80 terms leave less than 5^-160."""

    def arctangent(n: int) -> int:
        work = BITS + GUARD
        term, total, k = (1 << work) // n, 0, 0
        while term:
            total += (-term if k % 2 else term) // (2 * k + 1)
            term //= n * n
            k += 1
        return total

    middle = (16 * arctangent(5) - 4 * arctangent(239)) >> GUARD
    return middle - 2, middle + 2


def cos(a: Interval) -> Interval:
    """Decreasing on [0, pi]; elsewhere |cos x - cos y| <= |x - y| about the middle."""
    if a[0] >= 0 and a[1] <= pi()[0]:
        return max(_cos_point(a[1])[0], -ONE), min(_cos_point(a[0])[1], ONE)
    middle = (a[0] + a[1]) // 2
    radius = a[1] - middle + 1
    value = _cos_point(middle)
    return max(value[0] - radius, -ONE), min(value[1] + radius, ONE)


def sin(a: Interval) -> Interval:
    """cos(x - pi/2)."""
    half = pi()
    return cos((a[0] - half[1] // 2 - 1, a[1] - half[0] // 2))


def evaluate(term: Term, values: Mapping[str, Interval]) -> Interval:
    """An enclosure of the formula over the box `values`.

    Raises:
        FormulaError: a name without a value, an unspecified function, a division by zero.
    """
    if term.head == "num":
        assert isinstance(term.data, Fraction)
        return enclose(term.data)
    if term.head == "sym":
        if term.data == "pi":
            return pi()
        if term.data not in values:
            raise FormulaError(f"no value for {term.data}")
        return values[str(term.data)]
    if term.head == "add":
        enclosures = [evaluate(a, values) for a in term.args]
        return sum(e[0] for e in enclosures), sum(e[1] for e in enclosures)
    if term.head == "mul":
        product = (ONE, ONE)
        for a in term.args:
            product = multiply(product, evaluate(a, values))
        return product
    if term.head == "pow":
        base, exponent = term.args
        if isinstance(exponent.data, Fraction) and exponent.data.denominator == 1:
            return integer_power(evaluate(base, values), int(exponent.data))
        inner = evaluate(exponent, values)
        if inner[0] == inner[1] and inner[0] % ONE == 0:
            return integer_power(evaluate(base, values), inner[0] // ONE)
        return exp(multiply(inner, log(evaluate(base, values))))
    if term.head == "app":
        name, index, args = parts(term)
        if name == "max" and not index:
            enclosures = [evaluate(a, values) for a in args]
            return max(e[0] for e in enclosures), max(e[1] for e in enclosures)
        if name in FUNCTIONS and not index and len(args) == 1:
            return FUNCTIONS[name](evaluate(args[0], values))
    raise FormulaError(f"cannot enclose {str(term)[:60]}")


FUNCTIONS: dict[str, Callable[[Interval], Interval]] = {
    "exp": exp,
    "log": log,
    "sin": sin,
    "cos": cos,
}
