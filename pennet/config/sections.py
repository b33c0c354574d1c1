"""The sections of `params.yaml` that are not a method's own, and the whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pennet.config.limits import DEVICE_PATTERN, NAME_PATTERN, Limits, not_negative, positive, seed
from pennet.config.methods import MethodConfig

CLASSICAL_METHODS = ("mean", "telea", "biharmonic", "patchmatch")


@dataclass(frozen=True)
class MethodsConfig:
    learned: list[str]
    """Methods with a training stage: names of `recipes`."""
    classical: list[str]
    """Methods without one; they enter at the inpaint stage."""

    @property
    def all(self) -> list[str]:
        return [*self.learned, *self.classical]


@dataclass(frozen=True)
class SourceConfig:
    archive: str
    """A zip file of images with a `manifest.csv` (file, group, split, source, sha256): a path here or an http(s) URL."""
    sha256: str
    """Checksum of the archive: 64 hexadecimal digits in small letters."""

    def limits(self) -> Limits:
        yield bool(self.archive.strip()), "archive", "must be the path or the URL of a zip file"
        yield (
            bool(re.fullmatch("[0-9a-f]{64}", self.sha256)),
            "sha256",
            "must be the 64 digits (0-9, a-f) that `sha256sum ARCHIVE` prints",
        )


@dataclass(frozen=True)
class PrepareConfig:
    image_size_px: int
    """Side of the square images that every later stage sees."""
    contact_sheet_images: int
    """Images on the contact sheet of each split."""

    def limits(self) -> Limits:
        yield self.image_size_px >= 16, "image_size_px", "must be at least 16"
        yield from positive(self, "contact_sheet_images")


@dataclass(frozen=True)
class MasksConfig:
    protocol: Literal["centre", "irregular"]
    """Test masks: `centre` is the paper's square of half the side; `irregular` free-form strokes of 1 to 60 % in turn."""
    seed: int
    """Seed of the irregular test masks."""

    def limits(self) -> Limits:
        yield from seed(self.seed)


@dataclass(frozen=True)
class TrainConfig:
    """The budget and the habits that all learned methods share, so that the comparison is fair."""

    steps: int
    """Generator updates, the same for every method; 0 where `minutes` is the budget."""
    minutes: float
    """Wall time of a training, the same for every method: turned into steps once, from the pace of its first steps; 0 where
    `steps` is the budget."""
    batch_size: int
    """Images per update."""
    ema_decay: float
    """Decay of the generator's moving average, which is what is saved; 0 saves the last weights themselves."""
    mixed_precision: bool
    """bfloat16 autocast on CUDA; on a CPU it is refused."""
    flip: bool
    """Mirror training images at random."""
    quarter_turns: bool
    """Turn training images by a random multiple of 90 degrees: for pictures without an up and a down, such as ground."""
    colour_jitter: float
    """Largest relative change of brightness, contrast and saturation, in [0, 1)."""
    log_every_steps: int
    """Updates between two points of the live curves."""
    sample_every_steps: int
    """Updates between two sample grids; 0 for none."""
    num_samples: int
    """Test images in a sample grid."""
    checkpoint_every_steps: int
    """Updates between two checkpoints; the last two are kept."""

    def limits(self) -> Limits:
        yield from positive(self, "batch_size", "log_every_steps", "checkpoint_every_steps", "num_samples")
        yield from not_negative(self, "steps", "minutes")
        yield (
            (self.steps > 0) != (self.minutes > 0),
            "steps",
            f"with train.minutes: {self.minutes:g} is no budget; exactly one of the two must be positive",
        )
        yield 0 <= self.ema_decay < 1, "ema_decay", "must be in [0, 1)"
        yield 0 <= self.colour_jitter < 1, "colour_jitter", "must be in [0, 1)"
        yield self.sample_every_steps >= 0, "sample_every_steps", "must be 0 (none) or positive"


@dataclass(frozen=True)
class InpaintConfig:
    batch_size: int
    """Images inpainted together."""

    def limits(self) -> Limits:
        yield from positive(self, "batch_size")


@dataclass(frozen=True)
class EvaluateConfig:
    bootstrap_resamples: int
    """Resamples of each 95 % bootstrap interval."""
    seed: int
    """Seed of the bootstrap, of the Inception Score's shuffle and of KID's subsets."""
    extractors: list[Literal["efflite0", "inception"]]
    """Networks whose features give IS, FID and KID."""
    weights_dir: str
    """Folder of weights that are downloaded (Inception's); its content is a dependency of the evaluation."""
    is_splits: int
    """Splits of the Inception Score."""
    kid_subsets: int
    """Random subsets of KID."""
    kid_subset_size: int
    """Images in a KID subset (the smaller set's size if that is less)."""
    lpips_nets: list[Literal["alex", "vgg"]]
    """Backbones of LPIPS."""
    batch_size: int
    """Images scored together; the values do not depend on it."""
    sheet_images: int
    """Rows of the picture sheet."""

    def limits(self) -> Limits:
        yield from positive(self, "bootstrap_resamples", "is_splits", "kid_subsets", "kid_subset_size")
        yield from positive(self, "batch_size", "sheet_images")
        yield bool(self.weights_dir.strip()), "weights_dir", "must be a folder, such as data/weights"
        yield from seed(self.seed)


