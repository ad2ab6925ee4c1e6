"""The GPU benchmark without a GPU: its dry run to the end, its checks on planted faults, its table on made-up times."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")
if str(ROOT := Path(__file__).resolve().parent.parent) not in sys.path:
    sys.path.insert(0, str(ROOT))

from perf import gpu_check, gpu_grid, gpu_layers, gpu_table
from perf.gpu_machine import Clock, Machine, quantiles


@pytest.mark.slow
def test_dry_run_goes_to_its_end(tmp_path):
    command = ["bash", str(ROOT / "perf" / "gpu.sh"), "--dry", "--out", str(tmp_path)]
    environment = os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "DRY RUN, no time means anything" in done.stdout
    (path,) = tmp_path.iterdir()
    document = json.loads(path.read_text())
    gpu_table.check_document(document)
    assert document["dry"]
    for part in ("checks", "grid", "others", "training"):
        assert {row["status"] for row in document[part]} == {"ok"}, part
    assert {row["provider"] for row in document["grid"]} == {"ours", *gpu_table.TWINS}
    assert {row["provider"] for row in document["others"]} == set(gpu_layers.OTHERS)
    assert {row["kind"] for row in document["pooling"]} == {"max", "mean", "logsumexp"}
    assert document["tuning"]


@pytest.mark.slow
def test_what_the_sanitizers_watch_runs():
    command = [sys.executable, str(ROOT / "perf" / "gpu.py"), "--dry", "--small"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_a_gpu_it_says_so():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    command = [sys.executable, str(ROOT / "perf" / "gpu.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "a GPU must be visible to torch" in done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "perf" / "results").glob("gpu-*.json")), ids=lambda path: path.name)
def test_committed_results_were_measured_on_a_gpu(path):
    document = json.loads(path.read_text())
    gpu_table.check_document(document)
    assert not document["dry"]
    assert document["metadata"]["commit"]


@pytest.fixture
def machine():
    return Machine(dry=True)


@pytest.fixture
def kernels(monkeypatch):
    """The torch path in place of the kernels, with a fault in what it returns if asked."""

    def plant(fault=lambda output: output):
        own = gpu_check.jet_conv

        def jet_conv(*arguments, impl, **options):
            if impl != "triton":
                return own(*arguments, impl=impl, **options)
            return fault(own(*arguments, impl="torch", **options))

        monkeypatch.setattr(gpu_check, "jet_conv", jet_conv)

    return plant


CHECKS = [
    gpu_check.Check((2, 1, 2, 9, 8), c_out=3, sigma=4.0),
    gpu_check.Check((2, 1, 2, 9, 8), c_out=3, sigma=2.0, mode="bf16"),
    gpu_check.Check((2, 1, 4, 9, 8), c_out=4, groups=2, per="input", layout="shuffled"),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_checks_pass_on_the_torch_path(check, machine, kernels):
    kernels()
    (row, graph) = gpu_check.run_checks(machine, Clock(100), [check])
    assert (row["status"], graph["status"]) == ("ok", "ok"), (row, graph)


class _Twice(torch.autograd.Function):
    """Its result is right, its gradient twice as large."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad


