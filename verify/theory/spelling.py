"""How a formula is written, up to order and products: tells a rewritten statement from an emptied one.

`normal` decides equality, so for it both sides of a true identity are the same and `x == x` would stand for any of
them. A spelling carries nothing out: derivatives, integrals and defined functions stay as they are. Plain Python.
"""

from .normal import Kinds, Poly, normal
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


def shape(term: Term, kinds: Kinds) -> Poly:
    """The formula as a polynomial in its applications and symbolic powers, none of them carried out."""
    return normal(_opaque(term, 0), kinds)


def _opaque(term: Term, depth: int) -> Term:
    if term.head == "lam":
        assert isinstance(term.data, tuple)
        names = tuple(f"slot{depth}_{i}" for i in range(len(term.data)))
        body = substitute(term.args[0], dict(zip(term.data, map(symbol, names), strict=True)))
        return Term("app", ("function.", 0), (_opaque(body, depth + 1),))
    variable = bound(term)
    if variable is not None:
        name, _, args = parts(term)
        fresh = f"bound{depth}"
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
    """The same formula with sums commuted, products expanded or bound variables renamed."""
    if spelling(a) == spelling(b):
        return True
    try:
        return shape(a, kinds) == shape(b, kinds)
    except FormulaError:
        return False
