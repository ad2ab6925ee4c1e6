"""The demo: its data, its rival, its code path end to end on a tiny configuration, and what it does when it cannot."""

import argparse
import json
import math
import os
import re
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

from gdtriton.cli import demo, demo_certificate, demo_measures, demo_report, main
from gdtriton.models.digits import (
    RECONSTRUCTION_SIGMA,
    SUPPORT,
    canvas_for,
    enlarge,
    enlarge_each,
    load_split,
)
from gdtriton.models.gaussdernet import GaussDerNet, GaussDerNetConfig
from gdtriton.models.plain_cnn import PlainCNN, PlainCNNConfig
from gdtriton.models.scale_experiment import ExperimentConfig, scale_logits
from gdtriton.models.training import Recipe, fit, matched_scale_logits, predict
from gdtriton.testing import assert_within_rounding, gamma, layer_bound
from gdtriton.verify import ProofError, certify
from gdtriton.verify.convergence import Convergence
from gdtriton.verify.network.witness import defect

ONE_EPOCH = Recipe(epochs=1, batch_size=8)
TINY = ExperimentConfig(
    n_sizes=5,
    n_train=16,
    n_test=6,
    network=GaussDerNetConfig(channels=(3, 4), sigma_0=1.0, n_scales=2),
    matched_channel=1,
    cnn=PlainCNNConfig(channels=(4, 6)),
    network_recipe=ONE_EPOCH,
    cnn_recipe=ONE_EPOCH,
    resized_recipe=ONE_EPOCH,
)
PUBLISHED = ExperimentConfig()


def test_split_is_by_image_and_covers_the_data():
    split = load_split(597)
    train, test = set(split.train_indices.tolist()), set(split.test_indices.tolist())
    assert not train & test
    assert train | test == set(range(1797))
    assert len(test) == len(split.test) == len(split.test_labels) == 597
    again = load_split(597)
    assert torch.equal(split.test, again.test)
    # No held-out image is in the training set under another index.
    rows = {image.numpy().tobytes() for image in split.train}
    assert not any(image.numpy().tobytes() in rows for image in split.test)


@pytest.mark.parametrize(("n_test", "n_train"), [(0, None), (1797, None), (5, 0), (1000, 1000)])
def test_split_that_does_not_fit_is_refused(n_test, n_train):
    with pytest.raises(ValueError, match="must be >= 1 and add up to at most 1797"):
        load_split(n_test, n_train=n_train)


def test_sizes_of_the_published_experiment():
    sizes = PUBLISHED.sizes
    assert len(sizes) == 17
    assert sizes[8] == PUBLISHED.train_size >= 24
    assert sizes[-1] / sizes[0] == pytest.approx(8)
    ratios = [b / a for a, b in pairwise(sizes)]
    assert ratios == pytest.approx([8 ** (1 / 16)] * 16)
    assert PUBLISHED.train_size / 2 >= 12


def test_canvases_are_odd_and_just_large_enough():
    for size in (*PUBLISHED.sizes, 8.0, 9.0, 10.0):
        canvas, needed = canvas_for(size), size * 11 / 8
        assert canvas % 2 == 1
        assert needed <= canvas < needed + 2
    assert PUBLISHED.train_canvas - 2 * PUBLISHED.train_border == canvas_for(24.0) == 33
    assert canvas_for(max(PUBLISHED.sizes)) == PUBLISHED.test_canvas


def test_even_canvas_is_refused():
    with pytest.raises(ValueError, match="canvas must be odd"):
        enlarge(torch.zeros(1, 8, 8), 24.0, 32)
    with pytest.raises(ValueError, match="size must be > 0"):
        enlarge(torch.zeros(1, 8, 8), 0.0, 33)


