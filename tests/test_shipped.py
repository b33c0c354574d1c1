"""The generator that comes with the package: it is what its profile describes, and worth more than a plain colour."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import partial

import numpy as np
import pytest
import torch

from benchmarks.shipped import HOLES, Case, cases, mask_of, measured, report
from pennet.classical import fill
from pennet.config import Config, config_from_mapping
from pennet.errors import UserError
from pennet.generator_files import CONFIG_FILE, WEIGHTS_FILE, load_generator
from pennet.inference import inpaint
from pennet.metrics.image_scores import Measure
from pennet.metrics.lpips import LPIPS
from pennet.metrics.pixel import L1_HOLE, PSNR
from pennet.metrics.seam import SEAM
from pipelines.params import parse_yaml
from pipelines.profile import resolved
from tests.project import ROOT

WEIGHTS = ROOT / "pennet/weights/default"
CARD = json.loads((WEIGHTS / "card.json").read_text())


def test_weights_are_small_and_those_of_the_card() -> None:
    content = (WEIGHTS / WEIGHTS_FILE).read_bytes()
    assert len(content) <= 5_000_000
    assert hashlib.sha256(content).hexdigest() == CARD["sha256"]


def test_it_is_what_the_profile_describes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    params = resolved("shipped", parse_yaml((ROOT / "params.yaml").read_text(), "params.yaml"))
    config = config_from_mapping(Config, params, "profiles/shipped.yaml")
    assert json.loads((WEIGHTS / CONFIG_FILE).read_text()) == json.loads(json.dumps(asdict(config.recipes["pennet"])))
    assert CARD["size_px"] == config.prepare.image_size_px
    generator = load_generator(WEIGHTS)
    assert sum(values.numel() for values in generator.state_dict().values()) == CARD["parameters"]


def test_every_photo_that_it_learned_from_is_named_with_a_free_licence() -> None:
    text = (WEIGHTS / CARD["attribution"]).read_text()
    rows = [line.split("; ") for line in text.partition("Photos, as package and file")[2].splitlines()[1:]]
    assert len(rows) == 87
    free = ("Public Domain", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC-BY-SA 4.0")
    assert all(len(row) == 3 and row[1] and row[2] in free for row in rows)


def test_it_beats_the_mean_on_a_photo_that_it_has_never_seen() -> None:
    torch.set_num_threads(1)
    made = [case for case in cases([ROOT / "data/held-out"], ["128"]) if case.photo in ("boats", "mountains")]
    lpips = LPIPS.of("alex")
    measures = [Measure(lpips, lpips.load(lpips.variant, torch.device("cpu")))]
    fills = {"default": partial(inpaint, load_generator(WEIGHTS)), "mean": partial(fill, "mean")}
    rows = measured(fills, made, measures)
    ours, mean = (np.array([row[name][lpips.key] for row in rows]) for name in fills)
    assert len(made) == 2 * len(HOLES)
    assert ours.mean() < 0.75 * mean.mean()


def test_a_photos_holes_are_always_the_same_and_of_every_kind() -> None:
    first, again = (cases([ROOT / "pennet/examples"], ["128"]) for _ in range(2))
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(first, again, strict=True))
    square = mask_of(np.random.default_rng(0), "square, 1/2", 96, 128)
    assert square.sum() == 48 * 48 and square[24:72, 40:88].all()
    with pytest.raises(UserError, match="holds no photo"):
        cases([ROOT / "tests/golden"])


def test_differences_are_paired_by_photo() -> None:
    image, mask = np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), np.uint8)
    made = [Case(photo, "128", hole, image, mask) for photo in ("a", "b") for hole in ("strokes", "things")]
    keys = (L1_HOLE.key, PSNR.key, LPIPS.of("alex").key, SEAM.key, "seconds")
    rows = [{"default": dict.fromkeys(keys, value), "mean": dict.fromkeys(keys, 0.5)} for value in (0.1, 0.3, 0.3, 0.5)]
    lines = [line.split(" | ") for line in report(made, rows).splitlines()]
    difference = next(line for line in lines if line[:2] == ["| all", "mean"])
    assert difference[2] == "-0.2000 (-0.3000 to -0.1000)"  # of two photos, -0.3 and -0.1: all that two can say
