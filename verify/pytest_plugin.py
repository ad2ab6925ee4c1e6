"""pytest plugin: `--gd-seed`, `--gd-report DIR` and a summary of what was certified.

It imports no torch. Certifying in a test is a function call, `certify(...).require("invariant")`.
"""

import json
import random
import sys
from pathlib import Path
from typing import Any

ENVIRONMENT = "gdtriton.verify.network.verdict"


def pytest_addoption(parser: Any) -> None:
    """Register the two options."""
    group = parser.getgroup("gdtriton")
    group.addoption("--gd-seed", type=int, default=None, metavar="N", help="seed of gdtriton's random checks")
    group.addoption("--gd-report", default=None, metavar="DIR", help="write every verdict as JSON and HTML into DIR")


def pytest_configure(config: Any) -> None:
    """Draw the seed of the session where none is given."""
    if config.getoption("--gd-seed") is None:
        config.option.gd_seed = random.SystemRandom().randrange(2**31)


def _verdicts() -> list[Any]:
    """What `certify` has returned in this process; empty where nothing imported it."""
    home = sys.modules.get(ENVIRONMENT)
    return list(getattr(home, "HISTORY", ()))


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: Any) -> None:
    """One line a verdict; files with --gd-report."""
    found = _verdicts()
    if not found:
        return
    terminalreporter.section("gdtriton")
    terminalreporter.write_line(f"seed {config.getoption('--gd-seed')}; repeat with --gd-seed")
    directory = config.getoption("--gd-report")
    for number, (name, verdict) in enumerate(found):
        terminalreporter.write_line(f"{verdict.verdict:10} {name}  {verdict.reason}")
        if directory:
            folder = Path(directory)
            folder.mkdir(parents=True, exist_ok=True)
            stem = f"{number:03d}-{name}-{verdict.verdict}"
            (folder / f"{stem}.json").write_text(json.dumps(verdict.to_json(), indent=1) + "\n")
            (folder / f"{stem}.html").write_text(verdict.to_html())