def test_enlarging_is_the_analytic_function_of_the_samples():
    """A pixel is the sum over samples of the separable window at its position, written out with math.exp."""
    samples = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    size, canvas = 19.3, 29
    image = enlarge(samples, size, canvas)[0, 0]
    s2 = 2 * RECONSTRUCTION_SIGMA**2
    for y, x in ((14, 14), (3, 20), (25, 9)):
        py, px = ((v - 14) * 8 / size + 3.5 for v in (y, x))
        value = sum(
            float(samples[0, k, l]) * math.exp(-((py - k) ** 2) / s2) * math.exp(-((px - l) ** 2) / s2)
            for k in range(8)
            for l in range(8)
            if abs(py - k) < SUPPORT and abs(px - l) < SUPPORT
        ) / (math.pi * s2)
        assert float(image[y, x]) == pytest.approx(value, rel=1e-12)


def test_images_of_two_sizes_are_samples_of_one_function():
    """f'(x) = f(x / S): with S = 3, every third pixel of the large image is a pixel of the small one, exactly."""
    samples = load_split(5).test.double()
    small, large = enlarge(samples, 12.0, 21), enlarge(samples, 36.0, 63)
    torch.testing.assert_close(large[..., 1::3, 1::3], small, rtol=0, atol=1e-15)


def test_images_are_band_limited_at_the_smallest_size():
    """Energy above 0.75 of the Nyquist frequency: that of the window, times what the digit has there, and no more."""
    images = enlarge(load_split(50).test.double(), PUBLISHED.sizes[0], 63)
    power = torch.fft.fft2(images).abs().square().sum((0, 1))
    frequency = torch.fft.fftfreq(63, dtype=torch.float64).abs() * 2 * math.pi
    high = torch.maximum(frequency[:, None], frequency[None]) > 0.75 * math.pi
    assert power[high].sum() / power.sum() < math.exp(-((0.75 * math.pi * RECONSTRUCTION_SIGMA) ** 2))


def test_brightness_is_the_samples_and_black_is_exact():
    flat = torch.ones(1, 8, 8, dtype=torch.float64)
    image = enlarge(flat, 40.0, 95)[0, 0]
    # Poisson summation: the ripple of a Gaussian window of 0.7 samples is 2 exp(-2 pi^2 0.49) = 1.3e-4 an axis.
    assert float(image[47, 47]) == pytest.approx(1, abs=3 * 1.3e-4)
    assert (image[0] == 0).all()
    positive = image[image > 0]
    assert positive.float().min() >= torch.finfo(torch.float32).tiny


def test_enlarging_each_agrees_with_enlarging_one_by_one():
    samples = load_split(5).test
    sizes = torch.tensor([9.0, 20.5, 31.0, 12.25, 40.0], dtype=torch.float64)
    together = enlarge_each(samples, sizes, 57)
    for i, size in enumerate(sizes.tolist()):
        torch.testing.assert_close(together[i : i + 1], enlarge(samples[i : i + 1], size, 57), rtol=0, atol=1e-6)


def test_rival_has_at_least_the_depth_and_the_parameters_of_the_network():
    network, cnn = GaussDerNet(PUBLISHED.network), PlainCNN(PUBLISHED.cnn)
    assert sum(p.numel() for p in cnn.parameters()) >= sum(p.numel() for p in network.parameters())
    assert 2 * len(PUBLISHED.cnn.channels) + 1 >= len(PUBLISHED.network.channels) + 1


def test_rival_does_not_see_the_size_of_a_black_canvas():
    """Far from the digit the features are constant, so the global maximum is the same on any larger canvas."""
    torch.manual_seed(0)
    cnn = PlainCNN(PUBLISHED.cnn).eval().double()
    samples = load_split(4).test.double()
    # Multiples of 4 around, so that the pooling grid falls on the same pixels.
    small, large = (enlarge(samples, 20.0, canvas) for canvas in (61, 77))
    torch.testing.assert_close(cnn(large), cnn(small), rtol=1e-10, atol=1e-10)


