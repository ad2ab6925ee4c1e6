"""How a formula is written, up to order and products: tells a rewritten statement from an emptied one.

`normal` decides equality, so for it both sides of a true identity are the same and `x == x` would stand for any of
them. A spelling carries nothing out: derivatives, integrals and defined functions stay as they are. Plain Python.
"""

from fractions import Fraction

from .normal import Exponent, Kinds, Poly, freeze, normal, positive
from .terms import ONE, ZERO, FormulaError, Relation, Term, bound, parts, substitute, symbol


def spelling(term: Term) -> Term:
    """Nested sums and products in one, neutral elements dropped, operands in a fixed order."""
    args = tuple(spelling(a) for a in term.args)
    if term.head not in ("add", "mul"):
        if term.head == "pow" and args[1] == ONE:
            return args[0]
        return Term(term.head, term.data, args)
    neutral = ZERO if term.head == "add" else ONE
    flat = [t for a in args for t in (a.args if a.head == term.head else (a,)) if t != neutral]
    if len(flat) < 2:
        return flat[0] if flat else neutral
    return Term(term.head, None, tuple(sorted(flat, key=str)))


def empty(relation: Relation) -> bool:
    """Both sides are spelled alike: nothing is said."""
    return spelling(relation.left) == spelling(relation.right)


def harmless(exponent: Term) -> bool:
    """A whole number >= 0: such a power is defined for every base."""
    value = exponent.data
    return isinstance(value, Fraction) and value.denominator == 1 and value >= 0


def divisors(term: Term, kinds: Kinds) -> set[Exponent]:
    """What the formula divides by or takes other than whole powers of, as shapes; what is known to be positive left out."""
    return _divisors(_opaque(term, 0), kinds)


def _divisors(term: Term, kinds: Kinds) -> set[Exponent]:
    found = set[Exponent]().union(*(_divisors(a, kinds) for a in term.args))
    power = term.head == "pow" and not harmless(term.args[1])
    if power or (term.head == "app" and term.data == ("power.", 0)):
        base = normal(term.args[0], kinds)
        if not positive(base, kinds):
            found.add(freeze(base))
    return found


def shape(term: Term, kinds: Kinds) -> Poly:
    """The formula as a polynomial in its applications and symbolic powers, none of them carried out."""
    return normal(_opaque(term, 0), kinds)


def _opaque(term: Term, depth: int) -> Term:
    if term.head == "lam":
        assert isinstance(term.data, tuple)
        names = tuple(f"slot.{depth}.{i}" for i in range(len(term.data)))
        body = substitute(term.args[0], dict(zip(term.data, map(symbol, names), strict=True)))
        return Term("app", ("function.", 0), (_opaque(body, depth + 1),))
    variable = bound(term)
    if variable is not None:
        name, _, args = parts(term)
        fresh = f"bound.{depth}"
        body = substitute(args[0], {variable: symbol(fresh)})
        rest = tuple(_opaque(a, depth) for a in args[2:])
        return Term("app", (f"{name}.", 0), (_opaque(body, depth + 1), *rest))
    inner = tuple(_opaque(a, depth) for a in term.args)
    if term.head == "app":
        name, index, _ = parts(term)
        return Term("app", (f"{name}.", len(index)), inner)
    if term.head == "pow" and not (inner[1].head == "num" and inner[1].data.denominator == 1):  # type: ignore[attr-defined]
        return Term("app", ("power.", 0), inner)
    return Term(term.head, term.data, inner)


def respelled(a: Relation, b: Relation, kinds: Kinds) -> bool:
    """`b` is `a` with sums commuted, products expanded, bound variables renamed or the sides turned round."""
    if a == b:
        return True
    if empty(b) and not empty(a):
        return False
    if _sides_alike(a, b, kinds):
        return True
    return a.op == b.op == "==" and _sides_alike(a, Relation(b.right, b.op, b.left), kinds)


def _sides_alike(a: Relation, b: Relation, kinds: Kinds) -> bool:
    return a.op == b.op and alike(a.left, b.left, kinds) and alike(a.right, b.right, kinds)


def alike(a: Term, b: Term, kinds: Kinds) -> bool:
    """`b` is `a` with sums commuted, products expanded or bound variables renamed.

    It divides by nothing that `a` does not divide by: `a*q/q` says nothing where q is zero.
    """
    if spelling(a) == spelling(b):
        return True
    try:
        return shape(a, kinds) == shape(b, kinds) and divisors(b, kinds) <= divisors(a, kinds)
    except FormulaError:
        return False
