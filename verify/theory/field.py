"""The checker's second opinion: a formula evaluated at random points of a large prime field. No sympy.

`normal` expands; this module never expands sums or products but evaluates them, with a random value for each
atom and consistent values for its powers, so a slip in the expansion cannot hide. A formula that vanishes at
`POINTS` random points although it is not zero has probability below (degree / 2^61)^POINTS.
"""

import random
from fractions import Fraction

from .normal import (
    NEGATIVE,
    UNIT,
    Atom,
    Exponent,
    Kinds,
    Monomial,
    Poly,
    normal,
    thaw,
)
from .terms import FormulaError, Term, parts

# congruent to 3 mod 4, so that a square root is a power; 2, 3, 5, 7, 11 and 13 are squares modulo it
PRIME = 2305843009213682039
POINTS = 3
ROOTS = 720720


class UnluckyPointError(ArithmeticError):
    """A denominator vanished or a number was no square: another point is drawn."""


class Point:
    """One random point: a value for each power of each atom, drawn when first needed."""

    def __init__(self, kinds: Kinds, seed: int) -> None:
        self.kinds = kinds
        self.draw = random.Random(seed)
        self.roots: dict[tuple[Atom, Monomial], int] = {}

    def value(self, term: Term) -> int:
        """The formula at this point."""
        if term.head == "num":
            assert isinstance(term.data, Fraction)
            return _rational(term.data)
        if term.head == "add":
            return sum(self.value(a) for a in term.args) % PRIME
        if term.head == "mul":
            product = 1
            for a in term.args:
                product = product * self.value(a) % PRIME
            return product
        if term.head == "pow" and term.args[1].head == "num":
            exponent = term.args[1].data
            assert isinstance(exponent, Fraction)
            if exponent.denominator == 1:
                return _power(self.value(term.args[0]), int(exponent))
        return self.polynomial(normal(term, self.kinds))

    def polynomial(self, poly: Poly) -> int:
        """A normal form at this point."""
        total = 0
        for monomial, coefficient in poly.items():
            product = _rational(coefficient)
            for atom, exponent in monomial:
                product = product * self.atom(atom, exponent) % PRIME
            total += product
        return total % PRIME

    def atom(self, atom: Atom, exponent: Exponent) -> int:
        """atom^exponent: one root a monomial of the exponent, raised to that monomial's coefficient."""
        product = 1
        for monomial, coefficient in thaw(exponent).items():
            product = product * self._root_power(atom, monomial, coefficient) % PRIME
        return product

    def _root_power(self, atom: Atom, monomial: Monomial, coefficient: Fraction) -> int:
        if atom == NEGATIVE:
            key = (atom, monomial)
            sign = -1 if monomial == UNIT else self.roots.setdefault(key, self.draw.choice((-1, 1)))
            return sign if coefficient % 2 else 1
        fixed = self._fixed(atom) if monomial == UNIT else None
        if fixed is not None:
            if coefficient.denominator == 1:
                return _power(fixed, int(coefficient))
            if coefficient.denominator == 2:
                return _power(_square_root(fixed), int(2 * coefficient))
            raise FormulaError("roots of numbers and sums: square roots only")
        if ROOTS % coefficient.denominator:
            raise FormulaError(f"an exponent with denominator {coefficient.denominator}")
        root = self.roots.setdefault((atom, monomial), self.draw.randrange(2, PRIME))
        return _power(root, int(coefficient * ROOTS))

    def _fixed(self, atom: Atom) -> int | None:
        """Atoms whose value is bound by a relation: numbers, sums, the circle."""
        if atom[0] == "prime":
            assert isinstance(atom[1], int)
            return atom[1] % PRIME
        if atom[0] == "sum":
            return self.polynomial(thaw(atom[1]))  # type: ignore[arg-type]
        if atom[0] in ("cos", "sin"):
            t = self.roots.setdefault((("angle", *atom[1:]), UNIT), self.draw.randrange(2, PRIME))
            scale = _power(1 + t * t, -1)
            return (1 - t * t) * scale % PRIME if atom[0] == "cos" else 2 * t * scale % PRIME
        return None


def _power(base: int, exponent: int) -> int:
    if exponent < 0 and base % PRIME == 0:
        raise UnluckyPointError
    return pow(base, exponent, PRIME)


def _square_root(value: int) -> int:
    root = pow(value, (PRIME + 1) // 4, PRIME)
    if root * root % PRIME != value % PRIME:
        raise UnluckyPointError
    return root


def _rational(value: Fraction) -> int:
    return value.numerator % PRIME * pow(value.denominator, -1, PRIME) % PRIME


def vanishes(term: Term, kinds: Kinds, seed: int = 1) -> bool:
    """The formula is zero at `POINTS` random points."""
    found = 0
    for attempt in range(200):
        try:
            if Point(kinds, seed + attempt).value(term):
                return False
        except UnluckyPointError:
            continue
        found += 1
        if found == POINTS:
            return True
    raise FormulaError("no point where the formula is defined")


def is_application(term: Term, name: str) -> bool:
    """The formula is `name(...)`."""
    return term.head == "app" and parts(term)[0] == name