def test_scale_channel_that_answers_in_training_leaves_room_for_every_size():
    """The matched sigma times size / training size stays within the scale channels, up to one half step."""
    sigmas, config = GaussDerNet(PUBLISHED.network).lift.grid.sigmas, PUBLISHED
    matched = sigmas[config.matched_channel]
    half_step = config.network.ratio**0.5
    assert sigmas[0] / half_step <= matched * config.sizes[0] / config.train_size
    assert matched * config.sizes[-1] / config.train_size <= sigmas[-1] * half_step


def test_matched_scale_logits_read_the_right_class_from_one_scale_channel():
    torch.manual_seed(0)
    network = GaussDerNet(GaussDerNetConfig(channels=(3,), sigma_0=1.0, n_scales=3, n_classes=4)).eval()
    images, labels = torch.rand(5, 1, 9, 9), torch.tensor([0, 3, 1, 1, 2])
    of_scales = scale_logits(network, images)
    found = matched_scale_logits(network, 1, 2, 0)(images, labels).detach()
    for b, label in enumerate(labels.tolist()):
        for c in range(4):
            column = of_scales[:, b, c]
            assert float(found[b, c]) == pytest.approx(float(column[1] if c == label else column.max()), abs=1e-6)


def test_matched_scale_logits_draw_other_scale_channels_for_every_batch():
    torch.manual_seed(0)
    network = GaussDerNet(GaussDerNetConfig(channels=(3,), sigma_0=1.0, n_scales=4, n_classes=2)).eval()
    images, labels = torch.rand(3, 1, 9, 9), torch.tensor([0, 0, 0])
    of_scales = scale_logits(network, images)[:, :, 1]
    logits, pairs = matched_scale_logits(network, 2, 1, 0), set()
    for _ in range(40):
        wrong = logits(images, labels)[:, 1].detach()
        matches = [i for i in (0, 1, 3) if torch.allclose(wrong, of_scales[[2, i]].amax(0), atol=1e-6)]
        assert matches
        pairs.add(tuple(matches))
    assert len(pairs) > 1


