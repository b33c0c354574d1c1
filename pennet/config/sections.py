"""The sections of `params.yaml` that are not a method's own, and the whole."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from pennet.config.methods import AnyMethodConfig
from pennet.config.promotion import PromotionConfig
from pennet.config.runtime import RuntimeConfig
from pennet.config.section import NAME_PATTERN, Limits, Ratio, Section, Seed, Share, checked, one_of
from pennet.config.validation import ConfigError, config_from_mapping
from pennet.data.sets import DATA_SETS, find
from pennet.errors import nearest
from pennet.masks import KINDS
from pennet.methods import classical_methods

Name = Annotated[str, checked(re.compile(NAME_PATTERN).fullmatch, "is no name: small letters, digits and _, a letter first")]
"""Of a data set or a recipe."""
MASK_NAMES = [kind.name for kind in KINDS]
DataSetName = Annotated[str, one_of(DATA_SETS)]
SHA256_LIMIT = "must be the 64 digits (0-9, a-f) that `sha256sum ARCHIVE` prints"
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
    """Where the pictures of a data set come from, and how they are divided."""

    data_set: DataSetName
    """What it is: a name of `pennet data list`."""
    archives: list[Annotated[str, checked(str.strip, "must be the path or the URL of an archive, or a folder")]]
    """Archives or folders of one's own, as paths or http(s) URLs; empty: from the addresses that the data set itself has. Of
    `hub`: OWNER/NAME."""
    sha256: list[Annotated[str, checked(re.compile("[0-9a-f]{64}").fullmatch, SHA256_LIMIT)]]
    """Checksums of `archives`, in their order; empty: none is known yet, what comes is noted in `data/raw/NAME.json`."""
    revision: str
    """Of `hub`: the commit, 40 hexadecimal digits; empty for others."""
    accept_licence: bool
    """Its licence has been read and is agreed to (`pennet data card NAME`); needed where the owner asks for it."""
    split: Literal["paper", "seeded", "paper_else_seeded"]
    """Of a source that brings no split of its own: the lists of the paper's authors, a seeded split of the same size, or the
    lists if they can be had. Which one it was is in the data card and in every table."""
    seed: Seed
    """Of a seeded split."""
    test_ratio: Share
    """Share of the groups that a seeded split tests with, where the data set has no size of its own."""
    val_ratio: Share
    """Share of the training groups that is kept for validation, where the source has no validation split."""

    def limits(self) -> Limits:
        yield (
            len(self.sha256) in (0, len(self.archives)),
            "sha256",
            f"are {len(self.sha256)} checksums for {len(self.archives)} archives; give one for each, or none",
        )
        if self.split == "paper":
            why = f"but {self.data_set} has no lists of the paper's authors; choose seeded, or paper_else_seeded"
            yield find(self.data_set).paper is not None, "split", why
        is_hub = self.data_set == "hub"
        yield is_hub == bool(self.revision), "revision", "must be a commit for data_set: hub, and empty for all others"
        yield not is_hub or len(self.archives) == 1, "archives", "must be one OWNER/NAME for data_set: hub"


@dataclass(frozen=True)
class PrepareConfig(Section):
    image_size_px: Annotated[int, Field(ge=16)]
    """Side of the square images that every later stage sees."""
    resize_filter: Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]
    """Pillow's filter for pictures of another size, antialiased but for `nearest`."""
    shard_mb: PositiveInt
    """Size of a shard, in 1,000,000 bytes."""
    max_rejected_ratio: Annotated[float, Field(ge=0, lt=1)]
    """Share of pictures that may be unusable: they are left out and listed; more of them stop the stage."""
    max_look_alike_bits: Annotated[int, Field(ge=0, le=16)]
    """Bits of 64 in which the fingerprints of two pictures may differ that count as the same; such pairs across splits are
    left out of training or validation."""
    test_images: NonNegativeInt
    """Test pictures that are kept, drawn by their hashes; 0 for all."""
    contact_sheet_images: PositiveInt
    """Images on the contact sheet of each split."""


@dataclass(frozen=True)
class MaskFilesConfig(Section):
    """Masks that somebody else drew."""

    archive: Annotated[
        str,
        checked(str.strip, "must be the path of a folder or an archive of mask pictures"),
        checked(lambda path: "://" not in path, "is an address; download the masks yourself and give their path"),
    ]
    """A folder, zip or tar of mask pictures."""
    hole: Literal["white", "black"]
    """The colour of holes: white in NVIDIA's testing masks, black in its training masks and in QD-IMD."""
    under: str
    """A folder inside, to take the masks of that only; empty for all."""
    sha256: Annotated[str, checked(re.compile("([0-9a-f]{64})?").fullmatch, SHA256_LIMIT)]
    """Of an archive, as `sha256sum` prints it; of a folder that of its masks' names and contents. Stage `masks` takes no
    others; while this is empty it says what to put here."""


