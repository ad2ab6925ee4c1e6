"""From theorem data to the proof file: obligations written down, nothing computed.

Each obligation is expressed with the operators At and D of the formula language, so writing a proof needs no
algebra; the prover and the checker each carry the operators out by themselves.
"""

from typing import Any

from .axioms import AXIOMS
from .check import FORMAT, display
from .model import Refutation, Statement, Step, Theorem, Use
from .terms import ONE, ZERO, Relation, Term, add, apply, negate, parse, parse_relation, substitute, symbol


def needs(use: Use, points: int) -> list[Relation]:
    """The conditions of an axiom at this use; `points` counts the named points around it."""
    axiom = AXIOMS.get(use.fact)
    if axiom is None:
        return []
    values = {k: parse(v) for k, v in use.values.items()}
    if axiom.point:
        values["point"] = symbol(point_name(points))
    relations = [parse_relation(n) for n in axiom.needs]
    return [Relation(substitute(r.left, values), r.op, substitute(r.right, values)) for r in relations]


def point_name(points: int) -> str:
    """The name of the next point inside `points` others."""
    return f"point{points or ''}"


def points_inside(step: Step, place: int, points: int) -> int:
    """Named points around the child at `place` of a step inside `points` of them."""
    if step.by != "consequence":
        return points
    owners = [use for use in step.uses for _ in needs(use, points)]
    return points + bool(AXIOMS[owners[place].fact].point)


def obligations(goal: Relation, step: Step, points: int = 0) -> list[Relation]:
    """What the rule of `step` leaves to show, in the order of its children."""
    if step.by == "consequence":
        return [relation for use in step.uses for relation in needs(use, points)]
    if not step.children:
        return []
    variable = symbol(step.variable)

    def at(relation: Relation, value: Term) -> Relation:
        sides = (apply("At", side, variable, value) for side in (relation.left, relation.right))
        left, right = sides
        return Relation(left, relation.op, right)

    start = parse(step.start)
    if step.by == "induction":
        bases = [at(goal, add(start, *([ONE] * j))) for j in range(step.depth)]
        return [*bases, at(goal, add(variable, ONE))]
    if step.by == "constant":
        return [Relation(apply("D", goal.left, variable), "==", ZERO), at(goal, start)]
    difference = add(goal.left, negate(goal.right))
    above = Relation(difference, ">=", ZERO)
    slope = apply("D", difference, variable)
    if step.by == "convex":
        curvature = Relation(apply("D", slope, variable), ">=", ZERO)
        return [at(above, start), at(Relation(slope, "==", ZERO), start), curvature]
    return [at(above, start), Relation(slope, ">=", ZERO)]


def flatten(goal: Relation, step: Step, steps: list[dict[str, Any]], points: int = 0) -> None:
    """Append the step and, in order, the steps of its obligations."""
    record: dict[str, Any] = {"number": len(steps) + 1, "shows": str(goal), "by": step.by}
    if step.by in ("algebra", "consequence"):
        record["uses"] = [
            {"fact": u.fact, "with": dict(u.values), "times": u.times, "derive": list(u.derive)} for u in step.uses
        ]
    elif step.by == "order-types":
        record["names"] = list(step.names)
    elif step.by == "branch-and-bound":
        record["box"] = {k: list(v) for k, v in step.box.items()}
    else:
        record |= {"variable": step.variable, "start": step.start}
        if step.by == "induction":
            record["depth"] = step.depth
    steps.append(record)
    for place, (obligation, child) in enumerate(zip(obligations(goal, step, points), step.children, strict=True)):
        flatten(obligation, child, steps, points_inside(step, place, points))


def statement_json(statement: Statement) -> dict[str, Any]:
    """The statement with its claims as text and LaTeX."""
    return {
        "variables": dict(statement.variables),
        "definitions": dict(statement.definitions),
        "given": {k: {"formula": g.formula, "for_all": list(g.for_all)} for k, g in statement.given.items()},
        "claims": list(statement.claims),
        **display(statement),
    }


def proof_json(theorem: Theorem, parameters: dict[str, str] | None = None) -> dict[str, Any]:
    """One proof as the checker reads it."""
    steps: list[dict[str, Any]] = []
    for claim, step in zip(theorem.statement.claims, theorem.proof, strict=True):
        flatten(parse_relation(claim), step, steps)
    return {
        "format": "theorem",
        "id": theorem.id,
        "parameters": dict(parameters or {}),
        "title": theorem.title,
        "words": theorem.words,
        "source": theorem.source,
        "statement": statement_json(theorem.statement),
        "assumptions": list(theorem.axioms),
        "lemmas": list(theorem.lemmas),
        "steps": steps,
        "trusted": [],
        "verdict": "proved",
    }


def refutation_json(
    refutation: Refutation, found: tuple[int, str, str], parameters: dict[str, str] | None = None
) -> dict[str, Any]:
    """One refutation as the checker reads it; `found` from the witness."""
    claim, left, right = found
    return {
        "format": "refutation",
        "id": refutation.id,
        "parameters": dict(parameters or {}),
        "mistake": refutation.mistake,
        "statement": statement_json(refutation.statement),
        "witness": dict(refutation.witness),
        "claim": claim,
        "left": left,
        "right": right,
        "verdict": "refuted",
    }


def collection(items: list[dict[str, Any]]) -> dict[str, Any]:
    """A proof file."""
    return {"format": FORMAT, "items": items}