def test_training_learns_what_can_be_learned():
    """Two classes told apart by brightness: the loop reaches 100 % and reports every step."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 2
    images = torch.rand(40, 1, 8, 8, generator=generator) + labels[:, None, None, None]
    torch.manual_seed(0)
    network, seen = PlainCNN(PlainCNNConfig(channels=(4,), n_classes=2)), []
    fit(
        network, lambda i: images[i], labels, Recipe(epochs=10, batch_size=8), lambda loss, right: seen.append(loss)
    )  # fmt: skip
    assert len(seen) == 50
    assert not network.training
    assert (predict(network, images).argmax(1) == labels).all()


def test_training_stops_at_a_loss_that_is_not_finite():
    network = PlainCNN(PlainCNNConfig(channels=(2,), n_classes=2))
    with pytest.raises(RuntimeError, match="loss became nan; lower learning_rate"):
        fit(network, lambda i: torch.full((len(i), 1, 8, 8), torch.nan), torch.tensor([0, 1]), ONE_EPOCH)


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert demo.run_demo(folder, TINY) == 0
    return folder


def test_metrics_have_the_promised_schema(tiny_run):
    metrics = json.loads((tiny_run / "metrics.json").read_text())
    rivals = {"network", "cnn", "cnn_resized"}
    assert metrics["train_size"] == 24
    assert len(metrics["sizes"]) == TINY.n_sizes
    assert set(metrics["accuracy"]) == set(metrics["parameters"]) == rivals
    assert set(metrics["seconds"]) >= {*rivals, "total"}
    for row in metrics["accuracy"].values():
        assert len(row) == TINY.n_sizes
        # Percent of six images.
        assert all(value == pytest.approx(round(value * 6 / 100) * 100 / 6) for value in row)
    assert metrics["seconds"]["total"] >= sum(metrics["seconds"][key] for key in rivals)


def test_page_is_self_contained_and_whole(tiny_run):
    page = (tiny_run / "report.html").read_text()
    assert page.rstrip().endswith("</html>")
    assert page.count("<svg") == page.count("</svg>") == 6
    # Nothing is loaded: every reference is inside the page or inside the file.
    references = re.findall(r'(?:src|href)="([^"]*)"', page) + re.findall(r"url\(([^)]*)\)", page)
    assert references
    assert all(reference.startswith(("#", "data:")) for reference in references)
    assert "<script" not in page
    identifiers = re.findall(r'\bid="([^"]*)"', page)
    assert len(identifiers) == len(set(identifiers))
    assert sorted(path.name for path in tiny_run.iterdir()) == ["metrics.json", "report.html"]


def test_page_and_metrics_say_what_is_proved_of_the_network_and_what_breaks_the_cnn(tiny_run):
    verdicts = json.loads((tiny_run / "metrics.json").read_text())["verdicts"]
    assert {key: found["verdict"] for key, found in verdicts.items()} == {"network": "invariant", "cnn": "refuted"}
    assert verdicts["network"]["checker"]["obligations"] > verdicts["network"]["checker"]["trusted"]
    assert [link["verdict"] for link in verdicts["network"]["links"]] == ["holds", "holds", "invariant", "holds"]
    # The first convolution, in its source line, with a witness that differs when it is run again.
    offender = verdicts["cnn"]["offender"]
    assert (offender["path"], offender["rule"]) == ("body.0", "fixed-window")
    assert re.fullmatch(r".*plain_cnn\.py:\d+", offender["source"])
    assert defect(verdicts["cnn"]["witness"]) != 0
    page = (tiny_run / "report.html").read_text()
    assert "Certified: scale invariant." in page
    assert "<code>body.0</code>" in page
    targets = set(re.findall(r'href="#(theorem-[a-z-]+)"', page))
    assert {"theorem-scale-covariance", "theorem-layer-jet", "theorem-channel-max"} <= targets
    assert targets <= set(re.findall(r'id="([^"]*)"', page))


def test_verdict_that_is_not_a_certificate_is_not_called_one():
    """A network of one scale channel is unknown: page and metrics say so."""
    torch.manual_seed(0)
    config = replace(TINY, network=replace(TINY.network, n_scales=1))
    result = SimpleNamespace(config=config, network=GaussDerNet(config.network), cnn=GaussDerNet(config.network))
    verdicts = demo_certificate.judge(result)
    text = demo_certificate.section(verdicts)
    assert "Not certified: unknown." in text
    assert "Certified: scale" not in text
    assert "Refuted" not in text
    assert demo_certificate.metrics(verdicts)["network"]["checker"] is None


def test_certificate_that_the_checker_does_not_follow_is_not_shown():
    torch.manual_seed(0)
    data = certify(GaussDerNet(TINY.network), (1, 1, 9, 9)).to_json()
    step = next(step for step in data["proof"]["steps"] if step["rule"] == "jet")
    step["type"]["weight"] = "1"
    with pytest.raises(ProofError, match="weight 1 does not follow"):
        demo_certificate.recheck(data)


def test_published_command_runs_the_published_numbers(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(demo, "run_demo", lambda folder, config: seen.append((folder, config)) or 0)
    assert main(["demo", "--out", str(tmp_path / "new")]) == 0
    assert seen == [(tmp_path / "new", PUBLISHED)]


def test_output_folder_that_cannot_be_written_is_refused_before_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "run_demo", lambda folder, config: pytest.fail("training began"))
    (tmp_path / "file").write_text("")
    assert main(["demo", "--out", str(tmp_path / "file")]) == 2
    assert main(["demo", "--out", str(tmp_path / "file" / "below")]) == 2
    assert capsys.readouterr().err.count("choose another with --out DIR") == 2


def test_killed_write_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "report.html").write_text("old")

    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        demo.write_whole(tmp_path, {"report.html": "new"})
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "old"


def test_gpu_that_does_not_run_a_layer_is_said_and_not_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def broken():
        raise RuntimeError("no compiler\nand a long story")

    monkeypatch.setattr(torch.cuda, "get_device_name", broken)
    device, reason = demo.pick_device()
    assert device.type == "cpu"
    assert "a small layer failed on the GPU (no compiler)" in reason


def test_demo_takes_only_out():
    parser = argparse.ArgumentParser()
    demo.configure(parser)
    assert str(parser.parse_args([]).out) == "demo-out"


def test_covariance_defect_is_zero_for_a_constant_network_and_second_order_for_a_layer():
    torch.manual_seed(1)
    network = GaussDerNet(GaussDerNetConfig(channels=(4,), sigma_0=1.0)).eval()
    measured = demo_measures.covariance_defect(network, (1.0, 2.0, 4.0))
    assert measured.defects[0] > measured.defects[1] > measured.defects[2] > 0
    assert round(Convergence(measured.defects[1:], 0.0).order) == 2


def test_slope_is_the_least_squares_slope():
    points = [(0.0, 1.0), (1.0, -1.0), (2.0, -3.5)]
    xs, ys = (torch.tensor(v, dtype=torch.float64) for v in zip(*points, strict=True))
    design = torch.stack([xs, torch.ones(3, dtype=torch.float64)], 1)
    expected = torch.linalg.lstsq(design, ys[:, None]).solution[0, 0]
    assert demo_measures._slope(points) == pytest.approx(float(expected))


def test_first_layer_filters_are_correlated_with_the_image():
    """The response of the layer at the middle of an image is the sum of image times filter."""
    torch.manual_seed(2)
    network = GaussDerNet(GaussDerNetConfig(channels=(3,), sigma_0=1.0))
    size = 33
    image = torch.zeros(1, 1, 1, size, size)
    image[..., 8:25, 8:25] = torch.rand(17, 17)
    filters = demo_measures.first_layer_filters(network, sigma=2.0, size=size)
    layer, sigma, middle = network.body[0], torch.tensor([2.0], dtype=torch.float64), size // 2
    response = layer(image, sigma).detach()
    impulse = torch.zeros_like(image)
    impulse[..., middle, middle] = 1
    weight = layer.weight.detach()
    # Both sides are off by the rounding of a layer, the left one once a pixel and in the sum.
    of_response, of_filters = (
        layer_bound(features, weight, sigma, golden=golden[None, None].double())[0, 0]
        for features, golden in ((image, response[0, 0]), (impulse, filters))
    )
    picture = image[0, 0].double()
    expected = filters.double() * picture
    allowed = of_response[:, middle, middle] + (of_filters.flip((1, 2)) * picture).sum((1, 2))
    allowed += gamma(size * size, torch.float32) * expected.abs().sum((1, 2))
    assert_within_rounding((filters * image[0, 0]).sum((1, 2)), response[0, 0, :, middle, middle], allowed)


def test_versions_name_what_the_numbers_depend_on():
    assert {"gdtriton", "Python", "system", "torch", "numpy", "scikit-learn"} <= set(demo_report.versions())


def test_summary_speaks_of_the_right_sizes():
    """Accuracy equal to the index of the size: every entry of the summary names the index it came from."""
    result = SimpleNamespace(config=PUBLISHED, accuracy={key: [float(i) for i in range(17)] for key in demo.NAMES})
    found = demo_report.summary(result)
    assert found["at_training"]["cnn"] == 8
    assert (
        found["middle"]["network"] == 3
    )  # 24 * 8^(-5/16) = 12.5 px is within a factor 2, 24 * 8^(-6/16) = 11.0 is not
    assert found["near"] == (PUBLISHED.sizes[3], PUBLISHED.sizes[13])
    assert (found["all"]["cnn_resized"], found["mean"]["cnn_resized"]) == (0, 8)
