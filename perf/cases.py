"""What is measured: layers, sigmas, modes and who takes part."""

from dataclasses import dataclass

FORWARD, TRAINING, MOVING = "forward", "training", "moving-sigma"
MODES = {
    FORWARD: "forward, no gradients",
    TRAINING: "forward + backward to features, weight and sigma",
    MOVING: "training with another sigma at every call, as when sigma is learned (nothing cached by its value helps)",
}


@dataclass(frozen=True)
class BenchCase:
    """One layer at one sigma: 2-D, order 2, float32, symmetric border, no bias."""

    in_channels: int
    out_channels: int
    sigma: float
    size: int = 112
    batch: int = 4
    discretisation: str = "discrete"
    learn_sigma: str = "layer"
    providers: tuple[str, ...] = ("ours", "conv2d-nchw", "conv2d-channels-last", "plain-adj", "dense")
    modes: tuple[str, ...] = (FORWARD, TRAINING, MOVING)

    @property
    def name(self) -> str:
        """A short label."""
        layer = f"{self.in_channels}->{self.out_channels} {self.size}x{self.size} batch {self.batch}"
        return f"{layer} sigma {self.sigma:g} {self.discretisation} learn_sigma={self.learn_sigma}"


def full_cases() -> list[BenchCase]:
    """The cases of the committed results."""
    layers, sigmas = ((16, 24), (32, 64)), (1.0, 2.0, 4.0, 8.0, 16.0)
    cases = [BenchCase(c_in, c_out, sigma) for c_in, c_out in layers for sigma in sigmas]
    # What takes a plainer path has rows of its own.
    own = {"providers": ("ours", "conv2d-channels-last"), "modes": (FORWARD, TRAINING)}
    for sigma in (2.0, 8.0):
        for name in ("sampled-derivative", "integrated-derivative"):
            cases.append(BenchCase(16, 24, sigma, discretisation=name, **own))  # type: ignore[arg-type]
        cases.append(BenchCase(16, 24, sigma, batch=1, learn_sigma="output", **own))  # type: ignore[arg-type]
    return cases


def quick_cases() -> list[BenchCase]:
    """Tiny cases that run every path of the harness; their times mean nothing."""
    small = {"size": 12, "batch": 2}
    return [
        BenchCase(2, 3, 1.0, **small),  # type: ignore[arg-type]
        BenchCase(2, 3, 6.0, **small),  # type: ignore[arg-type]
        BenchCase(2, 3, 2.0, discretisation="sampled-derivative", providers=("ours",), modes=(TRAINING,), **small),  # type: ignore[arg-type]
        BenchCase(2, 3, 2.0, learn_sigma="output", providers=("ours",), modes=(FORWARD,), **small),  # type: ignore[arg-type]
    ]
