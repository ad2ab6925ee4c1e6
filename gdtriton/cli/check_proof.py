"""`gdtriton check-proof F.json`: the independent checker, without sympy and torch."""

import argparse
import sys
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """One argument: the proof file."""
    parser.add_argument("file", type=Path, help="a file written by `gdtriton verify theory --json`")


def run(args: argparse.Namespace) -> int:
    """0 everything in the file follows, 2 it does not or the file is not a proof file."""
    from ..verify.theory.check import MAX_BYTES, check_proof
    from ..verify.theory.rules import ProofError

    try:
        with args.file.open("rb") as file:
            report = check_proof(
                file.read(MAX_BYTES + 1)
            )  # one more than is allowed: enough to see that it is too long
    except (ProofError, OSError) as error:
        print(f"gdtriton check-proof: {error}", file=sys.stderr)
        return 2
    print(
        f"{len(report.proved)} proofs and {len(report.refuted)} refutations hold,"
        f" {report.obligations} obligations re-derived, {len(report.trusted)} trusted"
    )
    return 0
