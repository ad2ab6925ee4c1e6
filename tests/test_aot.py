"""Every kernel configuration, compiled for every chip, against the chip's limits and the committed report."""

import importlib
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")
if str(ROOT := Path(__file__).resolve().parent.parent) not in sys.path:
    sys.path.insert(0, str(ROOT))

from perf import aot

TARGETS = tuple(aot.CHIPS)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("file", aot.kernel_files())
def test_every_configuration_keeps_its_limits_and_gets_no_worse(file, target):
    rows = aot.compile_file(file, target)
    before = [row for row in aot.committed() if row.kernel.startswith(f"{file}.") and row.target == target]
    assert rows
    assert aot.changes(rows, before) == []


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sm_80", "sm_90", "sm_100"])
def test_largest_tiles_compile_with_the_triton_that_is_installed(target):
    """The oldest triton takes less than the newest, and its interpreter does not say so."""
    for file in aot.kernel_files():
        offered = aot.configurations(file, target)
        largest = {(c.kernel.__name__, c.name.partition("-from-")[0]): c for c in offered}
        for configuration in largest.values():
            row = aot.compile_one(file, configuration, target)
            assert row.matrix_unit or not row.uses_dot, row


def test_every_kernel_file_is_in_the_report():
    assert {(row.kernel.split(".")[0], row.target) for row in aot.committed()} == {
        (file, target) for file in aot.kernel_files() for target in TARGETS
    }


def test_every_kernel_is_offered():
    """A jit function that takes pointers, is called by a launcher and has no configuration would go unseen."""
    for file in aot.kernel_files():
        module = importlib.import_module(f"gdtriton.kernels.{file}")
        kernels = {
            name
            for name in vars(module)
            if name.endswith("_kernel") and vars(module)[name].__module__ == module.__name__
        }
        for target in TARGETS:
            assert {c.kernel.__name__ for c in aot.configurations(file, target)} == kernels, (file, target)


@pytest.mark.parametrize("target", TARGETS)
def test_names_of_configurations_are_unique(target):
    for file in aot.kernel_files():
        names = [(c.kernel.__name__, c.name) for c in aot.configurations(file, target)]
        assert len(set(names)) == len(names)


def test_report_has_what_readers_expect():
    rows = json.loads(aot.RESULT.read_text())["rows"]
    assert {"kernel", "target", "config", "registers", "spills", "shared_bytes", "triton"} <= set(rows[0])
    assert all(row["registers"] > 0 and row["spills"] == 0 and row["shared_bytes"] >= 0 for row in rows)
    assert aot.changes(aot.committed(), aot.committed()) == []


ROW = aot.Row("file.kernel", "sm_90", "name", 64, 0, 1024, "wgmma", True, 4, "3.9.0", "source")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"registers": 65}, "65 registers, before 64"),
        ({"spills": 8}, "8 bytes or registers are spilled"),
        ({"shared_bytes": 2048}, "2048 bytes of shared memory, before 1024"),
        ({"shared_bytes": 228 * 1024}, "the chip has 232448"),
        ({"matrix_unit": None}, "do not run on the matrix units"),
        ({"matrix_unit": "mma"}, "matrix unit mma, before wgmma"),
        ({"config": "other"}, "is not in the report"),
    ],
)
def test_what_gets_worse_is_named(change, message):
    found = aot.changes([ROW._replace(**change)], [ROW])
    assert any(message in fault for fault in found), found


def test_what_is_as_good_or_of_another_triton_passes():
    for change in ({"registers": 63}, {"registers": 57}, {"shared_bytes": 512}, {"triton": "4.0.0", "registers": 200}):
        assert aot.changes([ROW._replace(**change)], [ROW]) == []
    (gone,) = aot.changes([], [ROW])
    assert "no longer offered" in gone


def test_spills_of_vector_registers_are_read_from_assembly():
    text = "  .sgpr_spill_count: 3\n  .vgpr_count:     98\n  .vgpr_spill_count: 7\n  v_mfma_f32"
    assert aot._usage({"amdgcn": text}, "") == (98, 7, text)
    with pytest.raises(RuntimeError, match="must report registers and spills"):
        aot._usage({"ptx": ""}, "no word of it")


@pytest.mark.parametrize("target", ["sm_80", "sm_90", "sm_100"])
def test_spills_and_missing_matrix_units_are_seen(target):
    """A kernel of ours with one warp for far too many elements, said to use the matrix units."""
    (offered,) = (c for c in aot.configurations("pool", target) if c.name == "mean-fp32-strided")
    greedy = offered._replace(constants=offered.constants | {"BLOCK": 1024}, num_warps=1, uses_dot=True)
    faults = list(aot.compile_one("pool", greedy, target).faults())
    assert any("spilled" in fault for fault in faults), faults
    assert any("matrix units" in fault for fault in faults), faults


def test_what_has_not_changed_is_taken_over():
    """A row is compiled again exactly when its kernel, constants or launch, or triton, are others."""
    offered = aot.configurations("pool", "sm_90")[0]
    row = aot.compile_one("pool", offered, "sm_90")
    marked = row._replace(registers=1)
    part = ("pool", "sm_90", 0, 18)
    assert aot._compile_part((*part, [marked])) == [marked]
    for known in (marked._replace(source="other"), marked._replace(triton="other"), marked._replace(config="other")):
        assert aot._compile_part((*part, [known])) == [row]
    launched = offered._replace(num_warps=8)
    fixed = offered._replace(constants=offered.constants | {"BLOCK": 512})
    assert len({aot.source_hash(c) for c in (offered, launched, fixed)}) == 3


def test_a_configuration_with_an_unknown_argument_is_refused():
    offered = aot.configurations("pool", "sm_90")[0]
    with pytest.raises(ValueError, match=r"\['BLOCK_X'\] must be arguments of _max_kernel"):
        aot.source_of(offered._replace(constants=offered.constants | {"BLOCK_X": 1}))
