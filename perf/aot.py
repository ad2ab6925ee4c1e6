"""Ahead-of-time report of every kernel: `python perf/aot.py [--only FILE] [--targets ...] [--all | --check]`.

Every configuration that a kernel file offers (`configurations(target)`) is compiled for every chip of
`gdtriton.kernels.configuration.CHIPS`, without a GPU; registers and spills are what the assembler reports, shared
memory is what triton asks for. Rows of the committed report whose kernel, constants and triton have not changed are
taken over (`--all` compiles them again); `--check` compiles everything and compares with the report.
"""

import argparse
import contextlib
import hashlib
import importlib
import io
import json
import os
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import triton  # noqa: E402
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from gdtriton import kernels  # noqa: E402
from gdtriton.kernels.configuration import CHIPS, Configuration  # noqa: E402

RESULT = ROOT / "perf" / "results" / "aot.json"
REGISTER_UNIT = 8
"""Registers of a thread are handed out in such units: a count is worse when it needs another one."""
MATRIX_UNITS = {"wgmma.mma_async": "wgmma", "tcgen05.mma": "tcgen05", "mma.sync": "mma", "v_mfma_": "mfma"}
"""The instructions of the matrix units by how they are written in the assembly."""


class Row(NamedTuple):
    """What the compiler says of one configuration."""

    kernel: str
    target: str
    config: str
    registers: int
    spills: int
    shared_bytes: int
    matrix_unit: str | None
    uses_dot: bool
    num_warps: int
    triton: str
    source: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Which configuration it is."""
        return self.kernel, self.target, self.config

    def faults(self) -> Iterator[str]:
        """What no configuration may have."""
        if self.spills:
            yield f"{self.spills} bytes or registers are spilled"
        limit = CHIPS[self.target].shared_bytes
        if self.shared_bytes > limit:
            yield f"{self.shared_bytes} bytes of shared memory, the chip has {limit}"
        if self.uses_dot and self.matrix_unit is None:
            yield "its products do not run on the matrix units"

    def worse_than(self, before: "Row") -> Iterator[str]:
        """In what it is worse than an earlier compilation of the same configuration."""
        if -(-self.registers // REGISTER_UNIT) > -(-before.registers // REGISTER_UNIT):
            yield f"{self.registers} registers, before {before.registers}"
        if self.spills > before.spills:
            yield f"{self.spills} spilled, before {before.spills}"
        if self.shared_bytes > before.shared_bytes:
            yield f"{self.shared_bytes} bytes of shared memory, before {before.shared_bytes}"
        if before.matrix_unit != self.matrix_unit:
            yield f"matrix unit {self.matrix_unit}, before {before.matrix_unit}"


def kernel_files() -> list[str]:
    """The modules of `gdtriton.kernels` that hold kernels."""
    names = [module.name for module in pkgutil.iter_modules(kernels.__path__)]
    return [n for n in names if hasattr(importlib.import_module(f"gdtriton.kernels.{n}"), "configurations")]


def configurations(file: str, target: str) -> list[Configuration]:
    """What one kernel file offers for one chip."""
    return list(importlib.import_module(f"gdtriton.kernels.{file}").configurations(target))


def source_of(configuration: Configuration) -> ASTSource:
    """The kernel with types and constants for every argument, as triton wants them."""
    kernel, types, constants = configuration.kernel, configuration.types, configuration.constants
    unknown = (types.keys() | constants.keys()) - set(kernel.arg_names)
    if unknown:
        raise ValueError(f"{configuration.name}: {sorted(unknown)} must be arguments of {kernel.__name__}")
    signature: dict[str, Any] = {}
    fixed: dict[tuple[int, ...], Any] = {}
    attributes: dict[tuple[int, ...], Any] = {}
    for index, name in enumerate(kernel.arg_names):
        kind = types.get(name, "constexpr" if name in constants else "i32")
        signature[name] = kind
        if isinstance(kind, tuple):
            members = constants.get(name, (None,) * len(kind))
            fixed |= {(index, k): value for k, value in enumerate(members) if kind[k] == "constexpr"}
        elif kind == "constexpr":
            fixed[(index,)] = constants[name]
        elif kind.startswith("*") or name in configuration.divisible:
            attributes[(index,)] = [["tt.divisibility", 16]]
    return ASTSource(kernel, signature, fixed, attributes)


def _usage(assembly: dict[str, Any], log: str) -> tuple[int, int, str]:
    """Registers, spills and the text in which to look for instructions, from what a backend leaves."""
    if "amdgcn" in assembly:
        text = assembly["amdgcn"]
        count = {k: int(v) for k, v in re.findall(r"\.(vgpr_count|vgpr_spill_count|sgpr_spill_count):\s+(\d+)", text)}
        return count["vgpr_count"], count["vgpr_spill_count"] + count["sgpr_spill_count"], text
    registers = re.findall(r"Used (\d+) registers", log)
    spills = re.findall(r"(\d+) bytes spill (?:stores|loads)", log)
    if not registers or not spills:
        raise RuntimeError(f"ptxas must report registers and spills, got {log!r}")
    return max(map(int, registers)), sum(map(int, spills)), assembly["ptx"]


def kernel_name(file: str, configuration: Configuration) -> str:
    """File and kernel as the report names them."""
    return f"{file}.{configuration.kernel.__name__.strip('_').removesuffix('_kernel')}"


def source_hash(configuration: Configuration) -> str:
    """Changes with the kernel, all that it calls, its types, constants and launch."""
    launch = f"{configuration.num_warps} {configuration.num_stages} {configuration.uses_dot}"
    return hashlib.sha256(f"{source_of(configuration).hash()} {launch}".encode()).hexdigest()[:16]


def compile_one(file: str, configuration: Configuration, target: str) -> Row:
    """Compile one configuration for one chip."""
    chip = CHIPS[target]
    log = io.StringIO()
    with triton.knobs.nvidia.scope(), triton.knobs.compilation.scope(), contextlib.redirect_stdout(log):
        triton.knobs.nvidia.dump_ptxas_log = True
        triton.knobs.compilation.always_compile = True  # what comes from the cache has no log
        compiled = triton.compile(
            source_of(configuration),
            target=GPUTarget(chip.backend, chip.arch, chip.warp_size),
            options={
                "num_warps": configuration.num_warps,
                "num_stages": configuration.num_stages,
                "enable_fp_fusion": True,
            },
        )
    registers, spills, text = _usage(compiled.asm, log.getvalue())
    units = [unit for instruction, unit in MATRIX_UNITS.items() if instruction in text]
    return Row(
        kernel_name(file, configuration), target, configuration.name,
        registers, spills, compiled.metadata.shared, units[0] if units else None, configuration.uses_dot,
        configuration.num_warps, triton.__version__, source_hash(configuration),
    )  # fmt: skip


@cache
def compile_file(file: str, target: str) -> tuple[Row, ...]:
    """All configurations of a kernel file for one chip; compiled once in a process."""
    return tuple(compile_one(file, configuration, target) for configuration in configurations(file, target))


def committed() -> list[Row]:
    """The rows of the committed report."""
    return [Row(**row) for row in json.loads(RESULT.read_text())["rows"]]


def changes(rows: Iterable[Row], before: Iterable[Row]) -> list[str]:
    """What is wrong with the rows by themselves, and against earlier ones of the same triton."""
    known = {row.key: row for row in before}
    found = []
    for row in rows:
        faults = list(row.faults())
        earlier = known.pop(row.key, None)
        if earlier is None:
            faults.append("is not in the report; run perf/aot.py")
        elif earlier.triton == row.triton:
            faults += row.worse_than(earlier)
        found += [f"{' '.join(row.key)}: {fault}" for fault in faults]
    return found + [f"{' '.join(key)}: no longer offered; run perf/aot.py" for key in known]


def _compile_part(part: tuple[str, str, int, int, list[Row]]) -> list[Row]:
    file, target, index, count, known = part
    rows = {row.key: row for row in known if row.triton == triton.__version__}
    found = []
    for c in configurations(file, target)[index::count]:
        row = rows.get((kernel_name(file, c), target, c.name))
        found.append(row if row and row.source == source_hash(c) else compile_one(file, c, target))
    return found


def compile_all(files: Iterable[str], targets: Iterable[str], known: list[Row]) -> list[Row]:
    """Everything that is not known already, on all cores."""
    count = os.cpu_count() or 1
    parts = [(file, target, k, count, known) for file in files for target in targets for k in range(count)]
    rows: list[Row] = []
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        for number, done in enumerate(pool.map(_compile_part, parts), 1):
            rows += done
            print(f"\r{number} of {len(parts)} parts, {len(rows)} configurations", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return sorted(rows, key=lambda row: row.key)


def table(rows: Iterable[Row]) -> str:
    """One line a configuration."""
    lines = ["| kernel | config | target | registers | spills | shared, KiB | matrix unit |", "| --- " * 7 + "|"]
    for r in rows:
        cells = (r.kernel, r.config, r.target, r.registers, r.spills, f"{r.shared_bytes / 1024:g}", r.matrix_unit or "")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="one kernel file")
    parser.add_argument("--targets", nargs="+", choices=CHIPS, default=list(CHIPS))
    parser.add_argument("--out", type=Path, default=RESULT, help="where the report goes; rows not compiled are kept")
    parser.add_argument("--all", action="store_true", help="compile what has not changed as well")
    parser.add_argument("--check", action="store_true", help="compare with the committed report, write nothing")
    options = parser.parse_args(arguments)
    files = [options.only] if options.only else kernel_files()
    before = committed() if RESULT.exists() else []
    rows = compile_all(files, options.targets, [] if options.all or options.check else before)
    print(table(rows))
    part = [row for row in before if _is_part(row, files, options.targets)]
    faults = changes(rows, part) if options.check else [f"{' '.join(r.key)}: {f}" for r in rows for f in r.faults()]
    print(*faults, sep="\n")
    if not options.check:
        kept = [r for r in before if r.kernel.split(".")[0] in kernel_files()]
        rows = sorted([r for r in kept if not _is_part(r, files, options.targets)] + rows, key=lambda row: row.key)
        write(rows, options.out)
    return 1 if faults else 0


def _is_part(row: Row, files: Iterable[str], targets: Iterable[str]) -> bool:
    return row.kernel.split(".")[0] in files and row.target in targets


def write(rows: Iterable[Row], path: Path) -> None:
    """The report, one row a line."""
    lines = ",\n".join(f"  {json.dumps(row._asdict())}" for row in rows)
    path.write_text(f'{{\n "kind": "aot",\n "schema": 1,\n "rows": [\n{lines}\n ]\n}}\n')


if __name__ == "__main__":
    sys.exit(main())
