"""Runs the whole library: sympy proves, the independent checker re-checks, refutations are evaluated."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .check import check_refutation, check_theorem
from .library import REFUTATIONS, THEOREMS
from .model import Refutation, Statement, Theorem
from .parameters import Parameters
from .proofs import collection, proof_json, refutation_json
from .rules import ProofError
from .specialise import parameters_of, specialise
from .terms import FormulaError
from .witness import evaluate_witness


@dataclass(frozen=True)
class Row:
    """One line of the table; `parameters` empty: with symbols.

    `failed`: not merely open, but the prover and the checker disagree, or a wrong statement holds at its witness.
    """

    id: str
    topic: str
    verdict: str
    seconds: float
    obligations: int
    assumptions: tuple[str, ...]
    reason: str = ""
    parameters: Parameters = Parameters()  # noqa: RUF009 frozen
    failed: bool = False

    @property
    def name(self) -> str:
        """The id with the chosen numbers."""
        return f"{self.id} ({self.parameters})" if self.parameters else self.id

    def to_json(self) -> dict[str, Any]:
        """Everything that the line says."""
        return {**vars(self), "parameters": self.parameters.strings(), "assumptions": list(self.assumptions)}


Outcome = tuple[Row, dict[str, Any] | None]  # the line, and what goes into the proof file


def run() -> tuple[list[Row], dict[str, Any]]:
    """The table of everything, and the proof file of what was proved and refuted."""
    found = list(outcomes())
    return [row for row, _ in found], collection([item for _, item in found if item is not None])


def outcomes(ndim: int | None = None) -> Iterator[Outcome]:
    """Prove and re-check every theorem, lemmas before their use; refute every wrong statement.

    Args:
        ndim: also write out every theorem that has a dimension, for this one (order 2, power 1).
    """
    established: dict[str, Statement] = {}
    for theorem in THEOREMS.values():
        yield decide(theorem, Parameters(), established)
    for theorem in THEOREMS.values() if ndim is not None else ():
        if "ndim" in parameters_of(theorem):
            found = specialise(theorem, Parameters(ndim=ndim))
            yield decide(found.theorem, found.parameters, established)
    for wrong in REFUTATIONS.values():
        yield decide_wrong(wrong, Parameters())


def decide(theorem: Theorem, parameters: Parameters, established: dict[str, Statement]) -> Outcome:
    """Prove with sympy and re-check; `established` holds the lemmas and gains a theorem without parameters."""
    from .prover import prove

    began = time.perf_counter()
    reason, count, item, failed = "", 0, None, False
    outcome = prove(theorem, THEOREMS)
    if not outcome.proved:
        reason = f"the prover does not close {outcome.failed}"
    else:
        item = proof_json(theorem, parameters.strings())
        try:
            count = check_theorem(item, established)
        except ProofError as error:
            reason, item, failed = f"the checker: {error}", None, True
    verdict = "unknown" if reason else "proved"
    seconds = time.perf_counter() - began
    return Row(theorem.id, theorem.topic, verdict, seconds, count, theorem.axioms, reason, parameters, failed), item


def decide_wrong(wrong: Refutation, parameters: Parameters) -> Outcome:
    """Evaluate the witness and have the checker evaluate it again."""
    began = time.perf_counter()
    reason, item = "", None
    try:
        found = evaluate_witness(wrong.statement, wrong.witness)
        if found is None:
            reason = "the statement holds at the witness"
        else:
            item = refutation_json(wrong, found, parameters.strings())
            check_refutation(item, {})
    except (FormulaError, ProofError) as error:
        reason, item = str(error), None
    verdict, seconds = "unknown" if reason else "refuted", time.perf_counter() - began
    return Row(wrong.id, "wrong statements", verdict, seconds, 1, (), reason, parameters, bool(reason)), item


def summary(rows: Sequence[Row]) -> str:
    """The table in one sentence."""
    proved = [row for row in rows if row.verdict == "proved"]
    special = sum(bool(row.parameters) for row in proved)
    written_out = f" and {special} written out" if special else ""
    count = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ("refuted", "unknown")}
    return (
        f"{len(proved) - special} theorems proved{written_out} and re-checked"
        f" ({sum(row.obligations for row in proved)} obligations),"
        f" {count['refuted']} wrong statements refuted, {count['unknown']} unknown, 0 trusted steps,"
        f" {sum(row.seconds for row in rows):.1f} s"
    )
