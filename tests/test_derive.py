import os
import subprocess
import sys
from fractions import Fraction
from math import comb
from pathlib import Path

import pytest

from gdtriton.cli import main
from gdtriton.verify import check_proof, theorem, theorems
from gdtriton.verify.theory import library


def test_the_power_one_half_leaves_its_factor():
    found = theorem("scale-covariance").specialise(ndim=2, order=3, norm_power=Fraction(1, 2))
    assert found.verdict == "refuted"
    assert found.residual == "S**(-3/2)"
    report = check_proof(found.to_json())
    assert report.refuted == ("scale-covariance",)
    assert report.proved == ("normalisation-factor",)


@pytest.mark.parametrize("order", [0, 1, 4])
def test_the_power_one_is_proved_for_every_multi_index(order):
    found = theorem("scale-covariance").specialise(ndim=2, order=order)
    assert (found.verdict, found.residual) == ("proved", None)
    assert sum("Lp" in claim for claim in found.statement.claims) == order + 1
    assert check_proof(found.to_json()).proved == ("scale-covariance",)


@pytest.mark.parametrize("found", [t for t in theorems() if t.accepts], ids=lambda t: t.id)
def test_every_theorem_with_parameters_is_proved_for_numbers(found):
    numbers = {"ndim": 1, "order": 2, "norm_power": 1}
    special = found.specialise(**{name: numbers[name] for name in found.accepts})
    assert special.verdict == "proved", special.reason
    check_proof(special.to_json())


ORDERS = {1: range(7), 2: (0, 3, 4), 3: (1, 3)}  # in 3-D the iterated integrals of order 6 take a minute


@pytest.mark.slow
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("found", [t for t in theorems() if "ndim" in t.accepts], ids=lambda t: t.id)
def test_every_dimension_is_proved(found, ndim):
    for order in ORDERS[ndim] if "order" in found.accepts else [None]:
        special = found.specialise(ndim, order)
        assert special.verdict == "proved", special.reason
        check_proof(special.to_json())


@pytest.mark.slow
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_covariance_of_order_5_is_proved_for_every_multi_index(ndim):
    found = theorem("scale-covariance").specialise(ndim, 5)
    assert found.verdict == "proved", found.reason
    assert sum("Lp" in claim for claim in found.statement.claims) == comb(5 + ndim - 1, 5)


@pytest.mark.slow
@pytest.mark.parametrize("power", [0, 1, "1/2", "0.3", -9, "7/5", 9, "53/6", "15/16", "-1/13"])
def test_every_other_power_is_refuted_with_its_factor(power):
    for order in (0, 1, 3, 6):
        found = theorem("scale-covariance").specialise(1, order, power)
        excess = order * (Fraction(str(power)) - 1)
        assert found.verdict == ("refuted" if excess else "proved"), found.reason
        if excess and excess.denominator == 1:
            left, right = (Fraction(found.to_json()["items"][-1][side]) for side in ("left", "right"))
            assert left / right == Fraction(found.wrong.witness["S"]) ** excess


@pytest.mark.parametrize("name", ["scale-covariance", "hermite-derivative", "channel-max", "unnormalised-derivative"])
@pytest.mark.parametrize("form", ["text", "latex", "markdown", "html"])
def test_derive_prints_every_form(name, form, capsys):
    status = main(["derive", name, "--format", form])
    assert status == (1 if name in library.REFUTATIONS else 0)
    assert name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scale-covarianc"], "did you mean scale-covariance"),
        (["scale-covariance", "--ndim", "4"], "ndim must be a whole number from 1 to 3, got 4"),
        (["scale-covariance", "--order", "-1"], "order must be a whole number from 0 to 6, got -1"),
        (["scale-covariance", "--order", "1.5"], "order must be a whole number"),
        (["scale-covariance", "--norm-power", "10"], "norm_power must have size at most 9"),
        (["scale-covariance", "--norm-power", "1/17"], "denominator at most 16, got 1/17"),
        (["scale-covariance", "--order", ""], "order must be a whole number from 0 to 6, got ''"),
        (["scale-covariance", "--norm-power", "1/0"], "norm_power must be a rational number"),
        (["scale-covariance", "--norm-power", "1e999999999"], "norm_power must be a rational number"),
        (["hermite-derivative", "--ndim", "2"], "has the parameters order, got ndim"),
        (["rotation", "--norm-power", "2"], "got norm_power"),
        ([], "id must be the name of a theorem, got none"),
    ],
)
def test_bad_arguments_are_a_clear_error_with_status_2(arguments, message, capsys):
    assert main(["derive", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_a_reader_that_leaves_early_gets_no_traceback():
    command = [sys.executable, "-m", "gdtriton", "derive", "self-similarity"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 2


def test_formulas_are_printed_in_any_locale():
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "gdtriton", "derive", "rotation"]
    done = subprocess.run(command, capture_output=True, env={**os.environ, **environment}, check=True)
    assert "∂" in done.stdout.decode("utf-8")


def test_readme_shows_what_is_printed(capsys):
    assert main(["derive", "scale-covariance", "--ndim", "1", "--order", "1", "--norm-power", "1/2"]) == 1
    verdict = capsys.readouterr().out.partition("\nVerdict\n")[2]
    readme = Path(__file__).parent.parent / "README.md"
    assert f"```text\nVerdict\n{verdict}```" in readme.read_text(encoding="utf-8")
