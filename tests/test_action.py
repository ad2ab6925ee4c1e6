import json
import subprocess
import sys
from pathlib import Path

import pytest

import gdtriton

ROOT = Path(gdtriton.__file__).resolve().parents[1]


def script():
    """The lines under the first `run: |` of action.yml."""
    lines = (ROOT / "action.yml").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip() == "run: |") + 1
    indent = len(lines[start]) - len(lines[start].lstrip())
    block = []
    for line in lines[start:]:
        if len(line) - len(line.lstrip()) < indent:
            break
        block.append(line[indent:])
    return "\n".join(block)


NETWORKS = """
import torch
from gdtriton import *

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lift, self.jet = ScaleLift(ScaleGrid(0.8, 2.0, 2)), GaussianJetConv2d(1, 2)
    def forward(self, image):
        return torch.relu(self.jet(*self.lift(image))).amax((0, 3, 4))

def broken():
    return torch.nn.Conv2d(1, 1, 3)

def fails():
    raise RuntimeError("no weights")
"""


def run(folder, **inputs):
    """The action's step as a runner executes it: bash -e, inputs as variables, the caller's folder."""
    (folder / "net.py").write_text(NETWORKS)
    (folder / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / "python").chmod(0o755)
    variables = {"TARGET": "net:Net", "SHAPE": "1,1,9,9", "EXPECT": "invariant", "CANVAS": "fixed", **inputs}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script()],
        cwd=folder,
        env={**variables, "PATH": f"{folder}:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_input_reaches_the_script():
    text = (ROOT / "action.yml").read_text()
    for name in ("target", "input-shape", "expect", "canvas"):
        assert f"${{{{ inputs.{name} }}}}" in text
    # Nothing of a caller is pasted into the shell's text.
    assert "inputs." not in script()


@pytest.mark.parametrize(
    ("inputs", "status", "verdict"),
    [
        ({}, 0, "invariant"),
        pytest.param({"EXPECT": "covariant", "CANVAS": "scales"}, 0, "invariant", marks=pytest.mark.slow),
        ({"TARGET": "net:broken"}, 1, "refuted"),
        pytest.param({"TARGET": "net:fails"}, 2, None, marks=pytest.mark.slow),
        pytest.param({"SHAPE": "9,9"}, 2, None, marks=pytest.mark.slow),
    ],
)
def test_script_of_the_action_writes_both_reports_and_passes_the_status_on(tmp_path, inputs, status, verdict):
    result = run(tmp_path, **inputs)
    assert result.returncode == status, result.stderr
    reports = sorted(path.name for path in (tmp_path / "gdtriton-report").iterdir())
    if verdict is None:
        assert reports == []
        return
    assert reports == ["report.html", "report.json"]
    assert verdict in result.stdout
    data = json.loads((tmp_path / "gdtriton-report" / "report.json").read_text())
    assert data["verdict"] == verdict
    assert data["target"] == inputs.get("TARGET", "net:Net")
    assert "measured" in data
    page = (tmp_path / "gdtriton-report" / "report.html").read_text()
    assert ("Measured on the grid" in page) == ("measured" in data)
