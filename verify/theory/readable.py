"""Normal forms back into formulas, and facts with their values put in: what a written-out derivation shows."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, cast

from .axioms import AXIOMS
from .model import Theorem, Use
from .normal import UNIT, E, Exponent, Monomial, Poly, thaw
from .terms import (
    Relation,
    Term,
    add,
    apply,
    mul,
    number,
    parse,
    parse_relation,
    power,
    substitute,
    symbol,
)

BOUND = "uvw"


def term_of(poly: Poly, depth: int = 0) -> Term:
    """A normal form as a formula: what all terms share stands before the sum. `depth` counts integrals around."""
    if not poly:
        return number(0)
    shared = cast(Monomial, frozenset.intersection(*poly)) if len(poly) > 1 else UNIT
    rest = add(*sorted((_monomial(m - shared, c, depth) for m, c in poly.items()), key=_size))
    return mul(_monomial(shared, Fraction(1), depth), rest) if shared else rest


def _size(term: Term) -> tuple[int, str]:
    return len(str(term)), str(term)


def _monomial(monomial: Monomial, coefficient: Fraction, depth: int) -> Term:
    return mul(number(coefficient), *sorted((_power(a, e, depth) for a, e in monomial), key=_size))


def _power(atom: tuple[Any, ...], value: Exponent, depth: int) -> Term:
    exponent = _exponent(value, depth)
    return apply("exp", exponent) if atom == E else power(_atom(atom, depth), exponent)


def _exponent(value: Exponent, depth: int) -> Term:
    return number(value) if isinstance(value, Fraction) else term_of(thaw(value), depth)


def _atom(atom: tuple[Any, ...], depth: int) -> Term:
    kind, *rest = atom
    match kind:
        case "var":
            name = str(rest[0])
            return symbol(BOUND[int(name.removeprefix("bound."))] if name.startswith("bound.") else name)
        case "-1" | "prime":
            return number(rest[0] if rest else -1)
        case "log":
            return apply("log", _atom(rest[0], depth))
        case "app":
            name, orders, *args = rest
            values = [_exponent(a, depth) for a in args]
            return apply(name, *values, index=tuple(_exponent(o, depth) for o in orders))
        case "Int" | "Sum":
            body = _monomial(rest[0], Fraction(1), depth + 1)
            return apply(kind, body, symbol(BOUND[depth]), *(_exponent(r, depth) for r in rest[1:]))
    inner = _exponent(rest[0], depth)  # of a sum under a power, cos, sin, fact
    return inner if kind == "sum" else apply(kind, inner)


def instance(theorem: Theorem, fact: Use, library: Mapping[str, Theorem]) -> Relation | None:
    """The fact with its values put in, differentiated where the proof says so; None for an induction hypothesis."""
    found = _schema(theorem, fact.fact, library)
    if found is None:
        return None
    values = {name: parse(text) for name, text in fact.values.items()}
    sides = [substitute(side, values) for side in (found.left, found.right)]
    for variable in fact.derive:
        sides = [apply("D", side, symbol(variable)) for side in sides]
    return Relation(sides[0], found.op, sides[1])


def _schema(theorem: Theorem, name: str, library: Mapping[str, Theorem]) -> Relation | None:
    if name.startswith("given:"):
        return parse_relation(theorem.statement.given[name.removeprefix("given:")].formula)
    lemma, _, claim = name.partition("/")
    if claim:
        return parse_relation(library[lemma].statement.claims[int(claim) - 1])
    axiom = AXIOMS.get(name)
    return parse_relation(axiom.formula) if axiom is not None and axiom.formula is not None else None
