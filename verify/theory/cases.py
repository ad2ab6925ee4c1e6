"""Two decision procedures of the checker: order types for max and comparisons, and branch and bound. No sympy."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from .interval import enclose, evaluate
from .normal import Kinds, Poly, normal, plus, positive
from .terms import (
    ONE,
    ZERO,
    FormulaError,
    Relation,
    Term,
    add,
    apply,
    number,
    parts,
    substitute,
    symbol,
)

MAX_NAMES = 5
MAX_BOXES = 60_000
LOGIC = ("iff", "both", "either", "le", "same")


def weak_orders(names: Sequence[str]) -> Iterator[list[list[str]]]:
    """All ways to rank the names with ties: a list of groups in increasing order."""
    if not names:
        yield []
        return
    first, *rest = names
    for order in weak_orders(rest):
        for i, group in enumerate(order):
            yield [*order[:i], [first, *group], *order[i + 1 :]]
        for i in range(len(order) + 1):
            yield [*order[:i], [first], *order[i:]]


def order_types(relation: Relation, names: Sequence[str], kinds: Kinds) -> int:
    """Prove the relation in every weak order of the names; the number of orders.

    In an order, each name is the lowest value plus a sum of positive gaps, so every difference of two names has
    a known sign and each max and comparison is decided.

    Raises:
        FormulaError: the relation fails or cannot be decided in some order.
    """
    if not 1 <= len(names) <= MAX_NAMES:
        raise FormulaError(f"order-types takes 1 to {MAX_NAMES} names, got {len(names)}")
    count = 0
    for order in weak_orders(list(names)):
        gaps = {f"gap{i}": "positive" for i in range(1, len(order))}
        local = Kinds({**kinds.of, **gaps, "lowest": "real"}, kinds.lower)
        level: Term = symbol("lowest")
        values: dict[str, Term] = {}
        for i, group in enumerate(order):
            level = add(level, symbol(f"gap{i}")) if i else level
            values.update(dict.fromkeys(group, level))
        left, right = (normal(_decide(substitute(t, values), local), local) for t in (relation.left, relation.right))
        difference = plus(left, right, Fraction(-1))
        if not _holds(difference, relation.op, local):
            raise FormulaError(f"fails in the order {' < '.join('='.join(g) for g in order)}")
        count += 1
    return count


def _holds(difference: Poly, op: str, kinds: Kinds) -> bool:
    if op == "==":
        return not difference
    if op == "<=":
        difference, op = plus({}, difference, Fraction(-1)), ">="
    return positive(difference, kinds, strict=op == ">")


def _sign(term: Term, kinds: Kinds) -> int:
    poly = normal(term, kinds)
    if not poly:
        return 0
    if positive(poly, kinds):
        return 1
    if positive(plus({}, poly, Fraction(-1)), kinds):
        return -1
    raise FormulaError(f"the sign of {term} is not decided")


def _decide(term: Term, kinds: Kinds) -> Term:
    args = tuple(_decide(a, kinds) for a in term.args)
    if term.head != "app":
        return Term(term.head, term.data, args)
    name, index, inner = parts(Term("app", term.data, args))
    if name == "max" and not index:
        best = inner[0]
        for other in inner[1:]:
            if _sign(add(other, _minus(best)), kinds) > 0:
                best = other
        return best
    if name in ("le", "same"):
        sign = _sign(add(inner[1], _minus(inner[0])), kinds)
        return ONE if (sign >= 0 if name == "le" else sign == 0) else ZERO
    if name in LOGIC:
        if any(i not in (ZERO, ONE) for i in inner):
            raise FormulaError(f"{name} takes comparisons")
        p, q = (i == ONE for i in inner)
        value = {"iff": p == q, "both": p and q, "either": p or q}[name]
        return ONE if value else ZERO
    return apply(name, *inner, index=index)


def _minus(term: Term) -> Term:
    return Term("mul", None, (number(-1), term))


def bisect(relation: Relation, box: Mapping[str, tuple[Fraction, Fraction]]) -> int:
    """Prove left >= right on a box by interval enclosures, halving the widest side; the number of boxes.

    Raises:
        FormulaError: it does not hold, or not within `MAX_BOXES` boxes.
    """
    sign = {">=": 1, "<=": -1, ">": 1}.get(relation.op)
    if sign is None:
        raise FormulaError("branch-and-bound proves inequalities")
    names = list(box)
    stack = [tuple(box[n] for n in names)]
    done = 0
    while stack:
        sides = stack.pop()
        done += 1
        if done > MAX_BOXES:
            raise FormulaError("branch-and-bound did not finish")
        values = {n: (enclose(low)[0], enclose(high)[1]) for n, (low, high) in zip(names, sides, strict=True)}
        left, right = evaluate(relation.left, values), evaluate(relation.right, values)
        low, high = (left, right) if sign > 0 else (right, left)
        if low[0] > high[1] or (low[0] == high[1] and relation.op != ">"):
            continue
        if low[1] < high[0]:
            raise FormulaError(f"fails on {[tuple(map(str, s)) for s in sides]}")
        widest = max(range(len(sides)), key=lambda i: sides[i][1] - sides[i][0])
        a, b = sides[widest]
        middle = (a + b) / 2
        for half in ((a, middle), (middle, b)):
            stack.append((*sides[:widest], half, *sides[widest + 1 :]))
    return done
