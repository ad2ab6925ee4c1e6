"""The short table at the end, and what a result file has to contain."""

from collections.abc import Iterator
from typing import Any

KIND = "layer-gpu"
PARTS = ("checks", "sanitizers", "rates", "grid", "others", "pooling", "training", "tuning")
METADATA = ("utc", "commit", "dirty", "device", "driver", "torch", "cuda", "triton", "python", "command")
TWINS = ("conv2d-nchw", "conv2d-channels-last")
TARGET_PLANE = 128
"""The targets are for planes up to this."""
Row = dict[str, Any]


def check_document(document: dict[str, Any]) -> None:
    """Raise ValueError with the first thing that is wrong."""
    if document.get("kind") != KIND or document.get("schema") != 1:
        raise ValueError(f"kind and schema must be {KIND!r} and 1, got {document.get('kind')!r}")
    missing = [name for name in (*PARTS, "dry", "seconds", "metadata") if name not in document]
    missing += [name for name in METADATA if name not in document.get("metadata", {})]
    if missing:
        raise ValueError(f"a result must contain {missing}")
    for part in ("checks", "grid", "others", "training"):
        for row in document[part]:
            if row["status"] not in ("ok", "failed", "skipped"):
                raise ValueError(f"{part}: status must be 'ok', 'failed' or 'skipped', got {row['status']!r}")
            if row["status"] != "ok" and not row["reason"]:
                raise ValueError(f"{part}: a row that is {row['status']} must have a reason, got {row}")
    for row in (*document["grid"], *document["others"]):
        timed = row["median_ms"] is not None
        if timed != (row["status"] == "ok") or (timed and not 0 < row["p20_ms"] <= row["median_ms"] <= row["p80_ms"]):
            raise ValueError(f"grid: exactly the rows that are ok must have ordered times, got {row}")


def key(row: Row) -> tuple[Any, ...]:
    """Which layer in which arithmetic and mode."""
    names = ("in_channels", "out_channels", "plane", "n_scales", "arithmetic", "mode")
    return tuple(row[name] for name in names)


def best_twins(grid: list[Row]) -> dict[tuple[Any, ...], Row]:
    """The better layout of the convolution for every layer, arithmetic and mode."""
    best: dict[tuple[Any, ...], Row] = {}
    for row in grid:
        if row["provider"] in TWINS and row["status"] == "ok":
            known = best.get(key(row))
            if known is None or row["median_ms"] < known["median_ms"]:
                best[key(row)] = row
    return best


def target(row: Row) -> float | None:
    """Allowed ratio to the twin in training."""
    if row["mode"] != "training" or row["plane"] > TARGET_PLANE:
        return None
    wide = max(row["in_channels"], row["out_channels"]) >= 64
    return {"float32": 1.0, "tf32": 1.3 if wide else 1.0, "bf16": 1.6 if wide else 1.3}[row["arithmetic"]]


def _layer(row: Row) -> str:
    return f"{row['in_channels']}->{row['out_channels']} {row['plane']}^2 S={row['n_scales']} {row['arithmetic']}"


def ratio_lines(grid: list[Row]) -> Iterator[str]:
    """Training time over the twin's, a line for each layer, a column for each sigma."""
    twins = best_twins(grid)
    ours = [row for row in grid if row["provider"] == "ours" and row["mode"] == "training"]
    sigmas = sorted({row["sigma"] for row in ours})
    heads = ["layer", "twin, ms", *(f"sigma {sigma:g}" for sigma in sigmas), "target", "met"]
    yield "| " + " | ".join(heads) + " |"
    yield "| --- " * len(heads) + "|"
    for name in dict.fromkeys(key(row) for row in ours):
        own = {row["sigma"]: row for row in ours if key(row) == name}
        twin, allowed = twins.get(name), target(next(iter(own.values())))
        ratios = {
            sigma: row["median_ms"] / twin["median_ms"] for sigma, row in own.items() if twin and row["status"] == "ok"
        }
        cells = [_layer(next(iter(own.values()))), f"{twin['median_ms']:.3f}" if twin else ""]
        cells += [f"{ratios[s]:.2f}" if s in ratios else own[s]["status"] if s in own else "" for s in sigmas]
        met = sum(ratio <= allowed for ratio in ratios.values()) if allowed else 0
        cells += [f"{allowed}" if allowed else "", f"{met} of {len(own)}" if allowed else ""]
        yield "| " + " | ".join(cells) + " |"


