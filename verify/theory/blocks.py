"""A derivation as a sequence of headings, sentences and formulas, before any notation is chosen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import library
from .axioms import AXIOMS
from .check import context_of
from .model import Statement, Theorem, Use
from .normal import normal
from .proofs import proof_json
from .readable import instance, term_of
from .terms import FormulaError, Relation, Term, parse, parse_relation, symbol

if TYPE_CHECKING:
    from .derivation import Derivation

LONGEST = 600
KINDS = {"natural": "natural numbers", "integer": "integers", "vector": "points of R^N", "function": "any functions"}
RULES = {
    "order-types": "Every weak order of {names} is gone through.",
    "branch-and-bound": "Interval enclosures over a subdivision of the box.",
    "induction": "Induction on {variable}: the next steps are {depth} base case(s) from {start} and the step to"
    " {variable} + 1.",
    "constant": "The derivative in {variable} is zero, and the value at {start} is the right side.",
    "increasing": "Left minus right is not negative at {start}, nor is its derivative in {variable}.",
}


@dataclass(frozen=True)
class Block:
    """One piece of a page: kind heading, words or formula; `links` are ids of theorems that the words mention.

    `inline` is a formula that ends the sentence. `level` indents.
    """

    kind: str
    words: str = ""
    formula: Relation | None = None
    inline: Term | None = None
    links: tuple[str, ...] = ()
    level: int = 0


def blocks(found: Derivation) -> Iterator[Block]:
    """The page of one derivation."""
    theorem = found.theorem
    if theorem is not None and found.id in library.THEOREMS:
        yield Block("words", library.THEOREMS[found.id].words)
        yield Block("words", f"Source: {theorem.source}.")
    yield Block("heading", "Statement")
    yield from _statement(found.statement, results(found))
    if theorem is not None:
        yield from _assumptions(theorem)
        yield Block("heading", "Derivation" if found.wrong is None else "What holds instead")
        if found.wrong is not None:
            yield from _declarations(theorem.statement)
        yield from _steps(found, theorem)
    yield Block("heading", "Verdict")
    yield from _verdict(found)


def results(found: Derivation) -> list[str]:
    """The claims that the verdict is about, without those on the way."""
    if found.wrong is not None or found.explicit is None:
        return list(found.statement.claims)
    return [line.claim for line in found.explicit.lines if line.result]


def _statement(statement: Statement, claims: list[str]) -> Iterator[Block]:
    yield from _declarations(statement)
    yield Block("words", "Claim:" if len(claims) == 1 else "Claims:")
    for claim in claims:
        yield Block("formula", formula=parse_relation(claim))


def _declarations(statement: Statement) -> Iterator[Block]:
    of_kind: dict[str, list[str]] = {}
    for name, kind in statement.variables.items():
        of_kind.setdefault(kind, []).append(name)
    words = "; ".join(f"{', '.join(names)} {KINDS.get(kind, kind)}" for kind, names in of_kind.items())
    yield Block("words", f"For {words}." if words else "")
    if statement.definitions:
        yield Block("words", "Definitions:")
    for signature, body in statement.definitions.items():
        yield Block("formula", formula=Relation(parse(signature), "==", parse(body)))
    for name, given in statement.given.items():
        everywhere = f", for all {', '.join(given.for_all)}" if given.for_all else ""
        yield Block("words", f"Hypothesis, {name}{everywhere}:")
        yield Block("formula", formula=parse_relation(given.formula))


def _assumptions(theorem: Theorem) -> Iterator[Block]:
    if theorem.axioms or theorem.lemmas:
        yield Block("heading", "Assumptions")
    for name in theorem.axioms:
        yield Block("words", f"{name}: {AXIOMS[name].words}")
        if AXIOMS[name].formula is not None:
            yield Block("formula", formula=parse_relation(str(AXIOMS[name].formula)))
    for name in theorem.lemmas:
        yield Block("words", "proved before: " + library.THEOREMS[name].title, links=(name,))


def _steps(found: Derivation, theorem: Theorem) -> Iterator[Block]:
    reasons: dict[str, str] = {}
    if found.explicit is not None:
        reasons = {str(parse_relation(line.claim)): line.reason for line in found.explicit.lines}
    reader = _Reader(theorem)
    for step in proof_json(theorem)["steps"]:
        reason = reasons.get(step["shows"], "")
        yield Block("words", f"Step {step['number']}. {reason}".strip())
        yield Block("formula", formula=reader.shown(step["shows"]), level=1)
        if step["by"] != "algebra":
            words = RULES[step["by"]].format(**{**step, "names": ", ".join(step.get("names", ()))})
            yield Block("words", words, level=1)
            continue
        for record in step["uses"]:
            yield from _use(theorem, Use(record["fact"], record["with"], record["times"], tuple(record["derive"])))
        if step["uses"]:
            yield Block("words", "Left minus right of the claim is the sum of these differences.", level=1)
        else:
            yield from reader.both_sides(step["shows"])


def _use(theorem: Theorem, fact: Use) -> Iterator[Block]:
    lemma = fact.fact.partition("/")[0]
    links = (lemma,) if lemma in theorem.lemmas else ()
    name = "the induction hypothesis" if fact.fact.startswith("IH") else fact.fact.removeprefix("given:")
    if links:
        name = f"claim {fact.fact.partition('/')[2]} of"
    relation = instance(theorem, fact, library.THEOREMS)
    if fact.times == "1":
        yield Block("words", f"Use {name}", links=links, level=1)
    else:
        yield Block("words", f"Use {name}, times", inline=parse(fact.times), links=links, level=1)
    if relation is not None:
        yield Block("formula", formula=relation, level=1)


class _Reader:
    """Carries out operators for display."""

    def __init__(self, theorem: Theorem) -> None:
        self.context = context_of(theorem.statement, {}, frozenset())

    def shown(self, text: str) -> Relation:
        """The obligation, with values put in where the operator At says so."""
        return parse_relation(text)

    def both_sides(self, text: str) -> Iterator[Block]:
        """The normal form that both sides have, where it is short enough to read."""
        try:
            left = term_of(normal(self.context.read_relation(text).left, self.context.kinds))
        except FormulaError:
            return
        if len(str(left)) <= LONGEST:
            yield Block("words", "Carried out and multiplied out, both sides are", inline=left, level=1)
        else:
            yield Block("words", "Carried out and multiplied out, both sides agree term by term.", level=1)


def _verdict(found: Derivation) -> Iterator[Block]:
    verdict = found.verdict
    words = {
        "proved": "Proved with sympy and re-derived by the independent checker.",
        "refuted": "Refuted: the checker evaluated the claim again at the witness, and the sides differ.",
        "unknown": f"Unknown: {found.reason}.",
    }[verdict]
    yield Block("words", words)
    if found.wrong is None:
        return
    for name, value in found.wrong.witness.items():
        yield Block("formula", formula=Relation(symbol(name), "==", parse(value)))
    item: dict[str, Any] = found.to_json()["items"][-1]
    if item["format"] == "refutation":
        yield Block(
            "words", f"There the left side of claim {item['claim']} is {item['left']}, the right {item['right']}."
        )
    if found.residual is not None:
        yield Block("words", "The factor that survives:", inline=parse(found.residual))
