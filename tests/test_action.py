import subprocess
import sys
from pathlib import Path

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


def test_script_of_the_action_writes_both_reports_and_passes_the_status_on(tmp_path):
    (tmp_path / "net.py").write_text("import torch\n\n\ndef build():\n    return torch.nn.Conv2d(1, 1, 3)\n")
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / "python").chmod(0o755)
    variables = {"TARGET": "net:build", "SHAPE": "1,1,9,9", "EXPECT": "invariant", "CANVAS": "fixed"}
    result = subprocess.run(
        ["bash", "-e", "-c", script()],
        cwd=tmp_path,
        env={**variables, "PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert "refuted" in result.stdout
    assert sorted(p.name for p in (tmp_path / "gdtriton-report").iterdir()) == ["report.html", "report.json"]
