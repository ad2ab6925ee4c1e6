"""Machine proofs of the theory, and proofs or refutations about real networks; lazy names."""

from importlib import import_module
from typing import Any

_HOMES = {
    "AnalyticImage": "images",
    "Certificate": "network.verdict",
    "NotCertified": "network.verdict",
    "Refutation": "network.verdict",
    "Unknown": "network.verdict",
    "assert_reflection_covariant": "symmetry",
    "assert_rotation_covariant": "symmetry",
    "assert_scale_covariant": "convergence",
    "assert_scale_invariant": "convergence",
    "assert_translation_covariant": "symmetry",
    "certify": "network.verdict",
    "covariance_defect": "numeric",
    "ProofError": "theory.rules",
    "check_proof": "theory.check",
    "theorem": "theory.derivation",
    "theorems": "theory.derivation",
}

__all__ = [
    "AnalyticImage",
    "Certificate",
    "NotCertified",
    "ProofError",
    "Refutation",
    "Unknown",
    "assert_reflection_covariant",
    "assert_rotation_covariant",
    "assert_scale_covariant",
    "assert_scale_invariant",
    "assert_translation_covariant",
    "certify",
    "check_proof",
    "covariance_defect",
    "strategies",
    "theorem",
    "theorems",
]


def __getattr__(name: str) -> Any:
    if name == "strategies":  # hypothesis is imported by who asks for it
        return import_module(".properties", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
