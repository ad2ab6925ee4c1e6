"""Normal forms back into formulas, and facts with their values put in: what a written-out derivation shows."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, cast

from .axioms import AXIOMS
from .calculus import expand_relation
from .library import THEOREMS
from .model import Theorem, Use
from .normal import UNIT, E, Exponent, Kinds, Monomial, Poly, names_in, thaw
from .terms import (
    ZERO,
    Relation,
    Term,
    add,
    apply,
    folded,
    free_names,
    mul,
    number,
    parse,
    parse_relation,
    parts,
    power,
    substitute,
    symbol,
)

BOUND = "uvwpqabcdefghijklmn"


def term_of(poly: Poly) -> Term:
    """A normal form as a formula: what all terms share stands before the sum."""
    taken = frozenset[str]().union(*(names_in((a, e)) for m in poly for a, e in m))
    return _Writer([name for name in BOUND if name not in taken]).sum(poly, 0)


def _size(term: Term) -> tuple[int, str]:
    return len(str(term)), str(term)


class _Writer:
    """Writes normal forms; `bound` names the variables of integrals and sums, from the outside in."""

    def __init__(self, bound: Sequence[str]) -> None:
        self.bound = bound

    def sum(self, poly: Poly, depth: int) -> Term:
        """The whole; `depth` counts the integrals around."""
        if not poly:
            return ZERO
        shared = cast(Monomial, frozenset.intersection(*poly)) if len(poly) > 1 else UNIT
        rest = add(*sorted((self.monomial(m - shared, c, depth) for m, c in poly.items()), key=_size))
        return mul(self.monomial(shared, Fraction(1), depth), rest) if shared else rest

    def monomial(self, monomial: Monomial, coefficient: Fraction, depth: int) -> Term:
        """One term, short factors first."""
        return mul(number(coefficient), *sorted((self.power(a, e, depth) for a, e in monomial), key=_size))

    def power(self, atom: tuple[Any, ...], value: Exponent, depth: int) -> Term:
        """An atom to its exponent."""
        exponent = self.value(value, depth)
        return apply("exp", exponent) if atom == E else power(self.atom(atom, depth), exponent)

    def value(self, value: Exponent, depth: int) -> Term:
        """An exponent or an argument."""
        return number(value) if isinstance(value, Fraction) else self.sum(thaw(value), depth)

    def atom(self, atom: tuple[Any, ...], depth: int) -> Term:
        """An atom of the normal form, see `normal`."""
        kind, *rest = atom
        match kind:
            case "var":
                name = str(rest[0])
                return symbol(self.bound[int(name.removeprefix("bound."))] if name.startswith("bound.") else name)
            case "-1" | "prime":
                return number(rest[0] if rest else -1)
            case "log":
                return apply("log", self.atom(rest[0], depth))
            case "app":
                name, orders, *args = rest
                values = [self.value(a, depth) for a in args]
                return apply(name, *values, index=tuple(self.value(o, depth) for o in orders))
            case "Int" | "Sum" | "Sup" | "Max":
                linear = kind in ("Int", "Sum")
                inner = self.monomial(rest[0], Fraction(1), depth + 1) if linear else self.value(rest[0], depth + 1)
                return apply(kind, inner, symbol(self.bound[depth]), *(self.value(r, depth) for r in rest[1:]))
        inner = self.value(rest[0], depth)  # of a sum under a power, cos, sin, fact
        return inner if kind == "sum" else apply(kind, inner)


def tidy(term: Term) -> Term:
    """The same formula with its numbers worked out, x^1 and x^0 gone, and values put in where At says so."""
    term = Term(term.head, term.data, tuple(map(tidy, term.args)))
    if term.head == "app" and parts(term)[0] == "At":
        body, variable, value = parts(term)[2]
        renamed = value.head == "sym" and str(value.data) not in free_names(body)
        if renamed or variable not in _differentiated(body):
            return tidy(substitute(body, {str(variable.data): value}))
    return folded(term)


def _differentiated(term: Term) -> set[Term]:
    own = set(parts(term)[2][1:]) if term.head == "app" and parts(term)[0] == "D" else set()
    return own.union(*map(_differentiated, term.args))


def tidy_relation(relation: Relation) -> Relation:
    """`tidy` on both sides."""
    return Relation(tidy(relation.left), relation.op, tidy(relation.right))


def instance(theorem: Theorem, fact: Use, hypotheses: Mapping[str, Relation]) -> Relation:
    """The fact with its values put in, differentiated where the proof says so.

    Args:
        theorem: whose proof uses it.
        fact: the use.
        hypotheses: what an induction assumes at the moment, by name.
    """
    found = hypotheses[fact.fact] if fact.fact in hypotheses else _schema(theorem, fact.fact)
    values = {name: parse(text) for name, text in fact.values.items()}
    if any(str(v.data) in values for side in (found.left, found.right) for v in _differentiated(side)):
        found = expand_relation(found, {}, Kinds())
    sides = [substitute(side, values) for side in (found.left, found.right)]
    for variable in fact.derive:
        sides = [apply("D", side, symbol(variable)) for side in sides]
    return tidy_relation(Relation(sides[0], found.op, sides[1]))


def _schema(theorem: Theorem, name: str) -> Relation:
    if name.startswith("given:"):
        return parse_relation(theorem.statement.given[name.removeprefix("given:")].formula)
    lemma, _, claim = name.partition("/")
    if claim:
        return parse_relation(THEOREMS[lemma].statement.claims[int(claim) - 1])
    formula = AXIOMS[name].formula
    assert formula is not None
    return parse_relation(formula)
