"""What the networks share: the head, and the checks of a config."""

from torch import nn

from ..checks import check_choice, check_integer, check_number
from ..scale_axis import ReadOut, ScaleDropout, ScalePool


def scale_head(read_out: str, scale_dropout: float, pooling: str) -> nn.Sequential:
    """[S, B, C, *spatial] -> [B, C]: read-out over space, dropout and pooling over scale channels."""
    dropout = [ScaleDropout(scale_dropout)] if scale_dropout else []
    return nn.Sequential(ReadOut(read_out), *dropout, ScalePool(pooling))  # type: ignore[arg-type]


def check_config(config: object) -> None:
    """Refuse what the layers would not refuse by themselves, or only with a message about something else."""
    name = type(config).__name__
    values = vars(config)
    channels = values["channels"]
    if not isinstance(channels, tuple) or not channels:
        raise ValueError(f"{name}: channels must be a tuple of at least one number, got {channels!r}")
    for width in channels:
        check_integer(name, "channels", width, 1)
    for field in ("in_channels", "n_classes", "n_scales"):
        check_integer(name, field, values[field], 1)
    check_number(name, "layer_ratio", values["layer_ratio"])
    if values["layer_ratio"] <= 0:
        raise ValueError(f"{name}: layer_ratio must be > 0, got {values['layer_ratio']}")
    check_choice(name, "read_out", values["read_out"], ("centre", "max", "mean"))
    check_choice(name, "pooling", values["pooling"], ("max", "mean", "logsumexp"))
