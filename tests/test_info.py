"""`gdtriton info` says which implementation runs and why, on machines with and without a GPU or triton."""

from types import SimpleNamespace

import pytest
import torch

from gdtriton import checks
from gdtriton.cli import main


@pytest.fixture
def said(capsys):
    def run():
        assert main(["info"]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def gpu(monkeypatch):
    from gdtriton.kernels import tiles

    properties = SimpleNamespace(name="Chip 9000", major=9, multi_processor_count=132, total_memory=140 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(checks, "TRITON_INSTALLED", True)
    tiles.target_of.cache_clear()
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "ieee"
    yield properties
    matmul.fp32_precision = before
    tiles.target_of.cache_clear()


def test_without_a_gpu_torch_runs(said, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(checks, "TRITON_INSTALLED", True)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert "implementation: torch everywhere: torch sees no GPU" in (text := said())
    assert "needs TRITON_INTERPRET=1" in text
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert "runs on CPU tensors in its interpreter" in said()


def test_without_triton_torch_runs(said, monkeypatch):
    monkeypatch.setattr(checks, "TRITON_INSTALLED", False)
    assert "torch everywhere: triton is not installed" in said()


def test_on_a_gpu_the_kernels_run(said, gpu):
    text = said()
    assert "GPU: Chip 9000, 132 multiprocessors, 140 GiB, kernels tuned as sm_90" in text
    assert "triton for float32, bfloat16, float16 in 1 to 3 dimensions; torch for float64" in text
    assert "channel mixing of float32: float32 quality" in text
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    assert "one pass of tf32" in said()


def test_on_a_gpu_that_triton_does_not_drive_torch_runs(said, gpu):
    gpu.major = 7
    old = SimpleNamespace(is_cuda=True, dtype=torch.float32, device=torch.device("cuda", 0))
    assert checks.resolve_implementation("jet", None, old, 2) == "torch"
    with pytest.raises(ValueError, match="impl must be 'torch' or 'reference' for cuda:0, got 'triton'"):
        checks.resolve_implementation("jet", "triton", old, 2)
    assert "torch everywhere: triton needs compute capability 8.0" in said()
    gpu.major = 8
    assert checks.resolve_implementation("jet", None, old, 2) == "triton"


def test_what_is_said_is_what_runs(said, monkeypatch):
    """The words about this machine, against the function that chooses."""
    runs = checks.resolve_implementation("jet_conv", None, torch.ones(1), 2)
    assert f"implementation: {runs} everywhere" in said() or torch.cuda.is_available()
