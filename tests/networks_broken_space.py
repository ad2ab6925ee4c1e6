"""Networks broken in space: windows, reads, resampling, masks and canvases in disguise. name -> builder."""

import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import nn

from gdtriton import GaussianJetConv2d
from networks_good import Net, each, last, middle


def folded(module):
    """`module` on all scale channels."""
    return middle(each(0), m=module)


def act(function):
    """`function(features)`, then ReLU, between the two layers."""
    return lambda: middle(lambda n, f, s: torch.relu(function(f)))


def plane(function):
    """`function` of [S * B, C, H, W], then ReLU."""
    return lambda: middle(lambda n, f, s: torch.relu(function(f.flatten(0, 1)).unflatten(0, f.shape[:2])))


def shifted_sampling(f):
    theta = torch.tensor([[1.0, 0.0, 2.0 / f.shape[-1]], [0.0, 1.0, 0.0]]).expand(f.shape[0], 2, 3)
    return F.grid_sample(f, F.affine_grid(theta, list(f.shape), align_corners=False), align_corners=False)


def low_pass(f):
    spectrum = torch.fft.rfft2(f)
    keep = torch.zeros(spectrum.shape[-2:])
    keep[:3, :3] = 1
    return torch.fft.irfft2(spectrum * keep, s=f.shape[-2:])


def shuffled_pixels(f):
    n = f.shape[-1]
    return f.index_select(-1, torch.arange(n) * 3 % n)


def gathered(f):
    index = (torch.arange(f.shape[-1]) + 1).clamp(max=f.shape[-1] - 1)
    return f.gather(-1, index.expand(f.shape))


def reindexed(f):
    return f[..., torch.tensor([0, 0, *range(f.shape[-1] - 2)])]


def strided_window(f):
    f = f.contiguous()
    n = f.shape[-1]
    view = f.as_strided((*f.shape[:-1], n - 2, 3), (*f.stride(), 1))
    return view.mean(-1)


def strided_shift(f):
    f = f.contiguous()
    return f.as_strided((*f.shape[:-1], f.shape[-1] - 2), f.stride(), 2)


