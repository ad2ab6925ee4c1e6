"""Certificates and refutations about real networks: the four links between a module and the theory.

Reading order: `graph` (what the module computes), `domain` (what is known about a value), `core` and `family` (the
rules), `lower*` (which rule an operator of the graph is), `witness` and `evidence` (what refutes, and its numbers),
`links`, `bounds`, `exact` (the other three links), `verdict` (certify), `report` (HTML), `check`, `check_terms`,
`check_rules` (the independent re-check of a derivation).
"""

from importlib import import_module
from typing import Any

__all__ = ["Certificate", "Refutation", "Unknown", "certify"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    return getattr(import_module(".verdict", __name__), name)
