"""The sections of `params.yaml` that are not a method's own, and the whole."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from pennet.config.methods import AnyMethodConfig, MaskName
from pennet.config.section import DEVICE_PATTERN, NAME_PATTERN, Limits, Ratio, Section, Seed, checked
from pennet.methods import classical_methods

Name = Annotated[str, checked(re.compile(NAME_PATTERN).fullmatch, "is no name: small letters, digits and _, a letter first")]
"""Of a data set or a recipe."""
RecipeName = Annotated[Name, checked(lambda name: name not in classical_methods(), "is the name of a classical method")]


@dataclass(frozen=True)
class MethodsConfig(Section):
    learned: list[str]
    """Methods with a training stage: names of `recipes`."""
    classical: list[str]
    """Methods without one; they enter at the inpaint stage."""

    @property
    def all(self) -> list[str]:
        return [*self.learned, *self.classical]


@dataclass(frozen=True)
class SourceConfig(Section):
    archive: Annotated[str, checked(str.strip, "must be the path or the URL of a zip file")]
    """A zip file of images with a `manifest.csv` (file, group, split, source, sha256): a path here or an http(s) URL."""
    sha256: Annotated[
        str,
        checked(re.compile("[0-9a-f]{64}").fullmatch, "must be the 64 digits (0-9, a-f) that `sha256sum ARCHIVE` prints"),
    ]
    """Checksum of the archive: 64 hexadecimal digits in small letters."""


@dataclass(frozen=True)
class PrepareConfig(Section):
    image_size_px: Annotated[int, Field(ge=16)]
    """Side of the square images that every later stage sees."""
    contact_sheet_images: PositiveInt
    """Images on the contact sheet of each split."""


@dataclass(frozen=True)
class MasksConfig(Section):
    protocols: list[MaskName]
    """Kinds of the test masks: `centre` is the paper's square of half the side; `irregular` strokes of 1 to 60 % in turn.
    Every method fills the holes of each kind, which has rows of its own in the comparison; the first is the headline."""
    seed: Seed
    """Seed of the test masks that are drawn at random."""

    def limits(self) -> Limits:
        yield bool(self.protocols), "protocols", "names no kind of mask"
        yield len(set(self.protocols)) == len(self.protocols), "protocols", "names one twice"


@dataclass(frozen=True)
class TrainConfig(Section):
    """The budget and the habits that all learned methods share, so that the comparison is fair."""

    steps: NonNegativeInt
    """Generator updates, the same for every method; 0 where `minutes` is the budget."""
    minutes: NonNegativeFloat
    """Wall time of a training, the same for every method: turned into steps once, from the pace of its first steps; 0 where
    `steps` is the budget."""
    batch_size: PositiveInt
    """Images per update."""
    ema_decay: Ratio
    """Decay of the generator's moving average, which is what is saved; 0 saves the last weights themselves."""
    mixed_precision: bool
    """bfloat16 autocast on CUDA; on a CPU it is refused."""
    flip: bool
    """Mirror training images at random."""
    quarter_turns: bool
    """Turn training images by a random multiple of 90 degrees: for pictures without an up and a down, such as ground."""
    colour_jitter: Ratio
    """Largest relative change of brightness, contrast and saturation, in [0, 1)."""
    log_every_steps: PositiveInt
    """Updates between two points of the live curves."""
    sample_every_steps: NonNegativeInt
    """Updates between two sample grids; 0 for none."""
    num_samples: PositiveInt
    """Test images in a sample grid."""
    checkpoint_every_steps: PositiveInt
    """Updates between two checkpoints; the last two are kept."""

    def limits(self) -> Limits:
        yield (
            (self.steps > 0) != (self.minutes > 0),
            "steps",
            f"with train.minutes: {self.minutes:g} is no budget; exactly one of the two must be positive",
        )


@dataclass(frozen=True)
class InpaintConfig(Section):
    batch_size: PositiveInt
    """Images inpainted together."""


