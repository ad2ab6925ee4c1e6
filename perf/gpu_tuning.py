"""Tiles that would be faster than the committed ones: `kernels/tiles.py` entry by entry, on two typical layers.

What is measured elsewhere are the committed tiles. A better one is a line of the results, to be put into the table by
hand after `perf/aot.py` has looked at it.
"""

from collections.abc import Iterator
from typing import Any

from gdtriton.kernels import tiles
from gdtriton.kernels.tiles import Tile
from perf.gpu_layers import Case, ours
from perf.gpu_machine import Clock, Machine, precision

LAYERS = ((Case(32, 48, 112, 8, "tf32"), 2.0), (Case(32, 48, 112, 8, "tf32"), 8.0))


def variants(tile: Tile) -> Iterator[Tile]:
    """Neighbours: half or twice the warps, a stage more or less, one block halved or doubled."""
    for warps in (tile.num_warps // 2, 2 * tile.num_warps):
        if 1 <= warps <= 16:
            yield tile._replace(num_warps=warps)
    for stages in (tile.num_stages - 1, tile.num_stages + 1):
        if 1 <= stages <= 4:
            yield tile._replace(num_stages=stages)
    for name, size in tile.blocks.items():
        for other in (size // 2, 2 * size):
            if 16 <= other <= 256:
                yield tile._replace(blocks=tile.blocks | {name: other})


def own_tables(machine: Machine) -> list[tuple[str, list[tuple[int, Tile]]]]:
    """The entries that serve this device, by kernel."""
    target = tiles.target_of(machine.device)
    names = dict.fromkeys(name.split()[0] for name in tiles._TILES)
    found = [(name, tiles._TILES.get(f"{name} {target}", tiles._TILES.get(name, []))) for name in names]
    return found[:2] if machine.dry else found


def _training_ms(machine: Machine, case: Case, sigma: float) -> float:
    with precision(case.mode):
        replay, _ = machine.captured(ours(machine, case, sigma)["training"])
        best = min(machine.time(replay, 8, 0.1))
    machine.forget()
    return best


def run_tuning(machine: Machine, clock: Clock) -> list[dict[str, Any]]:
    """A row for every tile that is faster than the committed one by more than 2 %, and one for every layer tried."""
    rows: list[dict[str, Any]] = []
    layers = ((Case(2, 2, 5, 1, "float32", 25), 1.0),) if machine.dry else LAYERS
    for case, sigma in layers:
        committed = _training_ms(machine, case, sigma)
        tried = 0
        for kernel, entries in own_tables(machine):
            for position, (least, tile) in enumerate(list(entries)):
                for variant in [tile] if machine.dry else variants(tile):
                    if clock.left <= 0:
                        break
                    tried += 1
                    entries[position] = (least, variant)
                    try:
                        found = _training_ms(machine, case, sigma)
                    except Exception:  # it does not compile, or needs more than the chip has
                        continue
                    finally:
                        entries[position] = (least, tile)
                    if found < 0.98 * committed:
                        rows.append(
                            {"layer": case._asdict(), "sigma": sigma, "kernel": kernel, "from_extent": least,
                             "tile": variant._asdict(), "median_ms": found, "committed_ms": committed}
                        )  # fmt: skip
        rows.append({"layer": case._asdict(), "sigma": sigma, "tried": tried, "committed_ms": committed})
    return rows
