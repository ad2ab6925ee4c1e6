"""Names of networks: every preset is a frozen config, every config has a network class."""

import dataclasses
import difflib
from collections.abc import Iterable
from typing import Any

from torch import nn

from . import gaussdernet, gaussderresnet

PRESETS: dict[str, gaussdernet.GaussDerNetConfig | gaussderresnet.GaussDerResNetConfig] = {
    **gaussdernet.PRESETS,
    **gaussderresnet.PRESETS,
}


def list_models() -> list[str]:
    """The names that `build_model` knows, sorted."""
    return sorted(PRESETS)


def build_model(name: str, **overrides: Any) -> nn.Module:
    """Build a network with fresh random weights.

    Args:
        name: One of `list_models()`.
        **overrides: Fields of the network's frozen config, e.g. `n_classes=5`; `PRESETS[name]` shows them.

    Returns:
        The network: image [B, C_in, H, W] -> logits [B, n_classes]. Its config is the attribute `config`.

    Raises:
        ValueError: On an unknown name or override (the message names the nearest), or a value out of range.

    Example:
        >>> network = build_model("gaussdernet-mnist-large-scale", n_scales=4)
        >>> network.config.n_scales
        4
    """
    if name not in PRESETS:
        raise ValueError(f"build_model: name must be one of list_models(), got {name!r}; {_nearest(name, PRESETS)}")
    config = PRESETS[name]
    fields = [field.name for field in dataclasses.fields(config)]
    for key in overrides:
        if key not in fields:
            raise ValueError(
                f"build_model: overrides must be fields of {type(config).__name__}, got {key!r}; "
                f"{_nearest(key, fields)}"
            )
    config = dataclasses.replace(config, **overrides)
    if isinstance(config, gaussdernet.GaussDerNetConfig):
        return gaussdernet.GaussDerNet(config)
    return gaussderresnet.GaussDerResNet(config)


def _nearest(word: str, known: Iterable[str]) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(str(word), known, n=1, cutoff=0.4)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