@dataclass(frozen=True)
class EvaluateConfig(Section):
    bootstrap_resamples: PositiveInt
    """Resamples of each 95 % bootstrap interval."""
    seed: Seed
    """Seed of the bootstrap, of the Inception Score's shuffle and of KID's subsets."""
    extractors: list[Literal["efflite0", "inception"]]
    """Networks whose features give IS, FID and KID."""
    weights_dir: Annotated[str, checked(str.strip, "must be a folder, such as data/weights")]
    """Folder of weights that are downloaded (Inception's); its content is a dependency of the evaluation."""
    is_splits: PositiveInt
    """Splits of the Inception Score."""
    kid_subsets: PositiveInt
    """Random subsets of KID."""
    kid_subset_size: PositiveInt
    """Images in a KID subset (the smaller set's size if that is less)."""
    lpips_nets: list[Literal["alex", "vgg"]]
    """Backbones of LPIPS."""
    batch_size: PositiveInt
    """Images scored together; the values do not depend on it."""
    sheet_images: PositiveInt
    """Rows of the picture sheet."""


@dataclass(frozen=True)
class RuntimeConfig(Section):
    """Where and how to run. What changes the bits of a training is part of its identity; the others change no result."""

    device: Annotated[str, checked(re.compile(DEVICE_PATTERN).fullmatch, "is not auto, cpu, cuda or cuda:N")]
    """`auto` (CUDA if there is one), `cpu`, `cuda` or `cuda:N`. The kind, CPU or CUDA, is part of a training's identity."""
    num_threads: PositiveInt
    """CPU threads of torch. Part of a training's identity: the order of a sum, hence its last bits, depends on it."""
    num_workers: NonNegativeInt
    """Processes that load training images; 0 loads them in the training process. Changes no result."""
    deterministic: bool
    """Only kernels that repeat their bits (CUDA; on a CPU they always do). Part of a training's identity."""
    tf32: bool
    """TensorFloat-32 products and convolutions on CUDA: 10 bits of mantissa. Part of a training's identity."""
    cudnn_benchmark: bool
    """cuDNN tries its algorithms and keeps the fastest, which may differ from run to run. Part of a training's identity."""

    def limits(self) -> Limits:
        yield (
            not (self.deterministic and self.cudnn_benchmark),
            "cudnn_benchmark",
            "with runtime.deterministic: true would choose kernels anew in every run; set one of them to false",
        )


@dataclass(frozen=True)
class TrackingConfig(Section):
    """The MLflow record. Part of no stage's parameters."""

    uri: Annotated[str, checked(str.strip, "must be an MLflow URI, such as sqlite:///mlflow.db")]
    """MLflow tracking and registry URI."""
    experiment: str
    """MLflow experiment; the data set's name is appended."""
    registered_model: str
    """Registered model; the data set's name is appended."""


@dataclass(frozen=True)
class Config(Section):
    """All of `params.yaml`."""

    datasets: list[str]
    """Data sets of the benchmark; each has an entry in `sources`."""
    seeds: list[Seed]
    """Seeds of weights, data order, augmentation and training masks: one training of each learned method a seed."""
    methods: MethodsConfig
    sources: dict[Name, SourceConfig]
    prepare: PrepareConfig
    masks: MasksConfig
    train: TrainConfig
    recipes: dict[RecipeName, AnyMethodConfig]
    """How the learned methods are built and trained, by a name of one's own: two recipes of one method are an ablation."""
    inpaint: InpaintConfig
    evaluate: EvaluateConfig
    runtime: RuntimeConfig
    tracking: TrackingConfig

    def limits(self) -> Limits:
        yield from _names("datasets", self.datasets, "an entry of sources", self.sources)
        yield from _names("methods.learned", self.methods.learned, "an entry of recipes", self.recipes)
        yield from _names("methods.classical", self.methods.classical, "a classical method", classical_methods())
        yield bool(self.datasets), "datasets", "names no data set"
        yield bool(self.seeds), "seeds", "names no seed"
        yield len(set(self.seeds)) == len(self.seeds), "seeds", "names one twice"
        for name in self.methods.learned:
            if name in self.recipes:
                for why in self.recipes[name].mismatches_with(self.prepare.image_size_px, name):
                    yield False, "prepare.image_size_px", why


def _names(key: str, names: Sequence[str], what: str, known: Collection[str]) -> Limits:
    """A list that names things that there are, each once."""
    yield len(set(names)) == len(names), key, "names one twice"
    for name in names:
        yield name in known, key, f"names {name!r}, which is not {what} ({', '.join(known)})"
