"""What a result file of `bench.py` has to contain."""

import math
from typing import Any

KIND = "layer-cpu"
METADATA = ("utc", "clock", "commit", "dirty", "cpu", "threads", "load_average", "torch", "triton", "python", "seed")
TIMES = ("median_ms", "p20_ms", "p80_ms")


def finite(value: Any) -> Any:
    """The value with every non-finite number replaced by None, all the way down."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def check_document(document: dict[str, Any]) -> None:
    """Raise ValueError with the first thing that is wrong."""
    if document.get("kind") != KIND or document.get("schema") != 1:
        raise ValueError(f"kind and schema must be {KIND!r} and 1, got {document.get('kind')!r}")
    missing = [name for name in METADATA if name not in document["metadata"]]
    if missing:
        raise ValueError(f"metadata must contain {missing}")
    if not document["rows"]:
        raise ValueError("rows must not be empty")
    for row in document["rows"]:
        label = f"{row['case']} {row['provider']} {row['mode']}"
        times = [row[name] for name in TIMES]
        if row["status"] == "ok":
            if not all(isinstance(t, float) and math.isfinite(t) and t > 0 for t in times):
                raise ValueError(f"{label}: a row that passed must have finite times, got {times}")
            if not times[1] <= times[0] <= times[2] or row["rounds"] < 1:
                raise ValueError(f"{label}: quantiles must be ordered, got {times}")
        elif row["status"] == "failed":
            if times != [None] * 3 or not row["reason"]:
                raise ValueError(f"{label}: a failed row must have a reason and no time")
        else:
            raise ValueError(f"{label}: status must be 'ok' or 'failed', got {row['status']!r}")
        if not all(e is None or (isinstance(e, float) and math.isfinite(e)) for e in row["relative_error"].values()):
            raise ValueError(f"{label}: errors must be finite or null")
