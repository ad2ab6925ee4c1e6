"""`gdtriton verify theory` and `gdtriton verify model`.

The first proves, re-checks and refutes everything, one line a theorem; the second is in `verify_model`.
"""

import argparse
import json
from pathlib import Path

from . import verify_model


def configure(parser: argparse.ArgumentParser) -> None:
    """Subcommands of `gdtriton verify`."""
    kinds = parser.add_subparsers(dest="subject", metavar="SUBJECT", required=True)
    theory = kinds.add_parser("theory", help="the theorems")
    theory.add_argument("--list", action="store_true", help="list the theorems and stop")
    theory.add_argument("--ndim", metavar="N", help="also write out, at order 2, what has a dimension: 1 to 3")
    theory.add_argument("--json", type=Path, metavar="F", help="write the proof file, for check-proof")
    theory.add_argument("--html", type=Path, metavar="F", help="write a page with every statement and derivation")
    verify_model.configure(kinds.add_parser("model", help="a network: certificate, refutation or unknown"))


def run(args: argparse.Namespace) -> int:
    """0 everything proved or refuted as it should be, 1 a check failed, 3 something unknown."""
    if args.subject == "model":
        return verify_model.run(args)
    return _list() if args.list else _theory(args)


def _list() -> int:
    from ..verify.theory import library
    from ..verify.theory.open import OPEN

    for theorem in library.THEOREMS.values():
        print(f"{theorem.id:32} {theorem.topic:12} {theorem.title}")
    for name, reason in OPEN.items():
        print(f"{name:32} not proved   {reason}")
    return 0


def _theory(args: argparse.Namespace) -> int:
    from ..verify.theory import derivation, library, pages, session
    from ..verify.theory.open import OPEN
    from ..verify.theory.parameters import Parameters
    from ..verify.theory.proofs import collection

    found = []
    for row, item in session.outcomes(Parameters.read({"ndim": args.ndim}).ndim):
        found.append((row, item))
        assumptions = ", ".join(row.assumptions) or "-"
        line = f"{row.verdict:8} {row.name:34} {row.seconds:6.3f} s  {assumptions}  {row.reason}"
        print(line.rstrip(), flush=True)
    rows = [row for row, _ in found]
    summary = session.summary(rows)
    print(summary)
    print(f"{len(OPEN)} statements are not proved here (--list names them)")
    if args.json:
        proofs = collection([item for _, item in found if item is not None])
        report = {"summary": summary, "not_proved": OPEN, "rows": [row.to_json() for row in rows]}
        args.json.write_text(json.dumps(proofs | {"report": report}, indent=1) + "\n")
    if args.html:
        topics = {**library.TOPICS, "wrong statements": "wrong statements"}
        lines = [(outcome[0], derivation.of_outcome(outcome)) for outcome in found]
        args.html.write_text(pages.theory_page(summary, lines, topics), encoding="utf-8")
    if any(row.failed for row in rows):
        return 1
    return 3 if any(row.verdict == "unknown" for row in rows) else 0
