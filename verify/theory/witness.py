"""Evaluation of a statement at a witness: the only way in which the checker accepts a refutation."""

from collections.abc import Mapping
from fractions import Fraction

from .calculus import expand_relation, instantiate
from .interval import as_fractions, evaluate
from .model import Statement
from .normal import Kinds, normal
from .rules import admits
from .terms import FormulaError, Relation, Term, free_names, parse, parse_relation, substitute

DIGITS = 12


def evaluate_witness(statement: Statement, witness: Mapping[str, str]) -> tuple[int, str, str] | None:
    """The first claim that fails at the witness, with both sides as exact or enclosed numbers; None if none does.

    Every declared variable needs a value of its kind, every function a lambda; hypotheses must hold there
    identically in the names they are universal in.

    Raises:
        FormulaError: the witness is incomplete, of the wrong kind, or violates a hypothesis.
    """
    from .check import context_of

    context = context_of(statement, {}, frozenset())
    kinds = context.kinds
    values = {}
    for name, kind in statement.variables.items():
        if name not in witness:
            raise FormulaError(f"the witness gives no value for {name}")
        value = parse(witness[name])
        if free_names(value) - {"pi"}:
            raise FormulaError(f"the witness for {name} depends on {sorted(free_names(value))[0]}")
        if kind.startswith("in "):
            raise FormulaError("refuted statements do not confine variables to a box")
        if not admits(value, kind, Kinds()):
            raise FormulaError(f"{name} must be {kind}, the witness says {value}")
        values[name] = value
    if witness.keys() - statement.variables.keys():
        raise FormulaError("the witness gives a value for an undeclared name")
    for name, item in statement.given.items():
        fixed = {k: v for k, v in values.items() if k not in item.for_all}
        relation = instantiate(context.read_relation(item.formula), fixed, kinds)
        if normal(_difference(relation), kinds):
            raise FormulaError(f"the hypothesis {name} does not hold at the witness")
    for position, claim in enumerate(statement.claims, 1):
        raw = parse_relation(claim)
        functions = {k: v for k, v in values.items() if v.head == "lam"}
        raw = Relation(substitute(raw.left, functions), raw.op, substitute(raw.right, functions))
        relation = expand_relation(raw, context.definitions, kinds)
        relation = instantiate(relation, values, kinds)
        sides = [_number(t) for t in (relation.left, relation.right)]
        if _fails(sides[0], relation.op, sides[1]):
            return position, _show(sides[0]), _show(sides[1])
    return None


def _difference(relation: Relation) -> Term:
    return Term("add", None, (relation.left, Term("mul", None, (parse("-1"), relation.right))))


def _number(term: Term) -> tuple[Fraction, Fraction]:
    """Exact where the normal form is rational, else an enclosure."""
    try:
        poly = normal(term, Kinds())
    except FormulaError:
        poly = {}
        exact = False
    else:
        exact = all(not m for m in poly)
    if exact:
        value = sum(poly.values(), Fraction(0))
        enclosure = as_fractions(evaluate(term, {}))
        if enclosure[0] <= value <= enclosure[1]:
            return value, value
        return enclosure
    return as_fractions(evaluate(term, {}))


def _fails(left: tuple[Fraction, Fraction], op: str, right: tuple[Fraction, Fraction]) -> bool:
    if op == "==":
        return left[1] < right[0] or right[1] < left[0]
    if op == "<=":
        left, right = right, left
    return left[1] < right[0] or (op == ">" and left[1] <= right[0])


def _show(value: tuple[Fraction, Fraction]) -> str:
    if value[0] == value[1]:
        return str(value[0])
    scale = 10**DIGITS
    low, high = value[0] * scale // 1, -(-value[1] * scale // 1)
    return f"[{Fraction(low, scale)}, {Fraction(high, scale)}]"