def window_by_reshape(f):
    n = f.shape[-1] // 2 * 2
    return f[..., :n].reshape(*f.shape[:-1], n // 2, 2).amax(-1)


def pad_and_slice(f):
    wide = F.pad(f, (2, 2, 0, 0), mode="replicate")
    return (wide[..., 1:-3] + wide[..., 3:-1]) / 2


def column_written(f):
    f = f.clone()
    f[..., f.shape[-1] // 2 + 2] = 0
    return f


def smeared(f):
    f = f.clone()
    f[..., 1:] += f[..., :-1]
    return f


def ring_masked(f):
    mask = torch.zeros(f.shape[-2:], dtype=torch.bool)
    mask[3:-3, 3:-3] = True
    return torch.where(mask, f, torch.zeros(()))


def board(f):
    rows, columns = (torch.arange(n) for n in f.shape[-2:])
    return f * ((rows[:, None] + columns) % 2)


def local_deviation(f):
    columns = F.unfold(f, 3, padding=1).unflatten(1, (f.shape[1], 9))
    return columns.std(2).unflatten(-1, f.shape[-2:])


def suppressed(f):
    return torch.where(f > f.roll(1, -1), f, torch.zeros_like(f))


def soft_argmax(n, f, s):
    weights = f.flatten(3).softmax(-1).unflatten(-1, f.shape[-2:])
    return (weights * torch.linspace(-1, 1, f.shape[-1])).sum((3, 4)).amax(0)


class MaskBuffer(Net):
    """One entry of a buffer is 0.1 % off."""

    def extra(self):
        self.register_buffer("mask", torch.ones(17, 17))
        self.mask[4, 11] = 1.001

    def middle(self, features, sigmas):
        n = features.shape[-1]
        mask = self.mask if n == 17 else F.pad(self.mask, (0, n - 17, 0, n - 17), value=1.0)
        return torch.relu(features * mask)


class EinsumRows(Net):
    """Rows mixed by a matrix, in an einsum."""

    def extra(self):
        self.rows = nn.Parameter(torch.eye(17))

    def middle(self, features, sigmas):
        n = features.shape[-2]
        rows = self.rows if n == 17 else torch.block_diag(self.rows, torch.eye(n - 17))
        return torch.relu(torch.einsum("sbchw,hk->sbckw", features, rows))


class Tensordot(Net):
    """The pixels of a row against learned numbers."""

    def extra(self):
        self.w = nn.Parameter(torch.randn(17, 2))

    def last(self, features, sigmas):
        return torch.tensordot(features, self.w, dims=([4], [0])).amax((0, 3))


class Patches(Net):
    """Unfolded patches through a linear layer: a convolution in other words."""

    def extra(self):
        self.fc = nn.Linear(36, 4)

    def middle(self, features, sigmas):
        x = F.unfold(features.flatten(0, 1), 3, padding=1)
        x = self.fc(x.transpose(1, 2)).transpose(1, 2)
        return torch.relu(x.unflatten(-1, features.shape[-2:]).unflatten(0, features.shape[:2]))


class Attention(Net):
    """Self-attention between the pixels."""

    def middle(self, features, sigmas):
        tokens = features.flatten(3).mT.flatten(0, 1)
        out = F.scaled_dot_product_attention(tokens, tokens, tokens)
        return out.mT.unflatten(-1, features.shape[-2:]).unflatten(0, features.shape[:2])


class SideBranch(Net):
    """A dilated window in one of three branches, nested."""

    def extra(self):
        self.a, self.b = GaussianJetConv2d(4, 4), GaussianJetConv2d(4, 4, relative_sigma=2.0)
        self.c = nn.Sequential(nn.Identity(), nn.Sequential(nn.MaxPool2d(5, 1, 2), nn.MaxPool2d((1, 3), 1, (0, 1))))

    def middle(self, features, sigmas):
        third = self.c(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        return torch.relu(self.a(features, sigmas) + self.b(features, sigmas) + 0.1 * third)


BROKEN = {
    "matrix of a shift": act(lambda f: torch.matmul(f, torch.eye(f.shape[-1]).roll(1, 0))),
    "falls off from a corner": act(lambda f: f * torch.exp(-torch.arange(f.shape[-1]) / 9)),
    "product with a neighbour": act(lambda f: f * F.pad(f[..., 1:], (0, 1))),
    "window under checkpoint": act(
        lambda f: torch.utils.checkpoint.checkpoint(
            lambda x: F.max_pool3d(x, (1, 3, 3), 1, (0, 1, 1)), f, use_reentrant=False
        )
    ),
    "window under vmap": act(torch.vmap(lambda x: F.avg_pool2d(x.flatten(0, 1), 3, 1, 1).unflatten(0, x.shape[:2]))),
    "quantile of the canvas": lambda: last(lambda n, f, s: torch.quantile(f.flatten(3), 0.7, dim=-1).amax(0)),
    "index_select shuffles pixels": act(shuffled_pixels),
    "gather shifts pixels": act(gathered),
    "advanced index shifts pixels": act(reindexed),
    "cumsum along a row": act(lambda f: f.cumsum(-1)),
    "median over a row": lambda: last(lambda n, f, s: f.median(-1).values.amax((0, 3))),
    "grid_sample shifts": plane(shifted_sampling),
    "spectrum masked": act(low_pass),
    "as_strided window": act(strided_window),
    "as_strided shift": act(strided_shift),
    "window by reshape": act(window_by_reshape),
    "pad and slices": plane(pad_and_slice),
    "column written in place": act(column_written),
    "smeared in place": act(smeared),
    "ring masked by where": act(ring_masked),
    "checkerboard": act(board),
    "deviation of patches": plane(local_deviation),
    "suppressed by a neighbour": act(suppressed),
    "patches and linear": Patches,
    "difference of pixels": act(lambda f: torch.diff(f, dim=-1)),
    "gradient": act(lambda f: torch.gradient(f, dim=-1)[0]),
    "down and up": plane(lambda f: F.interpolate(F.interpolate(f, scale_factor=0.5), size=f.shape[-2:])),
    "soft argmax": lambda: last(soft_argmax),
    "mask buffer, one entry": MaskBuffer,
    "einsum over rows": EinsumRows,
    "tensordot over a row": Tensordot,
    "attention between pixels": Attention,
    "dilated window in one branch": SideBranch,
    "threshold at the mean": act(lambda f: f * (f > f.mean((3, 4), keepdim=True))),
    "variance over the canvas": lambda: last(lambda n, f, s: torch.relu(f).var((3, 4)).amax(0)),
    "logsumexp over the canvas": lambda: last(lambda n, f, s: f.logsumexp((3, 4)).amax(0)),
    "norm over the canvas": lambda: last(lambda n, f, s: torch.linalg.vector_norm(f + 1, dim=(3, 4)).amax(0)),
    "softmax over the canvas": lambda: last(lambda n, f, s: f.flatten(3).softmax(-1).amax((0, 3))),
    "padding by ones": act(lambda f: F.pad(f, (1, 1, 1, 1), value=1.0)),
    "1x1 convolution with padding": lambda: folded(lambda: nn.Conv2d(4, 4, 1, padding=1)),
    "pixel unshuffle": plane(lambda f: F.pixel_unshuffle(f[..., 1:, 1:], 2).unflatten(1, (4, 4)).amax(2)),
    "two reads beside the centre": lambda: last(
        lambda n, f, s: (f[..., f.shape[-2] // 2, f.shape[-1] // 2 - 1] - f[..., f.shape[-2] // 2, -1]).amax(0)
    ),
    "norm over rows": lambda: middle(lambda n, f, s: F.normalize(f + 0.5, dim=-1)),
}
"""Each of them with an image (1, 1, 17, 17) on a fixed canvas."""
