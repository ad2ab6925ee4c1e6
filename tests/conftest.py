"""Seeds, poison and limits that every test lives under."""

import hashlib
import importlib.util
import os
import secrets
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)

INTERPRETER = os.environ.get("TRITON_INTERPRET") == "1"
"""Triton reads the variable when a kernel is defined: kernel tests have a process of their own, and only they."""
collect_ignore_glob = [] if INTERPRETER else ["test_kernels*.py"]

for name, examples in (("dev", 25), ("ci", 200)):
    settings.register_profile(
        name, max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_addoption(parser, pluginmanager):
    if pluginmanager.hasplugin("gdtriton.verify.pytest_plugin"):
        return  # the installed plugin has the same option
    parser.addoption("--gd-seed", type=int, default=None, help="repeat a run with the seed that its header printed")


def pytest_configure(config):
    if INTERPRETER:  # it is numpy: inf - inf warns, and triton 3.6 converts arrays of one element to numbers
        config.addinivalue_line("filterwarnings", "ignore:invalid value encountered:RuntimeWarning")
        config.addinivalue_line("filterwarnings", "ignore:Conversion of an array with ndim > 0:DeprecationWarning")
    workerinput = getattr(config, "workerinput", None)
    if workerinput is not None:
        config.gd_seed = workerinput["gd_seed"]
    else:
        given = config.getoption("--gd-seed")
        config.gd_seed = secrets.randbits(32) if given is None else given


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["gd_seed"] = node.config.gd_seed


def pytest_collection_modifyitems(items):
    if not INTERPRETER and any(item.path.name.startswith("test_kernels") for item in items):
        raise pytest.UsageError("kernel tests run in triton's interpreter: set TRITON_INTERPRET=1")


def pytest_report_header(config):
    kernels = "interpreted" if INTERPRETER else "left out; TRITON_INTERPRET=1 python -m pytest tests/test_kernels*.py"
    return [f"gdtriton seed: --gd-seed {config.gd_seed}", f"kernel tests: {kernels}"]


@pytest.fixture
def rng(request):
    """A generator that depends on the session's seed and the test's id, not on the order of the tests."""
    text = f"{request.config.gd_seed}/{request.node.nodeid}"
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def randn(rng):
    """Standard normal tensors from `rng`, float64 unless asked."""

    def draw(*shape, dtype=torch.float64):
        return torch.randn(shape, generator=rng, dtype=torch.float64).to(dtype)

    return draw


@pytest.fixture(autouse=True)
def _poison(request):
    """Fresh memory is NaN, so that a result that is not written cannot pass for a number."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@pytest.fixture
def reset_dynamo():
    """A compiler without memory of earlier tests."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def force_route(monkeypatch):
    """Make every scale channel take one of the three routes of the fast path."""

    def force(route):
        from gdtriton import composed, stencil

        from_sigma = 0.0 if route == "spectrum" else float("inf")
        amplification = float("inf") if route == "stencil" else -1.0
        monkeypatch.setattr(composed, "SPECTRUM_FROM_SIGMA", from_sigma)
        monkeypatch.setattr(stencil, "AMPLIFICATION", amplification)

    return force


@pytest.fixture
def plant_in_source(tmp_path, monkeypatch):
    """Replace text in the source of a module for one test; triton reads kernels from files, so the patch is one."""

    def plant(name, old, new):
        module = importlib.import_module(name)
        source = Path(module.__file__).read_text()
        assert old in source, f"{name} has no {old!r}"
        file = tmp_path / f"{name.rpartition('.')[2]}.py"
        file.write_text(source.replace(old, new))
        spec = importlib.util.spec_from_file_location(name, file)
        mutant = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(mutant)
        monkeypatch.setitem(sys.modules, name, mutant)
        package, _, last = name.rpartition(".")
        monkeypatch.setattr(importlib.import_module(package), last, mutant)
        return mutant

    return plant
