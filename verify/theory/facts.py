"""What the checker may use: declarations, facts with their conditions, and the step that adds facts up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from .calculus import differentiate, expand, expand_relation, instantiate
from .field import vanishes
from .normal import (
    E,
    Exponent,
    Kinds,
    cleared,
    freeze,
    integer_valued,
    names_in,
    normal,
    positive,
    thaw,
)
from .spelling import divisors, empty, harmless, respelled
from .terms import (
    BINDERS,
    FormulaError,
    Relation,
    Term,
    add,
    free_names,
    mul,
    negate,
    number,
    parse,
    parse_relation,
    parts,
    power,
    substitute,
    symbol,
)

BUILT_IN = frozenset({"pi"})
SMOOTH = ("real", "positive", "nonnegative", "vector")


class ProofError(Exception):
    """A proof that does not prove what it claims.

    Attributes:
        step: number of the step, or None where the file as a whole is at fault.
        reason: what is wrong.
    """

    def __init__(self, step: int | None, reason: str) -> None:
        super().__init__(f"step {step}: {reason}" if step is not None else reason)
        self.step = step
        self.reason = reason


@dataclass(frozen=True)
class Fact:
    """An expanded relation that may be used; `replaceable` names with their kinds take values."""

    relation: Relation
    replaceable: Mapping[str, str]
    condition: str | None = None
    needs: tuple[Relation, ...] = ()
    point: str = ""


@dataclass
class Context:
    """What holds while a claim is proved: declarations, definitions, facts, principles allowed."""

    kinds: Kinds
    definitions: Mapping[str, Term]
    facts: Mapping[str, Fact]
    principles: frozenset[str]
    rigid: frozenset[str] = frozenset()
    used: set[str] = field(default_factory=set)
    obligations: list[str] = field(default_factory=list)

    def read(self, text: Any) -> Term:
        """Parse and expand a formula of the file; every name must be declared."""
        term = parse(text)
        self.known(free_names(term))
        return expand(term, self.definitions, self.kinds)

    def read_relation(self, text: Any) -> Relation:
        """The same for a relation."""
        relation = parse_relation(text)
        self.known(free_names(relation.left) | free_names(relation.right))
        return expand_relation(relation, self.definitions, self.kinds)

    def known(self, names: frozenset[str]) -> None:
        """Raise for names that are neither declared nor defined."""
        unknown = names - self.kinds.of.keys() - self.definitions.keys() - BUILT_IN
        if unknown:
            raise FormulaError(f"undeclared name {sorted(unknown)[0]}")


@dataclass(frozen=True)
class Goal:
    """An obligation as it is written, with D and At to be carried out, and expanded; and where it holds."""

    written: Relation
    expanded: Relation
    context: Context


def goal_of(text: str, context: Context) -> Goal:
    """A claim of the statement."""
    return Goal(parse_relation(text), context.read_relation(text), context)


def same(a: Relation, b: Relation, kinds: Kinds) -> bool:
    """The same relation up to rewriting both sides and turning it round; `b` may not be `x == x` where `a` is not."""
    if empty(b) and not empty(a):
        return False
    first, second = ([normal(t, kinds) for t in (r.left, r.right)] for r in (a, b))
    if a.op == b.op and first == second:
        return True
    turned = {"==": "==", ">=": "<=", "<=": ">=", ">": "<"}[b.op]
    return a.op == turned and first == second[::-1] and first[0] != first[1]


def shows(goal: Goal, text: Any, context: Context) -> bool:
    """The displayed relation is the obligation, respelled; or equal to it where that is not about numbers alone."""
    kinds = context.kinds
    relation = context.read_relation(text)
    if respelled(goal.written, parse_relation(text), kinds):
        return True
    sides = relation.left, relation.right
    allowed = set[Exponent]().union(
        *(divisors(t, kinds) for r in (goal.written, goal.expanded) for t in (r.left, r.right))
    )
    if not divisors(sides[0], kinds) | divisors(sides[1], kinds) <= allowed:
        return False
    left, right = (normal(t, kinds) for t in (goal.expanded.left, goal.expanded.right))
    numbers = all(isinstance(freeze(p), Fraction) for p in (left, right))
    return not numbers and same(goal.expanded, relation, kinds)


def admits(value: Term, kind: str, kinds: Kinds) -> bool:
    """The formula is known to be of the kind for all admitted values of its variables."""
    if kind == "function":
        return value.head == "lam" or (value.head == "sym" and kinds.of.get(str(value.data)) == "function")
    if value.head == "lam":
        return False
    if kind in ("real", "vector"):
        return True
    poly = normal(value, kinds)
    if kind == "positive":
        return positive(poly, kinds)
    if kind == "nonnegative":
        return positive(poly, kinds, strict=False)
    if kind == "integer":
        return integer_valued(poly, kinds)
    if kind == "natural":
        shifts = {n: add(symbol(n), number(low)) for n, low in kinds.lower.items() if low > 0}
        shifted = normal(substitute(value, shifts), Kinds(kinds.of))
        return integer_valued(poly, kinds) and positive(shifted, Kinds(kinds.of), strict=False)
    return False


def never_zero(term: Term, kinds: Kinds) -> bool:
    """The formula is known to keep away from zero: positive throughout or negative throughout, without integrals."""
    poly = normal(term, kinds)
    if any(atom[0] in BINDERS for monomial in poly for atom, _ in monomial):
        return False  # an integral or a sum may diverge
    return positive(poly, kinds) or positive({m: -c for m, c in poly.items()}, kinds)


def defined_everywhere(term: Term, kinds: Kinds) -> Term:
    """The formula, if it divides by nothing that may vanish: a use "times 1/(a - b)" of a == b would prove anything.

    Raises:
        FormulaError: a divisor, or the base of a power that is not a whole number >= 0, is not known to be non-zero.
    """
    for part in term.args:
        defined_everywhere(part, kinds)
    if term.head == "pow" and not harmless(term.args[1]) and not never_zero(term.args[0], kinds):
        raise FormulaError(f"divides by {term.args[0]}, which is not known to be non-zero")
    if term.head == "app" and parts(term)[0] == "fact" and not admits(term.args[0], "natural", kinds):
        raise FormulaError(f"{term}: not known to be the factorial of a natural number")
    return term


def decays(function: Term, kinds: Kinds) -> bool:
    """Each term is a Gaussian of the variable times powers, sines and cosines of it: it vanishes at infinity."""
    if function.head != "lam" or not isinstance(function.data, tuple) or len(function.data) != 1:
        return False
    name = function.data[0]
    for monomial in normal(function.args[0], kinds):
        gaussian = False
        for atom, exponent in monomial:
            if name not in names_in((atom, exponent)):
                continue
            if atom == E:
                square = {m: c for m, c in thaw(exponent).items() if name in names_in(m)}
                for m, c in square.items():
                    rest = frozenset(p for p in m if p[0] != ("var", name))
                    if dict(m).get(("var", name)) != 2 or name in names_in(rest) or not positive({rest: -c}, kinds):
                        return False
                gaussian = True
            elif atom[0] not in ("var", "cos", "sin") or not isinstance(exponent, Fraction) or exponent < 0:
                return False
        if not gaussian:
            return False
    return True


def _equal_by_hypothesis(name: str, values: Mapping[str, Term], context: Context) -> None:
    """The two things that an instance equates are equal by one hypothesis `... is a field`, at some values."""
    if name == "equal-arguments":
        pair = values.get("a", symbol("a")), values.get("b", symbol("b"))
    else:
        if any(n not in values or values[n].head != "lam" for n in ("h", "k")):
            raise FormulaError(f"{name} needs functions")
        point = symbol("point_of_integration")
        sides = (substitute(Term("app", ("h", 0), (point,)), {"h": values[n]}) for n in ("h", "k"))
        first, second = sides
        pair = first, second
    kinds = context.kinds
    difference = normal(add(pair[0], negate(pair[1])), kinds)
    for key, fact in context.facts.items():
        if not key.startswith("given:"):
            continue
        for spot in _spots(pair[0], context):
            relation = instantiate(fact.relation, {k: v for k, v in spot.items() if k in fact.replaceable}, kinds)
            if normal(add(relation.left, negate(relation.right)), kinds) == difference:
                context.used.add(key)
                return
    raise FormulaError(f"{name}: the two are not equal by a hypothesis")


def _spots(term: Term, context: Context) -> Iterator[dict[str, Term]]:
    """Values of x and s at which Fp(S x, S s) is the given formula."""
    shrink = power(symbol("S"), number(-1))
    if term.head == "app" and len(term.args) == 2:
        yield {"x": mul(shrink, term.args[0]), "s": mul(shrink, term.args[1])}


def _instance(use: Mapping[str, Any], context: Context, left_over: list[Goal] | None) -> tuple[Relation, Term]:
    """The relation that a use contributes, and its coefficient; its needs go to `left_over` if that is given."""
    name = use["fact"]
    fact = context.facts.get(name)
    if fact is None:
        raise FormulaError(f"{str(name)[:60]!r} is not a fact that may be used here")
    context.used.add(name)
    values = {}
    for variable, text in use["with"].items():
        if variable not in fact.replaceable:
            raise FormulaError(f"{variable} of {name} may not be replaced")
        values[variable] = defined_everywhere(context.read(text), context.kinds)
    for variable, kind in fact.replaceable.items():
        value = values.get(variable, symbol(variable))
        occurs = variable in free_names(fact.relation.left) | free_names(fact.relation.right)
        if not occurs:
            if variable in values:
                raise FormulaError(f"{variable} does not occur in {name}")
            continue
        context.known(free_names(value))
        if not admits(value, kind, context.kinds):
            raise FormulaError(f"{variable} of {name} must be {kind}, got {value}")
        if fact.condition == "decays" and kind == "function" and not decays(value, context.kinds):
            raise FormulaError(f"{variable} of {name} must vanish at infinity, got {value}")
    if fact.needs and left_over is not None:
        left_over += _needs(fact, values, {k: parse(v) for k, v in use["with"].items()}, context)
    elif fact.condition == "equal":
        _equal_by_hypothesis(name, values, context)
    elif fact.needs:
        raise FormulaError(f"{name} holds under conditions, which only a consequence proves")
    relation = instantiate(fact.relation, values, context.kinds)
    for variable in use["derive"]:
        if context.kinds.of.get(variable) not in SMOOTH or variable in context.rigid:
            raise FormulaError(f"{name} does not hold for all {variable}, so it has no derivative in it")
        if relation.op != "==":
            raise FormulaError("inequalities have no derivative")
        relation = Relation(differentiate(relation.left, variable), "==", differentiate(relation.right, variable))
    return relation, defined_everywhere(context.read(use["times"]), context.kinds)


def _needs(fact: Fact, values: Mapping[str, Term], written: Mapping[str, Term], context: Context) -> list[Goal]:
    """The conditions of an instance, at a point with a name of its own."""
    kinds = context.kinds
    if fact.point:
        count = 0
        while (name := f"point{count or ''}") in kinds.of:
            count += 1
        kinds = Kinds({**kinds.of, name: fact.point}, kinds.lower)
        values, written = ({**v, "point": symbol(name)} for v in (values, written))
    inner = replace(context, kinds=kinds)
    return [Goal(_put(r, written), instantiate(r, values, kinds), inner) for r in fact.needs]


def _put(relation: Relation, values: Mapping[str, Term]) -> Relation:
    return Relation(substitute(relation.left, values), relation.op, substitute(relation.right, values))


def close_by_algebra(
    goal: Relation, uses: list[Mapping[str, Any]], context: Context, left_over: list[Goal] | None = None
) -> None:
    """goal.left - goal.right - sum times (left - right) vanishes (==) or is manifestly non-negative (>=)."""
    residual = add(goal.left, negate(goal.right))
    if goal.op == "<=":
        residual = negate(residual)
    for use in uses:
        relation, coefficient = _instance(use, context, left_over)
        difference = add(relation.left, negate(relation.right))
        if relation.op in (">=", ">", "<="):
            if goal.op == "==":
                raise FormulaError("an inequality does not prove an equation")
            if not positive(normal(coefficient, context.kinds), context.kinds, strict=False):
                raise FormulaError("an inequality may only be used with a non-negative factor")
            difference = negate(difference) if relation.op == "<=" else difference
        contribution = mul(coefficient, difference)
        if not normal(contribution, context.kinds):
            raise FormulaError(f"the use of {use['fact']} contributes nothing")
        residual = add(residual, negate(contribution))
    remaining = cleared(normal(residual, context.kinds))
    if goal.op == "==":
        if remaining:
            raise FormulaError(f"does not vanish: {len(remaining)} terms are left")
        if not vanishes(residual, context.kinds):
            raise FormulaError("does not vanish at random points of a finite field")
    elif not positive(normal(residual, context.kinds), context.kinds, strict=goal.op == ">"):
        raise FormulaError("is not manifestly non-negative")