@dataclass(frozen=True)
class MasksConfig(Section):
    protocols: list[str]
    """Kinds of the test masks: `centre` is the paper's square of half the side; `irregular` strokes of 1 to 60 % in turn.
    Every method fills the holes of each kind, which has rows of its own in the comparison; the first is the headline."""
    files: dict[Name, MaskFilesConfig]
    """Masks of files, by a name that `protocols` may have, too."""
    seed: Seed
    """Seed of the test masks that are drawn at random."""

    def limits(self) -> Limits:
        yield bool(self.protocols), "protocols", "names no kind of mask"
        yield from _names(
            "protocols", self.protocols, "a kind of mask or an entry of masks.files", [*MASK_NAMES, *self.files]
        )
        for name in self.files:
            yield name not in MASK_NAMES, f"files.{name}", "has the name of a kind of mask; call it otherwise"


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
    shuffle_window_shards: NonNegativeInt
    """Shards of prepared data whose pictures are shuffled together, for disks that seek badly; 0 for all of them."""
    log_every_steps: PositiveInt
    """Updates between two points of the live curves."""
    sample_every_steps: NonNegativeInt
    """Updates between two sample grids; 0 for none."""
    num_samples: PositiveInt
    """Validation images in a sample grid."""
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
class TrackingConfig(Section):
    """The MLflow record. Part of no stage's parameters."""

    uri: Annotated[str, checked(str.strip, "must be an MLflow URI, such as sqlite:///mlflow.db")]
    """MLflow tracking and registry URI."""
    experiment: str
    """MLflow experiment; the data set's name is appended."""
    registered_model: str
    """Registered model; the data set's name is appended."""


@dataclass(frozen=True)
class OverridesConfig(Section):
    """What differs for one data set: keys of the sections of the same names, with other values."""

    prepare: dict[str, Any]
    masks: dict[str, Any]
    train: dict[str, Any]
    recipes: dict[str, dict[str, Any]]
    evaluate: dict[str, Any]


NO_OVERRIDES = OverridesConfig({}, {}, {}, {}, {})


@dataclass(frozen=True)
class Config(Section):
    """All of `params.yaml`."""

    datasets: list[str]
    """Data sets of the benchmark; each has an entry in `sources` and in `overrides`."""
    seeds: list[Seed]
    """Seeds of weights, data order, augmentation and training masks: one training of each learned method a seed."""
    methods: MethodsConfig
    sources: dict[Name, SourceConfig]
    overrides: dict[Name, OverridesConfig]
    """Settings of one data set: 506 photos do not need the steps of 1.8 million."""
    prepare: PrepareConfig
    masks: MasksConfig
    train: TrainConfig
    recipes: dict[RecipeName, AnyMethodConfig]
    """How the learned methods are built and trained, by a name of one's own: two recipes of one method are an ablation."""
    inpaint: InpaintConfig
    evaluate: EvaluateConfig
    promotion: PromotionConfig
    runtime: RuntimeConfig
    tracking: TrackingConfig

    def limits(self) -> Limits:
        yield from _names("datasets", self.datasets, "an entry of sources", self.sources)
        yield from _names("datasets", self.datasets, "an entry of overrides", self.overrides)
        yield from _names("methods.learned", self.methods.learned, "an entry of recipes", self.recipes)
        yield from _names("methods.classical", self.methods.classical, "a classical method", classical_methods())
        yield bool(self.datasets), "datasets", "names no data set"
        yield bool(self.seeds), "seeds", "names no seed"
        yield len(set(self.seeds)) == len(self.seeds), "seeds", "names one twice"
        yield (
            self.train.batch_size % self.runtime.num_processes == 0,
            "runtime.num_processes",
            f"does not divide train.batch_size: {self.train.batch_size} into equal parts",
        )
        for dataset in self.datasets:
            if self.overrides.get(dataset, NO_OVERRIDES) != NO_OVERRIDES:
                try:
                    self.of(dataset)
                except ConfigError as error:
                    yield False, f"overrides.{dataset}", "; ".join(error.problems)
        for name in self.methods.learned:
            if name in self.recipes:
                for why in self.recipes[name].mismatches_with(self.prepare.image_size_px, name):
                    yield False, "prepare.image_size_px", why
        if self.methods.learned:  # else there is nothing to promote
            for why in self.promotion.mismatches_with(self.evaluate, self.prepare.image_size_px):
                yield False, "promotion", why

    def of(self, dataset: str) -> Config:
        """The parameters of one data set: its overrides put in, the other data sets left out.

        Raises:
            ConfigError: an override has an unknown key or an impossible value.
        """
        known = self.overrides.get(dataset, NO_OVERRIDES)
        if known == NO_OVERRIDES:
            return self
        if strangers := [name for name in known.recipes if name not in self.recipes]:
            recipes = ", ".join(self.recipes)
            raise ConfigError([f"recipes.{name}: there is no such recipe; known are {recipes}" for name in strangers])
        values = merged(asdict(self), asdict(known))
        alone = {"datasets": [dataset], "overrides": {dataset: asdict(NO_OVERRIDES)}}
        return config_from_mapping(Config, values | alone, f"overrides.{dataset}")


def merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Nested mappings with other values; lists and scalars replace."""
    result = dict(values)
    for key, change in changes.items():
        known = result.get(key)
        result[key] = merged(known, change) if isinstance(change, dict) and isinstance(known, dict) else change
    return result


def _names(key: str, names: Sequence[str], what: str, known: Collection[str]) -> Limits:
    """A list that names things that there are, each once."""
    yield len(set(names)) == len(names), key, "names one twice"
    for name in names:
        yield name in known, key, f"names {name!r}, which is not {what} ({', '.join(known)}){nearest(name, known)}"