FAULTS = {
    "a tenth of a percent": (lambda x: x * 1.001, "relative error"),
    "one pixel": (lambda x: x.index_fill(-1, torch.tensor([0]), 0), "relative error"),
    "not a number": (lambda x: x * float("nan"), "relative error"),
    "gradients": (_Twice.apply, "relative error"),
    "another run, another result": (lambda x: x + 1e-7 * torch.rand_like(x), "two runs differ"),
    "an exception": (lambda x: x.missing, "AttributeError"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_checks_refuse_faults(name, machine, kernels):
    fault, reason = FAULTS[name]
    kernels(fault)
    row, _ = gpu_check.run_checks(machine, Clock(100), CHECKS[:1])
    assert row["status"] == "failed"
    assert reason in row["reason"]


def test_checks_out_of_time_are_skipped(machine):
    rows = gpu_check.run_checks(machine, Clock(0), CHECKS)
    assert {row["status"] for row in rows} == {"skipped"}


@pytest.mark.parametrize("name", ["plain", "dense"])
@pytest.mark.parametrize("sigma", [1.0, 2.5])
def test_what_ours_is_held_against_computes_the_same(name, sigma, machine):
    """Plain PyTorch against the reference; dense filters, cut at 2 sigma, against those of the CPU benchmark."""
    from gdtriton import jet_conv
    from perf import providers

    case = gpu_layers.Case(2, 3, 11, 1, "float32", 2 * 121)
    run, (features, weight), grad = gpu_layers.OTHERS[name](machine, case, sigma)
    exact = [x.detach().double().requires_grad_() for x in (features, weight)]
    golden = jet_conv(exact[0][None], exact[1], [sigma], impl="reference")[0]
    if name == "dense":
        exact = [x.detach().clone().requires_grad_() for x in (features, weight)]
        golden = providers.dense(None, *exact, torch.tensor([sigma], dtype=torch.float64))
    wanted = [golden, *torch.autograd.grad(golden, exact, grad.to(golden.dtype))]
    output = run(features, weight)
    found = [output.detach(), *torch.autograd.grad(output, (features, weight), grad)]
    for actual, expected in zip(found, wanted, strict=True):
        error = (actual.double() - expected.detach().double()).norm() / expected.detach().double().norm()
        assert float(error) < 8 * gpu_check.AMPLIFICATION * gpu_check.U32


def test_scale_channels_lie_around_the_sigma_of_a_case():
    case = gpu_layers.Case(16, 24, 112, 8, "bf16")
    values = torch.tensor(case.sigmas(4.0))
    assert float(values.log2().mean()) == pytest.approx(2.0)
    assert float(values.max() / values.min()) < 2
    assert case.images == 64
    assert gpu_layers.Case(16, 24, 112, 1, "bf16").sigmas(4.0) == [4.0]


def test_every_case_of_the_grid_is_there():
    cases = gpu_grid.cases(dry=False)
    assert len(set(cases)) == 4 * 4 * 2 * 3
    assert {case.plane for case in cases} == {56, 112, 224, 512}


def _row(provider, milliseconds, sigma=None, mode="training", **changes):
    case = gpu_layers.Case(16, 24, 112, 8, "tf32")
    values = quantiles([milliseconds]) | {"rounds": 1, "peak_bytes": 2**20} | changes
    return gpu_grid.row(case, provider, sigma, mode, **values)


def test_table_takes_the_better_layout_and_counts_what_is_met():
    grid = [_row("conv2d-nchw", 2.0), _row("conv2d-channels-last", 4.0), _row("ours", 1.0, 1.0), _row("ours", 3.0, 2.0)]
    *_, line = gpu_table.ratio_lines(grid)
    assert line == "| 16->24 112^2 S=8 tf32 | 2.000 | 0.50 | 1.50 | 1.0 | 1 of 2 |"
    assert next(gpu_table.memory_lines(grid)).endswith("1 MiB, twin 1 MiB")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "maybe"}, "status must be"),
        ({"status": "failed"}, "must have a reason"),
        ({"median_ms": None}, "ordered times"),
        ({"p20_ms": 5.0}, "ordered times"),
        ({"status": "skipped", "reason": "out of time"}, "ordered times"),
    ],
)
def test_schema_refuses(change, message):
    document = {part: [] for part in gpu_table.PARTS} | {"kind": gpu_table.KIND, "schema": 1, "dry": True, "seconds": 1}
    document |= {"metadata": dict.fromkeys(gpu_table.METADATA), "grid": [_row("ours", 1.0, 1.0)]}
    gpu_table.check_document(document)
    document["grid"][0] |= change
    with pytest.raises(ValueError, match=message):
        gpu_table.check_document(document)
    del document["metadata"]["commit"]
    with pytest.raises(ValueError, match="commit"):
        gpu_table.check_document(document)
