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
    theory.add_argument("--json", type=Path, metavar="F", help="write the proof file, for check-proof")
    verify_model.configure(kinds.add_parser("model", help="a network: certificate, refutation or unknown"))


def run(args: argparse.Namespace) -> int:
    """0 everything proved or refuted as it should be, 3 something unknown."""
    if args.subject == "model":
        return verify_model.run(args)
    from ..verify.theory import library, session
    from ..verify.theory.open import OPEN

    if args.list:
        for theorem in library.THEOREMS.values():
            print(f"{theorem.id:32} {theorem.topic:12} {theorem.title}")
        for name, reason in OPEN.items():
            print(f"{name:32} not proved   {reason}")
        return 0

    def show(row: session.Row) -> None:
        assumptions = ", ".join(row.assumptions) or "-"
        line = f"{row.verdict:8} {row.id:34} {row.seconds:6.3f} s  {assumptions}  {row.reason}"
        print(line.rstrip(), flush=True)

    rows, proofs = session.run(show)
    unknown = [r.id for r in rows if r.verdict == "unknown"]
    proved = [r for r in rows if r.verdict == "proved"]
    refuted = [r for r in rows if r.verdict == "refuted"]
    print(
        f"{len(proved)} theorems proved and re-checked"
        f" ({sum(r.obligations for r in proved)} obligations),"
        f" {len(refuted)} wrong statements refuted, {len(unknown)} unknown, 0 trusted steps,"
        f" {sum(r.seconds for r in rows):.1f} s"
    )
    print(f"{len(OPEN)} statements are not proved here (--list names them)")
    if args.json:
        args.json.write_text(json.dumps(proofs, indent=1) + "\n")
    return 3 if unknown else 0
