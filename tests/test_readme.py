"""README's code runs and prints what README says; its two commands exist."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS, ids=[f"block{i}" for i in range(len(BLOCKS))])
def test_code_prints_what_its_comments_say(code: str) -> None:
    expected = re.findall(r"^print\(.*\)  # (.*)$", code, flags=re.MULTILINE)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, {})  # the file under test is this repository's own
    assert output.getvalue().splitlines() == expected


def test_blocks_print() -> None:
    assert BLOCKS
    assert any("print(" in block for block in BLOCKS)


@pytest.mark.parametrize("target", ["demo", "test"])
def test_commands_exist(target: str) -> None:
    makefile = (Path(__file__).parent.parent / "Makefile").read_text()
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
