"""The inference rules of the checker: one obligation in, the step that closes it, further obligations out."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from .calculus import differentiate, instantiate
from .cases import bisect, order_types
from .facts import (
    BUILT_IN,
    SMOOTH,
    Context,
    Fact,
    Goal,
    ProofError,
    admits,
    close_by_algebra,
    defined_everywhere,
    goal_of,
    same,
    shows,
)
from .normal import Kinds, freeze, normal
from .terms import ONE, ZERO, FormulaError, Relation, Term, add, apply, free_names, negate, number, symbol

__all__ = ["BUILT_IN", "Context", "Fact", "Goal", "ProofError", "admits", "goal_of", "prove", "same"]

PRINCIPLES = {
    "induction": "induction",
    "constant": "mean-value",
    "increasing": "mean-value",
    "convex": "mean-value",
}


def prove(goal: Goal, steps: Iterator[Mapping[str, Any]]) -> None:
    """Consume the steps that prove the goal, in order; each must show exactly the obligation derived here.

    Raises:
        ProofError: at the first step that is missing, shows something else or does not follow.
    """
    step = next(steps, None)
    if step is None:
        raise ProofError(None, f"a step that shows {str(goal.written)[:120]} is missing")
    context = goal.context
    try:
        if not shows(goal, step["shows"], context):
            raise FormulaError(f"shows another relation than the obligation {str(goal.written)[:200]}")
        rule = step["by"]
        principle = PRINCIPLES.get(rule)
        if principle is not None:
            if principle not in context.principles:
                raise FormulaError(f"uses {principle}, which is not among the assumptions")
            context.used.add(principle)
        context.obligations.append(rule)
        obligations = _apply(rule, goal, step)
    except FormulaError as error:
        raise ProofError(step["number"], str(error)) from error
    for obligation in obligations:
        prove(obligation, steps)


def _apply(rule: str, goal: Goal, step: Mapping[str, Any]) -> list[Goal]:
    relation, context = goal.expanded, goal.context
    if rule == "algebra":
        close_by_algebra(relation, step["uses"], context)
        return []
    if rule == "consequence":
        left_over: list[Goal] = []
        close_by_algebra(relation, step["uses"], context, left_over)
        if not left_over:
            raise FormulaError("consequence without a condition to prove: that is algebra")
        return left_over
    if rule == "order-types":
        order_types(relation, step["names"], context.kinds)
        return []
    if rule == "branch-and-bound":
        box = {n: tuple(_rational(context.read(v)) for v in ends) for n, ends in step["box"].items()}
        _check_box(box, relation, context)
        bisect(relation, box)  # type: ignore[arg-type]
        return []
    variable = step["variable"]
    if variable in context.rigid or variable not in context.kinds.of:
        raise FormulaError(f"{variable} is fixed by a hypothesis or not declared")
    kind = context.kinds.of[variable]
    start = defined_everywhere(context.read(step["start"]), context.kinds)
    if rule == "induction":
        return _induction(goal, variable, kind, start, step["depth"])
    if rule == "constant":
        if relation.op != "==" or variable in free_names(relation.right) or kind not in SMOOTH:
            raise FormulaError("constant needs an equation whose right side is free of the variable")
        if not admits(start, kind, context.kinds):
            raise FormulaError(f"the starting value must be {kind}")
        left = Goal(Relation(goal.written.left, "==", ZERO), Relation(relation.left, "==", ZERO), context)
        return [_slope(left, variable), _at(goal, variable, start)]
    if rule == "increasing":
        if relation.op != ">=" or kind not in ("nonnegative", "positive") or start != ZERO:
            raise FormulaError("increasing needs left >= right for a variable >= 0, from 0")
        difference = Goal(_difference(goal.written), _difference(relation), context)
        return [_at(difference, variable, start), _slope(difference, variable)]
    if rule == "convex":
        if relation.op != ">=" or kind != "real":
            raise FormulaError("convex needs left >= right for a real variable")
        difference = Goal(_difference(goal.written), _difference(relation), context)
        slope = _slope(difference, variable)
        level = _at(slope, variable, start)
        flat = replace(level, written=_equation(level.written), expanded=_equation(level.expanded))
        return [_at(difference, variable, start), flat, _slope(slope, variable)]
    raise FormulaError(f"unknown rule {str(rule)[:40]!r}")


def _difference(relation: Relation) -> Relation:
    return Relation(add(relation.left, negate(relation.right)), ">=", ZERO)


def _equation(relation: Relation) -> Relation:
    return Relation(relation.left, "==", relation.right)


def _slope(goal: Goal, variable: str) -> Goal:
    """The derivative of a relation with 0 on the right."""
    written = Relation(apply("D", goal.written.left, symbol(variable)), goal.written.op, ZERO)
    expanded = Relation(differentiate(goal.expanded.left, variable), goal.expanded.op, ZERO)
    return Goal(written, expanded, goal.context)


def _at(goal: Goal, variable: str, value: Term) -> Goal:
    sides = (apply("At", t, symbol(variable), value) for t in (goal.written.left, goal.written.right))
    left, right = sides
    expanded = instantiate(goal.expanded, {variable: value}, goal.context.kinds)
    return Goal(Relation(left, goal.written.op, right), expanded, goal.context)


def _induction(goal: Goal, variable: str, kind: str, start: Term, depth: Any) -> list[Goal]:
    context = goal.context
    if kind != "natural" or "IH" in context.facts:
        raise FormulaError("induction needs a natural number, and is not nested")
    first = _rational(start)
    if first != 0 or depth not in (1, 2):
        raise FormulaError("induction starts at 0 with one or two previous values")
    bases = [_at(goal, variable, number(first + j)) for j in range(depth)]
    lower = {**context.kinds.lower, variable: int(first) + depth - 1}
    facts = dict(context.facts)
    for j in range(depth):
        shifted = instantiate(goal.expanded, {variable: add(symbol(variable), number(-j))}, context.kinds)
        facts["IH" if j == 0 else f"IH-{j}"] = Fact(shifted, {})
    inner = replace(context, kinds=Kinds(context.kinds.of, lower), facts=facts)
    return [*bases, _at(replace(goal, context=inner), variable, add(symbol(variable), ONE))]


def _rational(term: Term) -> Fraction:
    poly = normal(term, Kinds())
    frozen = freeze(poly)
    if not isinstance(frozen, Fraction):
        raise FormulaError(f"a rational number is needed, got {term}")
    return frozen


def _check_box(box: Mapping[str, tuple[Fraction, ...]], goal: Relation, context: Context) -> None:
    """Branch and bound proves a claim only if the declarations confine the variables to the box."""
    names = (free_names(goal.left) | free_names(goal.right)) - BUILT_IN
    for name in names:
        if name not in box or len(box[name]) != 2:
            raise FormulaError(f"the box has no side for {name}")
        if context.kinds.of.get(name) != f"in {box[name][0]} {box[name][1]}":
            raise FormulaError(f"{name} is not declared to lie in the box")