@dataclass(frozen=True)
class RuntimeConfig:
    """Where and how to run. What changes the bits of a training is part of its identity; the others change no result."""

    device: str
    """`auto` (CUDA if there is one), `cpu`, `cuda` or `cuda:N`. The kind, CPU or CUDA, is part of a training's identity."""
    num_threads: int
    """CPU threads of torch. Part of a training's identity: the order of a sum, hence its last bits, depends on it."""
    num_workers: int
    """Processes that load training images; 0 loads them in the training process. Changes no result."""
    deterministic: bool
    """Only kernels that repeat their bits (CUDA; on a CPU they always do). Part of a training's identity."""
    tf32: bool
    """TensorFloat-32 products and convolutions on CUDA: 10 bits of mantissa. Part of a training's identity."""
    cudnn_benchmark: bool
    """cuDNN tries its algorithms and keeps the fastest, which may differ from run to run. Part of a training's identity."""

    def limits(self) -> Limits:
        yield bool(re.fullmatch(DEVICE_PATTERN, self.device)), "device", "is not auto, cpu, cuda or cuda:N"
        yield from positive(self, "num_threads")
        yield from not_negative(self, "num_workers")
        yield (
            not (self.deterministic and self.cudnn_benchmark),
            "cudnn_benchmark",
            "with runtime.deterministic: true would choose kernels anew in every run; set one of them to false",
        )


@dataclass(frozen=True)
class TrackingConfig:
    """The MLflow record. Part of no stage's parameters."""

    uri: str
    """MLflow tracking and registry URI."""
    experiment: str
    """MLflow experiment; the data set's name is appended."""
    registered_model: str
    """Registered model; the data set's name is appended."""

    def limits(self) -> Limits:
        yield bool(self.uri.strip()), "uri", "must be an MLflow URI, such as sqlite:///mlflow.db"


@dataclass(frozen=True)
class Config:
    """All of `params.yaml`."""

    datasets: list[str]
    """Data sets of the benchmark; each has an entry in `sources`."""
    seeds: list[int]
    """Seeds of weights, data order, augmentation and training masks: one training of each learned method a seed."""
    methods: MethodsConfig
    sources: dict[str, SourceConfig]
    prepare: PrepareConfig
    masks: MasksConfig
    train: TrainConfig
    recipes: dict[str, MethodConfig]
    """How the learned methods are built and trained, by a name of one's own: two recipes of one method are an ablation."""
    inpaint: InpaintConfig
    evaluate: EvaluateConfig
    runtime: RuntimeConfig
    tracking: TrackingConfig

    def limits(self) -> Limits:
        yield bool(self.datasets), "datasets", "names no data set"
        for name in self.datasets:
            yield name in self.sources, "datasets", f"names {name!r}, which has no entry in sources"
        yield len(set(self.datasets)) == len(self.datasets), "datasets", "names one twice"
        yield bool(self.seeds), "seeds", "names no seed"
        for value in self.seeds:
            yield from seed(value, "seeds")
        yield len(set(self.seeds)) == len(self.seeds), "seeds", "names one twice"

    def mismatches(self) -> Iterator[str]:
        """What does not fit between the sections, each with its path."""
        for name in self.sources:
            if not re.fullmatch(NAME_PATTERN, name):
                yield f"sources.{name}: a data set's name is small letters, digits and _, a letter first"
        for name in self.recipes:
            if not re.fullmatch(NAME_PATTERN, name) or name in CLASSICAL_METHODS:
                yield (
                    f"recipes.{name}: a recipe's name is small letters, digits and _, and not one of"
                    f" {', '.join(CLASSICAL_METHODS)}"
                )
        for kind, names, known in (
            ("learned", self.methods.learned, tuple(self.recipes)),
            ("classical", self.methods.classical, CLASSICAL_METHODS),
        ):
            if len(set(names)) != len(names):
                yield f"methods.{kind}: {names!r} names one twice"
            for name in names:
                if name not in known:
                    yield f"methods.{kind}: {name!r} is not one of {', '.join(known)}"
        for name in self.methods.learned:
            if name in self.recipes:
                for why in self.recipes[name].mismatches_with(self.prepare.image_size_px, name):
                    yield f"prepare.image_size_px: {why}"
