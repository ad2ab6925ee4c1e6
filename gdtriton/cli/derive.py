"""`gdtriton derive ID`: the derivation of a theorem, step by step, with symbols or for chosen numbers."""

import argparse
import io
import sys

PATIENCE = 30  # steps; more of them take several seconds
STATUS = {"proved": 0, "refuted": 1, "unknown": 3}


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `gdtriton derive`."""
    parser.add_argument("id", nargs="?", metavar="ID", help="name of a theorem or of a wrong statement")
    parser.add_argument("--list", action="store_true", help="list the names with the options that each takes")
    parser.add_argument("--ndim", metavar="N", help="dimension, 1 to 3")
    parser.add_argument("--order", metavar="N", help="total order of the derivatives, 0 to 6")
    parser.add_argument("--norm-power", metavar="P", help="exponent of the scale normalisation, as in 1/2 or 0.5")
    parser.add_argument("--format", choices=("text", "latex", "markdown", "html"), default="text")


def run(args: argparse.Namespace) -> int:
    """0 proved, 1 refuted, 3 unknown."""
    from ..verify.theory import derivation, library, pages

    if args.list:
        for found in derivation.theorems():
            options = " ".join(f"--{name.replace('_', '-')}" for name in found.accepts)
            print(f"{found.id:32} {found.title}  {options}".rstrip())
        for wrong in library.REFUTATIONS.values():
            print(f"{wrong.id:32} Wrong: {wrong.mistake}")
        return 0
    if args.id is None:
        raise ValueError("id must be the name of a theorem, got none; --list names all")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # formulas, and what the page says of itself, whatever the locale
    found = derivation.theorem(args.id).specialise(args.ndim, args.order, args.norm_power)
    if len(found.steps) > PATIENCE:
        print(f"gdtriton derive: proving and re-checking {len(found.steps)} steps", file=sys.stderr)
    if args.format == "html":
        used = derivation.lemmas_of(found.theorem) if found.theorem is not None else []
        print(pages.derivation_page(found, [derivation.Derivation(t.id) for t in used]), end="")
    else:
        writer = {"text": pages.text, "latex": pages.latex_document, "markdown": pages.markdown}[args.format]
        print(writer(found), end="")
    return STATUS[found.verdict]
