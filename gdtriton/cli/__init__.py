"""The command line `gdtriton`: one module a command, each with `configure(parser)` and `run(args) -> int`.

Exit status: 0 holds, 1 refuted or a check failed, 2 could not be run (bad input, any unexpected exception),
3 unknown. Command modules import torch and sympy inside `run`, so `gdtriton --version` stays light.
"""

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

from .. import __version__

COMMANDS = {
    "demo": "train on one size of digits, test on seventeen, write a page that shows it",
    "verify": "prove and re-check the theory",
    "derive": "write out the derivation of a theorem, for your own dimension, order and power",
    "check-proof": "re-check a proof file with the independent checker",
    "info": "say which implementation runs here, and why",
}


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command in `COMMANDS`."""
    parser = argparse.ArgumentParser(
        prog="gdtriton", description="Provably scale-covariant Gaussian derivative networks."
    )
    parser.add_argument("--version", action="version", version=f"gdtriton {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        module = import_module(f".{name.replace('-', '_')}", __name__)
        command = commands.add_parser(name, help=summary, description=summary)
        module.configure(command)
        command.set_defaults(run=module.run)
    return parser


def writable(path: Path) -> None:
    """Raise now, not after minutes of work, where a file cannot be written.

    Raises:
        OSError: the folder does not exist, or the path is one.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} in")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status; an unexpected exception is status 2, never a traceback."""
    args = build_parser().parse_args(arguments)
    if sys.stdout is None:
        return 2  # closed by whoever started us: there is nowhere to answer
    try:
        for name in ("json", "html"):
            if getattr(args, name, None):
                writable(getattr(args, name))
        status: int = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("gdtriton: interrupted", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # the reader has gone; what is left in the buffer has nowhere to go either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except SystemExit as error:
        # a network of the user that leaves the program has not been certified
        print(f"gdtriton {args.command}: SystemExit: {error.code}", file=sys.stderr)
        return 2
    except Exception as error:
        print(f"gdtriton {args.command}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return status
