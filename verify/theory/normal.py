"""The checker's normal form: generalised polynomials with exact rational coefficients. No sympy.

A formula becomes a sum of coefficient * product of atom^exponent. Atoms: variables, e, primes, -1, sums that
stand under a power, applications of functions, integrals. Exponents are rational numbers or again generalised
polynomials, so S^(m+1) = S S^m, e^a e^b = e^(a+b) and sqrt(2)^2 = 2 hold by construction. Further relations
used: sin^2 = 1 - cos^2, fact(n + 1) = (n + 1) fact(n), log of a product of positive atoms, linearity of
integrals. Sound for all values for which no denominator vanishes; incomplete: "not zero" proves nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import comb

from .terms import BINDERS, FormulaError, Term, Work, free_names, parts, substitute, symbol

MAX_TERMS = 20_000
MAX_POWER = 64
MAX_POWER_TERMS = 5000
MAX_BITS = 4000
MAX_NESTING = 6


class TooLargeError(FormulaError):
    """Expanding the formula would need more room than any honest proof."""


@dataclass(frozen=True)
class Kinds:
    """What is known about each name: positive, nonnegative, real, vector, integer, natural, function."""

    of: Mapping[str, str] = field(default_factory=dict)
    lower: Mapping[str, int] = field(default_factory=dict)

    def is_positive(self, name: str) -> bool:
        """Declared positive, or a natural number bounded below by 1; pi."""
        return name == "pi" or self.of.get(name) == "positive" or self.lower.get(name, 0) >= 1

    def is_nonnegative(self, name: str) -> bool:
        """Declared nonnegative or natural."""
        return self.of.get(name) in ("nonnegative", "natural") or self.is_positive(name)

    def is_integer(self, name: str) -> bool:
        """Takes integer values only."""
        return self.of.get(name) in ("integer", "natural")


# A monomial is a frozenset of (atom, exponent); an exponent is a Fraction or a frozen polynomial.
Atom = tuple[object, ...]
Exponent = Fraction | frozenset[object]
Monomial = frozenset[tuple[Atom, Exponent]]
Poly = dict[Monomial, Fraction]
UNIT: Monomial = frozenset()
E: Atom = ("e",)
NEGATIVE: Atom = ("-1",)


def freeze(poly: Poly) -> Exponent:
    """A polynomial as a hashable value; constants become their Fraction."""
    if not poly:
        return Fraction(0)
    if len(poly) == 1 and UNIT in poly:
        return poly[UNIT]
    return frozenset(poly.items())


def thaw(value: Exponent) -> Poly:
    """Inverse of `freeze`."""
    if isinstance(value, Fraction):
        return {UNIT: value} if value else {}
    return dict(value)  # type: ignore[arg-type]


def plus(a: Poly, b: Poly, factor: Fraction = Fraction(1)) -> Poly:
    """A + factor b."""
    Work.spend(len(b))
    result = dict(a)
    for monomial, coefficient in b.items():
        total = result.get(monomial, Fraction(0)) + factor * coefficient
        if total:
            result[monomial] = total
        else:
            result.pop(monomial, None)
    if len(result) > MAX_TERMS:
        raise TooLargeError("a formula expands to too many terms")
    return result


def times(a: Poly, b: Poly) -> Poly:
    """A b, with the relations between powers of equal atoms applied."""
    if len(a) * len(b) > MAX_TERMS * 4:
        raise TooLargeError("a product expands to too many terms")
    Work.spend(len(a) * len(b))
    result: Poly = {}
    for m1, c1 in a.items():
        for m2, c2 in b.items():
            coefficient = c1 * c2
            if coefficient.numerator.bit_length() > MAX_BITS:
                raise TooLargeError("a number grows too large")
            joined = _join(m1, m2) if m1 and m2 else {m1 | m2: Fraction(1)}
            for monomial, factor in joined.items():
                total = result.get(monomial, Fraction(0)) + coefficient * factor
                if total:
                    result[monomial] = total
                else:
                    result.pop(monomial, None)
        if len(result) > MAX_TERMS:
            raise TooLargeError("a product expands to too many terms")
    return result


def _join(m1: Monomial, m2: Monomial) -> Poly:
    exponents = dict(m1)
    touched = []
    for atom, exponent in m2:
        if atom in exponents:
            exponents[atom] = freeze(plus(thaw(exponents[atom]), thaw(exponent)))
            touched.append(atom)
        else:
            exponents[atom] = exponent
    return _settle(exponents, touched)


def _settle(exponents: dict[Atom, Exponent], touched: list[Atom]) -> Poly:
    """Apply the relations of the touched atoms: primes, -1, sums, sin; drop exponent 0."""
    factor: Poly = {UNIT: Fraction(1)}
    for atom in touched:
        exponent = exponents.pop(atom)
        if exponent == 0:
            continue
        kept, extra = _reduce(atom, exponent)
        if kept != 0:
            exponents[atom] = kept
        if extra is not None:
            factor = times(factor, extra)
    base: Poly = {frozenset(exponents.items()): Fraction(1)}
    return base if factor == {UNIT: 1} else times(base, factor)


def _reduce(atom: Atom, exponent: Exponent) -> tuple[Exponent, Poly | None]:
    """Split atom^exponent into a kept power and a polynomial factor."""
    kind = atom[0]
    if kind == "prime":
        whole = _whole(exponent)
        if whole:
            return _shift(exponent, -whole), {UNIT: Fraction(int(str(atom[1]))) ** whole}
    elif kind == "-1":
        poly = {m: c % 2 for m, c in thaw(exponent).items() if c % 2}
        sign = Fraction(1)
        if poly.get(UNIT, Fraction(0)) >= 1:
            poly[UNIT] -= 1
            sign = Fraction(-1)
            if not poly[UNIT]:
                del poly[UNIT]
        return freeze(poly), {UNIT: sign}
    elif kind == "sum":
        whole = _whole(exponent)
        if whole > 0:
            return _shift(exponent, -whole), integer_power(thaw(atom[1]), whole)  # type: ignore[arg-type]
    elif kind == "sin" and isinstance(exponent, Fraction) and exponent.denominator == 1 and exponent >= 2:
        half = int(exponent) // 2
        cosine: Atom = ("cos", *atom[1:])
        square = {UNIT: Fraction(1), frozenset([(cosine, Fraction(2))]): Fraction(-1)}
        return exponent - 2 * half, integer_power(square, half)
    return exponent, None


def _whole(exponent: Exponent) -> int:
    constant = exponent if isinstance(exponent, Fraction) else thaw(exponent).get(UNIT, Fraction(0))
    whole = constant.numerator // constant.denominator
    if abs(whole) > MAX_POWER * 4:
        raise TooLargeError("an exponent is too large")
    return whole


def _shift(exponent: Exponent, by: int) -> Exponent:
    return freeze(plus(thaw(exponent), {UNIT: Fraction(by)})) if by else exponent


def integer_power(poly: Poly, n: int) -> Poly:
    """poly^n, n >= 0."""
    if len(poly) > 1 and (n > MAX_POWER or comb(n + len(poly) - 1, n) > MAX_POWER_TERMS):
        raise TooLargeError("a power of a sum is too large")
    result: Poly = {UNIT: Fraction(1)}
    for _ in range(n):
        result = times(result, poly)
    return result


def positive_atom(atom: Atom, kinds: Kinds) -> bool:
    """Known to be positive for all admitted values."""
    if atom[0] == "var":
        return kinds.is_positive(str(atom[1]))
    if atom[0] in ("e", "prime", "fact"):
        return True
    if atom[0] in ("Int", "Sum"):
        return all(positive_atom(a, kinds) for a, _ in atom[1])  # type: ignore[attr-defined]
    return atom[0] == "sum" and positive(thaw(atom[1]), kinds)  # type: ignore[arg-type]


def positive(poly: Poly, kinds: Kinds, *, strict: bool = True) -> bool:
    """Every term has a positive coefficient on positive atoms or even powers; one term without even powers."""
    anchored = not strict
    for monomial, coefficient in poly.items():
        if coefficient < 0:
            return False
        even_only = False
        for atom, exponent in monomial:
            if positive_atom(atom, kinds):
                continue
            weak = atom[0] == "var" and kinds.is_nonnegative(str(atom[1]))
            if not isinstance(exponent, Fraction) or not (exponent % 2 == 0 or (weak and exponent > 0)):
                return False
            even_only = True
        anchored = anchored or not even_only
    return anchored


def integer_valued(poly: Poly, kinds: Kinds) -> bool:
    """Integer coefficients on non-negative powers of integer variables."""
    return all(
        c.denominator == 1
        and all(
            a[0] == "var" and kinds.is_integer(str(a[1])) and isinstance(e, Fraction) and e.denominator == 1 and e >= 0
            for a, e in m
        )
        for m, c in poly.items()
    )


def raise_to(base: Poly, exponent: Poly, kinds: Kinds) -> Poly:
    """base^exponent for a sum or monomial base; non-integer exponents need a positive base."""
    if not exponent:
        return {UNIT: Fraction(1)}
    frozen = freeze(exponent)
    if isinstance(frozen, Fraction) and frozen.denominator == 1:
        n = int(frozen)
        if n > 0 and len(base) != 1:
            return integer_power(base, n)
        if abs(n) > MAX_POWER:
            raise TooLargeError("an exponent is too large")
    if not base:
        raise FormulaError("zero to a negative or symbolic power")
    whole = integer_valued(exponent, kinds)
    content, rest = _content(base)
    result = _monomial_power(content, frozen, whole, kinds)
    if rest is None:
        return result
    if not whole and not positive(rest, kinds):
        raise FormulaError("a power with a non-integer exponent needs a base known to be positive")
    atom: Atom = ("sum", freeze(rest))
    if _nesting(atom) > MAX_NESTING:
        raise TooLargeError("sums are nested too deep in powers")
    return times(result, _settle({atom: frozen}, [atom]))


def _nesting(value: object) -> int:
    """How many sums stand in each other."""
    if not isinstance(value, (tuple, frozenset)):
        return 0
    own = isinstance(value, tuple) and bool(value) and value[0] == "sum"
    return own + max(map(_nesting, value), default=0)


def _monomial_power(term: tuple[Monomial, Fraction], exponent: Exponent, whole: bool, kinds: Kinds) -> Poly:
    monomial, coefficient = term
    result: Poly = {UNIT: Fraction(1)}
    if coefficient < 0:
        if not whole:
            raise FormulaError("a negative number to a non-integer power")
        result = times(result, _settle({NEGATIVE: exponent}, [NEGATIVE]))
    for prime, count in _factor(abs(coefficient)):
        atom: Atom = ("prime", prime)
        power = freeze(plus({}, thaw(exponent), Fraction(count)))
        result = times(result, _settle({atom: power}, [atom]))
    for atom, inner in monomial:
        if not whole and not positive_atom(atom, kinds):
            raise FormulaError(f"{atom[:2]} to a non-integer power: it is not declared positive")
        power = freeze(times(thaw(inner), thaw(exponent)))
        result = times(result, _settle({atom: power}, [atom]))
    return result


def _content(poly: Poly) -> tuple[tuple[Monomial, Fraction], Poly | None]:
    """Largest monomial factor with constant exponents, and the primitive rest (None for a monomial)."""
    if len(poly) == 1:
        ((monomial, coefficient),) = poly.items()
        return (monomial, coefficient), None
    common: dict[Atom, Fraction] = {}
    monomials = [dict(m) for m in poly]
    for atom in set().union(*monomials):
        powers = [m.get(atom, Fraction(0)) for m in monomials]
        if all(isinstance(p, Fraction) for p in powers):
            lowest = min(p for p in powers if isinstance(p, Fraction))
            if lowest:
                common[atom] = lowest
    first = min(poly.items(), key=lambda item: _order(item[0]))
    coefficient = first[1]
    inverse = frozenset((a, -p) for a, p in common.items())
    rest = times(poly, {inverse: 1 / coefficient}) if common else plus({}, poly, 1 / coefficient)
    return (frozenset(common.items()), coefficient), rest


def _order(monomial: Monomial) -> str:
    return str(sorted(_text(pair) for pair in monomial))


def _text(value: object) -> str:
    if isinstance(value, frozenset):
        return "{" + ",".join(sorted(_text(v) for v in value)) + "}"
    if isinstance(value, tuple):
        return "(" + ",".join(_text(v) for v in value) + ")"
    return str(value)


def _factor(value: Fraction) -> list[tuple[int, int]]:
    result = []
    for part, sign in ((value.numerator, 1), (value.denominator, -1)):
        prime = 2
        while part > 1 and prime < 10_000:
            count = 0
            while part % prime == 0:
                part //= prime
                count += 1
            if count:
                result.append((prime, sign * count))
            prime += 1
        if part > 1:
            result.append((part, sign))
    return result


def normal(term: Term, kinds: Kinds, depth: int = 0) -> Poly:
    """The generalised polynomial of a formula whose operators D, At, Heat have been carried out.

    Raises:
        FormulaError: the formula is not defined for all admitted values, or too large.
    """
    if term.head == "num":
        assert isinstance(term.data, Fraction)
        return {UNIT: term.data} if term.data else {}
    if term.head == "sym":
        return {frozenset([(("var", term.data), Fraction(1))]): Fraction(1)}
    if term.head == "add":
        total: Poly = {}
        for a in term.args:
            total = plus(total, normal(a, kinds, depth))
        return total
    if term.head == "mul":
        product: Poly = {UNIT: Fraction(1)}
        for a in term.args:
            product = times(product, normal(a, kinds, depth))
        return product
    if term.head == "pow":
        base, exponent = (normal(a, kinds, depth) for a in term.args)
        return raise_to(base, exponent, kinds)
    if term.head == "app":
        return _application(term, kinds, depth)
    raise FormulaError(f"a function stands where a value is needed: {term}")


def _application(term: Term, kinds: Kinds, depth: int) -> Poly:
    name, index, args = parts(term)
    if name == "exp":
        return _power_of(E, normal(args[0], kinds, depth))
    if name == "log":
        return _log(normal(args[0], kinds, depth), kinds)
    if name in ("cos", "sin"):
        return _trig(name, normal(args[0], kinds, depth))
    if name == "fact":
        return _factorial(normal(args[0], kinds, depth), kinds)
    if name in BINDERS:
        return _integral(name, args, kinds, depth)
    if name in ("D", "At", "Heat"):
        raise FormulaError(f"{name} must be carried out first")
    orders = tuple(freeze(normal(i, kinds, depth)) for i in index)
    if all(o == 0 for o in orders):
        orders = ()
    while orders and orders[-1] == 0:
        orders = orders[:-1]
    atom: Atom = ("app", name, orders, *(freeze(normal(a, kinds, depth)) for a in args))
    return {frozenset([(atom, Fraction(1))]): Fraction(1)}


def _power_of(atom: Atom, exponent: Poly) -> Poly:
    return {frozenset([(atom, freeze(exponent))]): Fraction(1)} if exponent else {UNIT: Fraction(1)}


def _log(poly: Poly, kinds: Kinds) -> Poly:
    if not positive(poly, kinds):
        raise FormulaError("log needs an argument known to be positive")
    (monomial, coefficient), rest = _content(poly)
    total: Poly = {}
    for prime, count in _factor(coefficient):
        total = plus(total, {frozenset([(("log", ("prime", prime)), Fraction(1))]): Fraction(count)})
    for atom, exponent in monomial:
        if atom == E:
            total = plus(total, thaw(exponent))
            continue
        if not positive_atom(atom, kinds):
            raise FormulaError("log of a product needs positive factors")
        logarithm: Poly = {frozenset([(("log", atom), Fraction(1))]): Fraction(1)}
        total = plus(total, times(thaw(exponent), logarithm))
    if rest is not None:
        total = plus(total, {frozenset([(("log", ("sum", freeze(rest))), Fraction(1))]): Fraction(1)})
    return total


def _trig(name: str, argument: Poly) -> Poly:
    if not argument:
        return {UNIT: Fraction(1)} if name == "cos" else {}
    sign = Fraction(1)
    lead = min(argument.items(), key=lambda item: _order(item[0]))
    if lead[1] < 0:
        argument = plus({}, argument, Fraction(-1))
        sign = Fraction(-1) if name == "sin" else sign
    return {frozenset([((name, freeze(argument)), Fraction(1))]): sign}


def _factorial(argument: Poly, kinds: Kinds) -> Poly:
    """fact(n + k) = (n + 1) ... (n + k) fact(n) for a symbolic n and an integer k."""
    if not integer_valued(argument, kinds):
        raise FormulaError("fact needs an integer")
    frozen = freeze(argument)
    constant = argument.get(UNIT, Fraction(0))
    if isinstance(frozen, Fraction):
        if not 0 <= constant <= 60:
            raise FormulaError(f"fact of {constant}")
        result = Fraction(1)
        for j in range(2, int(constant) + 1):
            result *= j
        return {UNIT: result}
    base = {m: c for m, c in argument.items() if m != UNIT}
    atom: Atom = ("fact", freeze(base))
    result_poly: Poly = {frozenset([(atom, Fraction(1))]): Fraction(1)}
    k = int(constant)
    if abs(k) > MAX_POWER:
        raise TooLargeError("fact of a shift that is too large")
    for j in range(1, k + 1):
        result_poly = times(result_poly, plus(base, {UNIT: Fraction(j)}))
    for j in range(k + 1, 1):
        factor = plus(base, {UNIT: Fraction(j)}) if j else base
        result_poly = times(result_poly, raise_to(factor, {UNIT: Fraction(-1)}, kinds))
    return result_poly


def _integral(name: str, args: tuple[Term, ...], kinds: Kinds, depth: int) -> Poly:
    """The bound variable gets a name that depends on the depth only; integrals and sums are linear: constants leave."""
    if len(args) < 2 or args[1].head != "sym":
        raise FormulaError(f"{name} takes a formula, a variable and a dimension")
    old = str(args[1].data)
    fresh = f"bound.{depth}"
    body = normal(substitute(args[0], {old: symbol(fresh)}), _renamed(kinds, old, fresh), depth + 1)
    rest = tuple(freeze(normal(a, kinds, depth)) for a in args[2:])
    if name in ("Sup", "Max"):
        return {frozenset([((name, freeze(body), *rest), Fraction(1))]): Fraction(1)}
    total: Poly = {}
    for monomial, coefficient in body.items():
        inside, constants = _split(monomial, fresh)
        atom: Atom = (name, inside, *rest)
        outside = {constants: coefficient}
        total = plus(total, times(outside, {frozenset([(atom, Fraction(1))]): Fraction(1)}))
    return total


def _split(monomial: Monomial, bound: str) -> tuple[Monomial, Monomial]:
    """The factors with and without the bound variable; a^(b + c) is a^b a^c."""
    inside: list[tuple[Atom, Exponent]] = []
    outside: list[tuple[Atom, Exponent]] = []
    for atom, exponent in monomial:
        if bound in names_in(atom) or bound not in names_in(exponent):
            (inside if bound in names_in(atom) else outside).append((atom, exponent))
            continue
        terms = thaw(exponent)
        inner = {m: c for m, c in terms.items() if bound in names_in(m)}
        outer = {m: c for m, c in terms.items() if m not in inner}
        inside.append((atom, freeze(inner)))
        if outer:
            outside.append((atom, freeze(outer)))
    return frozenset(inside), frozenset(outside)


def _renamed(kinds: Kinds, old: str, fresh: str) -> Kinds:
    inner = {k: v for k, v in kinds.of.items() if k != old}
    if old in kinds.of:
        inner[fresh] = kinds.of[old]
    return Kinds(inner, {k: v for k, v in kinds.lower.items() if k != old})


def names_in(value: object) -> frozenset[str]:
    """Variable names inside atoms and exponents."""
    if isinstance(value, tuple) and len(value) == 2 and value[0] == "var":
        return frozenset([str(value[1])])
    if isinstance(value, (tuple, frozenset)):
        return frozenset[str]().union(*(names_in(v) for v in value))
    return frozenset()


def cleared(poly: Poly) -> Poly:
    """Multiply by the negative powers of sums, so that nothing but a true numerator is left."""
    for _ in range(20):
        worst: dict[tuple[Atom, Exponent], int] = {}
        for monomial in poly:
            for atom, exponent in monomial:
                if atom[0] == "sum":
                    whole = _whole(exponent)
                    symbolic = _shift(exponent, -whole)
                    worst[atom, symbolic] = min(worst.get((atom, symbolic), 0), whole)
        lowest: dict[Atom, int] = {}
        for (atom, _), whole in worst.items():
            lowest[atom] = min(lowest.get(atom, 0), whole)
        if not any(lowest.values()):
            return poly
        atom, whole = min(lowest.items(), key=lambda item: item[1])
        total: Poly = {}
        for monomial, coefficient in poly.items():
            exponents = dict(monomial)
            exponents[atom] = _shift(exponents.get(atom, Fraction(0)), -whole)
            total = plus(total, _settle(exponents, [atom]), coefficient)
        poly = total
    raise TooLargeError("too many denominators")


def is_zero(term: Term, kinds: Kinds) -> bool:
    """True: the formula vanishes identically where it is defined. False proves nothing."""
    return not cleared(normal(term, kinds))


def depends_on(term: Term, name: str) -> bool:
    """The name occurs free."""
    return name in free_names(term)
