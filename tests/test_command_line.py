"""What every command does when it cannot be run: status 2 and one line, before any work is done."""

import subprocess
import sys

import pytest

from gdtriton.cli import main

GD = [sys.executable, "-c", "import sys; from gdtriton.cli import main; sys.exit(main())"]


def test_a_factory_that_leaves_the_program_certifies_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "leaves.py").write_text("import sys\n\ndef network():\n    sys.exit(0)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["verify", "model", "leaves:network", "--input-shape", "1,1,9,9"]) == 2
    assert capsys.readouterr().err == "gdtriton verify: SystemExit: 0\n"


@pytest.mark.parametrize("option", ["--json", "--html"])
@pytest.mark.parametrize("command", [["theory"], ["model", "nothing:there", "--input-shape", "1,1,9,9"]], ids=str)
@pytest.mark.parametrize(("place", "message"), [("missing/x", "there is no folder"), (".", "is a folder")])
def test_a_file_that_cannot_be_written_is_named_before_the_work(tmp_path, capsys, command, option, place, message):
    assert main(["verify", *command, option, str(tmp_path / place)]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>/dev/full"])
def test_a_closed_or_full_output_is_status_2(closed):
    found = subprocess.run(
        ["/bin/sh", "-c", f'"$@" {closed}', "sh", *GD, "derive", "--list"], capture_output=True, text=True, check=False
    )
    assert found.returncode == (0 if closed == "2>&-" else 2)
    assert "Traceback" not in found.stderr + found.stdout


def test_a_bad_number_with_a_closed_error_output_is_status_2():
    command = ["/bin/sh", "-c", '"$@" 2>&-', "sh", *GD, "derive", "scale-covariance", "--ndim", "1/0"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2
