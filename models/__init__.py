"""The networks of the Gaussian derivative papers, data sets and training.

`build_model(name, **overrides)` gives a network ready to train; `list_models()` names them. Names load on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "build_model": "registry",
    "list_models": "registry",
    "GaussDerNet": "gaussdernet",
    "GaussDerNetConfig": "gaussdernet",
    "GaussDerResNet": "gaussderresnet",
    "GaussDerResNetConfig": "gaussderresnet",
}

if TYPE_CHECKING:
    from .gaussdernet import GaussDerNet, GaussDerNetConfig
    from .gaussderresnet import GaussDerResNet, GaussDerResNetConfig
    from .registry import build_model, list_models

__all__ = [
    "GaussDerNet",
    "GaussDerNetConfig",
    "GaussDerResNet",
    "GaussDerResNetConfig",
    "build_model",
    "list_models",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
