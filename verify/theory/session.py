"""Runs the whole library: sympy proves, the independent checker re-checks, refutations are evaluated."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .check import check_refutation, check_theorem
from .library import REFUTATIONS, THEOREMS
from .model import Refutation, Statement, Theorem
from .proofs import collection, proof_json, refutation_json
from .rules import ProofError
from .terms import FormulaError
from .witness import evaluate_witness


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    id: str
    topic: str
    verdict: str
    seconds: float
    obligations: int
    assumptions: tuple[str, ...]
    reason: str = ""


def run(progress: Callable[[Row], None] = lambda row: None) -> tuple[list[Row], dict[str, Any]]:
    """Prove and re-check everything; the table and the proof file of what was proved and refuted."""
    rows: list[Row] = []
    items: list[dict[str, Any]] = []
    for row, item in [*_theorems(progress), *_refutations(progress)]:
        rows.append(row)
        if item is not None:
            items.append(item)
    return rows, collection(items)


def _theorems(progress: Callable[[Row], None]) -> Iterator[tuple[Row, dict[str, Any] | None]]:
    established: dict[str, Statement] = {}
    for theorem in THEOREMS.values():
        row, item = decide(theorem, {}, established)
        progress(row)
        yield row, item


def decide(
    theorem: Theorem, parameters: dict[str, str], established: dict[str, Statement]
) -> tuple[Row, dict[str, Any] | None]:
    """Prove with sympy and re-check; `established` holds the lemmas and gains a theorem without parameters."""
    from .prover import prove

    began = time.perf_counter()
    reason, count, item = "", 0, None
    outcome = prove(theorem, THEOREMS)
    if not outcome.proved:
        reason = f"the prover does not close {outcome.failed}"
    else:
        item = proof_json(theorem, parameters)
        try:
            count = check_theorem(item, established)
        except ProofError as error:
            reason, item = f"the checker: {error}", None
    verdict = "unknown" if reason else "proved"
    seconds = time.perf_counter() - began
    return Row(theorem.id, theorem.topic, verdict, seconds, count, theorem.axioms, reason), item


def _refutations(progress: Callable[[Row], None]) -> Iterator[tuple[Row, dict[str, Any] | None]]:
    for wrong in REFUTATIONS.values():
        row, item = decide_wrong(wrong, {})
        progress(row)
        yield row, item


def decide_wrong(wrong: Refutation, parameters: dict[str, str]) -> tuple[Row, dict[str, Any] | None]:
    """Evaluate the witness and have the checker evaluate it again."""
    began = time.perf_counter()
    reason, item = "", None
    try:
        found = evaluate_witness(wrong.statement, wrong.witness)
        if found is None:
            reason = "the statement holds at the witness"
        else:
            item = refutation_json(wrong, found, parameters)
            check_refutation(item, {})
    except (FormulaError, ProofError) as error:
        reason, item = str(error), None
    verdict = "unknown" if reason else "refuted"
    return Row(wrong.id, "wrong statements", verdict, time.perf_counter() - began, 1, (), reason), item