def other_lines(document: dict[str, Any]) -> Iterator[str]:
    """Plain PyTorch, compiled and dense filters, as times of ours."""
    ours = {(key(r), r["sigma"]): r for r in document["grid"] if r["provider"] == "ours" and r["status"] == "ok"}
    for row in document["others"]:
        if row["mode"] != "training":
            continue
        own = ours.get((key(row), row["sigma"]))
        if row["status"] == "ok" and own:
            yield (
                f"{row['provider']}: {_layer(row)} sigma {row['sigma']:g}: {row['median_ms']:.2f} ms, "
                f"{row['median_ms'] / own['median_ms']:.1f} x ours"
            )


def memory_lines(grid: list[Row]) -> Iterator[str]:
    """Peak memory of a training step at plane 112, ours over the twin."""
    twins = best_twins(grid)
    for row in grid:
        twin = twins.get(key(row))
        if row["provider"] != "ours" or row["mode"] != "training" or row["plane"] != 112 or not twin:
            continue
        if row["peak_bytes"] and twin["peak_bytes"]:
            own, other = row["peak_bytes"] / 2**20, twin["peak_bytes"] / 2**20
            yield f"memory: {_layer(row)} sigma {row['sigma']:g}: {own:.0f} MiB, twin {other:.0f} MiB"


def summary(document: dict[str, Any]) -> str:
    """What is printed last."""
    data, lines = document["metadata"], []
    head = f"{data['device']}, torch {data['torch']}, triton {data['triton']}, commit {str(data['commit'])[:7]}"
    if document["dry"]:
        head = f"DRY RUN, no time means anything: {head}"
    checks = document["checks"]
    count = {status: sum(row["status"] == status for row in checks) for status in ("ok", "failed", "skipped")}
    lines += [head, f"checks: {count['ok']} ok, {count['failed']} failed, {count['skipped']} skipped"]
    lines += [f"  FAILED {r['check']} {r['arithmetic']}: {r['reason']}" for r in checks if r["status"] == "failed"]
    lines += [f"sanitizer {row['tool']}: {row['status']} {row['reason']}".rstrip() for row in document["sanitizers"]]
    lines += [f"{name}: {value:.3g}" for name, value in document["rates"].items()]
    lines += list(other_lines(document))
    shares = [row["share"] for row in document["grid"] if row.get("share")]
    if shares:
        lines.append(f"share of the floor: ours {min(shares):.2f} .. {max(shares):.2f}")
    for row in document["pooling"]:
        what = f"{row['kind']} {row['mode']} {row['arithmetic']}"
        lines.append(f"pooling {what}: share of the copy rate {row['share']:.2f}")
    for row in document["training"]:
        speed = f"{row['status']}: {row['reason']}"
        if row["status"] == "ok":
            paper = row["minutes_for_the_paper"]
            speed = f"{row['images_per_s']:.0f} images/s, 20 epochs of 50,000 images {paper:.1f} min"
        lines.append(f"training step, {row['arithmetic']}, batch {row['batch']}: {speed}")
    failed = [row for part in ("grid", "others") for row in document[part] if row["status"] == "failed"]
    lines += [f"FAILED {r['provider']} {_layer(r)} {r['mode']}: {r['reason']}" for r in failed[:10]]
    skipped = sum(row["status"] == "skipped" for part in ("grid", "others") for row in document[part])
    lines += [f"{len(failed)} rows failed, {skipped} were skipped; {document['seconds']:.0f} s"]
    lines += list(ratio_lines(document["grid"]))
    return "\n".join(lines)
