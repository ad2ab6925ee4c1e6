"""`gdtriton verify model TARGET`: is this network scale covariant or invariant, and if not, which layer breaks it?

Imports the named module and calls the named factory, nothing else.
"""

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

STATUS = {"covariant": 0, "invariant": 0, "refuted": 1, "unknown": 3}


def image_shape(text: str) -> tuple[int, ...]:
    """The image shape written "1,1,65,65"."""
    try:
        shape = tuple(int(part) for part in text.split(","))
    except ValueError:
        shape = ()
    if not 3 <= len(shape) <= 5 or min(shape, default=0) < 1:
        raise argparse.ArgumentTypeError(f"must be B,C and one to three sizes, as in 1,1,65,65, got {text!r}")
    return shape


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `gdtriton verify model`."""
    parser.add_argument(
        "target", metavar="TARGET", help="PKG.MODULE:FACTORY, or a name of gdtriton.models.list_models()"
    )
    parser.add_argument("--input-shape", type=image_shape, required=True, metavar="B,C,H,W")
    parser.add_argument("--expect", choices=("covariant", "invariant"), help="exit status 1 unless it is certified")
    parser.add_argument(
        "--canvas",
        choices=("fixed", "scales"),
        default="fixed",
        help="what is resized: the object in an image of fixed size, or the whole image",
    )
    parser.add_argument("--json", type=Path, metavar="F", help="write everything, for check-proof")
    parser.add_argument("--html", type=Path, metavar="F", help="write a report")


def build(target: str) -> Any:
    """The module that TARGET names."""
    from torch import nn

    module_name, _, factory = target.partition(":")
    if not factory:
        from ..models import build_model

        return build_model(target)
    if "" not in sys.path:
        sys.path.insert(0, "")
    module = getattr(import_module(module_name), factory)()
    if not isinstance(module, nn.Module):
        raise TypeError(f"verify model: {target} must return a torch.nn.Module, got {type(module).__name__}")
    return module


def run(args: argparse.Namespace) -> int:
    """0 certified (what was expected), 1 refuted or less than expected, 3 unknown."""
    from ..verify.network.verdict import certify

    module = build(args.target)
    found = certify(module, args.input_shape, canvas=args.canvas)
    data = found.to_json()
    data["target"] = args.target
    print(f"{args.target}: {found.verdict}  ({args.canvas} canvas, image {list(args.input_shape)})")
    print(f"  {found.reason}")
    place = data.get("offender")
    if place:
        print(f"  at {place['path'] or '(root)'}  {place['source']}  rule {place['rule']}")
    if data.get("zero_at_these_weights"):
        print("  the defect is zero at these weights; the architecture is refuted for others")
    for link in data["links"]:
        reason = f": {link['reason']}" if link.get("reason") else ""
        print(f"  link {link['name']:18} {link['verdict']}{reason}")
    if data.get("boundary") and found:
        print(f"  boundary: {data['boundary']}")
    if args.html:
        from ..verify.measure import measure

        data["measured"] = measure(module, args.input_shape)
        args.html.write_text(found.to_html())
    if args.json:
        args.json.write_text(json.dumps(data, indent=1) + "\n")
    status = STATUS[found.verdict]
    if status == 0 and args.expect == "invariant" and found.verdict != "invariant":
        print("  expected invariant")
        return 1
    return status
