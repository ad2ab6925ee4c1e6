"""Draws `docs/jets.png`, the picture of README: an image, its jets at three scales. `python docs/picture.py`."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.fft import dctn, idctn
from sklearn.datasets import load_digits

from gdtriton import gaussian_jet

SIGMAS = (1.5, 3.0, 6.0)
NAMES = ("L", "Lx", "Ly", "Lxx", "Lxy", "Lyy")


def main() -> None:
    """One handwritten digit, enlarged band-limited to on a black canvas of 97 pixels."""
    digit = np.pad(load_digits().images[13], 2)
    spectrum = np.zeros((91, 91))
    spectrum[:12, :12] = dctn(digit, norm="ortho")
    image = torch.zeros(97, 97, dtype=torch.float64)
    image[3:94, 3:94] = torch.from_numpy(idctn(spectrum, norm="ortho")).clamp_min(0)
    jets = gaussian_jet(image / image.max(), SIGMAS)  # [S, J, H, W]

    figure, axes = plt.subplots(3, 7, figsize=(9.8, 4.4), layout="constrained")
    for s, sigma in enumerate(SIGMAS):
        axes[s, 0].axis("off")
        for j, name in enumerate(NAMES):
            panel, values = axes[s, j + 1], jets[s, j]
            limit = float(values.abs().max())
            panel.imshow(values, cmap="gray" if j == 0 else "RdBu_r", vmin=0 if j == 0 else -limit, vmax=limit)
            panel.set_xticks([]), panel.set_yticks([])
            if s == 0:
                panel.set_title(name)
            if j == 0:
                panel.set_ylabel(f"sigma {sigma:g}")
    axes[1, 0].axis("on")
    axes[1, 0].imshow(image, cmap="gray")
    axes[1, 0].set_xticks([]), axes[1, 0].set_yticks([])
    axes[1, 0].set_title("image")
    figure.savefig(Path(__file__).with_name("jets.png"), dpi=80)


if __name__ == "__main__":
    main()
