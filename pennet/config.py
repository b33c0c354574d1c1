"""Every tunable value of the project: one frozen dataclass per section of `params.yaml`.

No field has a default: `params.yaml` is total, so what a run did can be read in one file. The string under a field
says what it means and in which unit.
"""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

T = TypeVar("T")

NAME_PATTERN = r"[a-z][a-z0-9_]*"
"""Names of data sets and recipes: they become folders, DVC's stage names and words of a shell command."""

DEVICE_PATTERN = r"auto|cpu|cuda(:(0|[1-9][0-9]*))?"
"""`runtime.device` and `--device`."""

MAX_SEED = 2**32 - 1
"""The largest seed that every library takes."""


class ConfigError(ValueError):
    """Bad values in a configuration, all of them in one message, each named by its path."""

    def __init__(self, problems: list[str], source: str = "configuration"):
        self.problems = problems
        super().__init__(f"{source}: {len(problems)} problem(s)\n" + "\n".join(f"  - {p}" for p in problems))


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


@dataclass(frozen=True)
class PrepareConfig:
    image_size_px: int
    """Side of the square images that every later stage sees."""
    contact_sheet_images: int
    """Images on the contact sheet of each split."""


@dataclass(frozen=True)
class MasksConfig:
    protocol: Literal["centre", "irregular"]
    """Test masks: `centre` is the paper's square of half the side; `irregular` free-form strokes of 1 to 60 % in turn."""
    seed: int
    """Seed of the irregular test masks."""


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


@dataclass(frozen=True)
class PENNetConfig:
    """PEN-Net: architecture, losses and optimiser (Zeng et al., CVPR 2019)."""

    method: Literal["pennet"]
    """Which method this is a recipe of."""
    num_levels: int
    """Scales of the pyramid-context encoder, L in the paper; 6 is the released depth. The side must divide by 2**L."""
    base_width: int
    """Channels of the first scale."""
    attention_mode: Literal["paper", "released"]
    """`paper`: cosine softmax over valid positions, holes only; `released`: the behaviour of the authors' code."""
    attention_levels: Literal["all", "deepest", "none"]
    """Where the Attention Transfer Network works; `none` is a plain U-Net."""
    affinity: Literal["cosine", "euclidean"]
    """Likeness of two patches (`paper` mode only; `released` is always cosine-like)."""
    softmax_scale: float
    """Inverse temperature of the attention softmax."""
    valid_threshold: float
    """A patch may be copied if at most this share of it lies in the hole, in [0, 1) (`paper` mode only)."""
    dilations: list[int]
    """Dilation of the parallel convolutions that refine a filled map and share its channels; none if empty."""
    discriminator_width: int
    """Channels of the discriminator's first convolution; 64 in the paper."""
    discriminator_strides: list[int]
    """Strides of its convolutions, 1 or 2; [2, 2, 2, 1] in the paper. Fewer halvings judge smaller patches."""
    initialisation: Literal["normal", "kaiming"]
    """`normal` is N(0, 0.02), the paper's; `kaiming` starts faster at a small width."""
    adversarial_loss: Literal["hinge", "nsgan"]
    """Form of the adversarial loss."""
    adversarial_weight: float
    """Weight of the adversarial loss; 0.1 in the paper, 0 trains no discriminator."""
    hole_weight: float
    """Weight of the L1 loss in the hole; 6 in the paper."""
    valid_weight: float
    """Weight of the L1 loss outside it; 1 in the paper."""
    pyramid_weight: float
    """Weight of the pyramid L1 loss; 0.5 in the paper, 0 leaves it out."""
    learning_rate: float
    """Adam's step size for the generator."""
    discriminator_learning_rate: float
    """Adam's step size for the discriminator."""
    adam_betas: list[float]
    """Adam's two decay rates."""
    lr_milestones: list[float]
    """Shares of the budget, in (0, 1), after which both step sizes are multiplied by `lr_decay_factor`."""
    lr_decay_factor: float
    """Factor at each milestone."""


@dataclass(frozen=True)
class CAConfig:
    """CA: Generative Image Inpainting with Contextual Attention (Yu et al., CVPR 2018)."""

    method: Literal["ca"]
    """Which method this is a recipe of."""
    base_width: int
    """Channels of the first convolution; 32 in the paper."""
    softmax_scale: float
    """Inverse temperature of contextual attention; 10 in the paper."""
    critic_width: int
    """Channels of the critics' first convolution; 64 in the paper."""
    critic_steps: int
    """Critic updates, each with a batch of its own, for one generator update; 5 in the paper."""
    initialisation: Literal["normal", "kaiming"]
    """As for PEN-Net."""
    adversarial_weight: float
    """Weight of the two critics' scores; 0.001 in the paper."""
    gradient_penalty_weight: float
    """Weight of the gradient penalty; 10 in the paper."""
    l1_weight: float
    """Weight of the discounted L1 loss in the hole's box; 1.2 in the paper's release."""
    known_weight: float
    """Weight of the L1 loss outside the hole; 1.2 in the release."""
    coarse_weight: float
    """Weight of the coarse prediction inside both, beside 1 for the refined one; 1.2 in the release."""
    discount: float
    """Factor of the L1 loss for each pixel of distance from the hole's border, in (0, 1]; 0.9 in the release."""
    learning_rate: float
    """Adam's step size for the generator."""
    critic_learning_rate: float
    """Adam's step size for the critics."""
    adam_betas: list[float]
    """Adam's two decay rates."""
    lr_milestones: list[float]
    """As for PEN-Net."""
    lr_decay_factor: float
    """Factor at each milestone."""


@dataclass(frozen=True)
class GntIptConfig:
    """GntIpt: Free-Form Image Inpainting with Gated Convolution (Yu et al., ICCV 2019)."""

    method: Literal["gntipt"]
    """Which method this is a recipe of."""
    base_width: int
    """Channels of the first gated convolution, half of which are features; 48 in the paper."""
    softmax_scale: float
    """Inverse temperature of contextual attention; 10 in the paper."""
    critic_width: int
    """Channels of the critic's first convolution; 64 in the paper."""
    initialisation: Literal["normal", "kaiming"]
    """As for PEN-Net."""
    adversarial_weight: float
    """Weight of the critic's logits; 1 in the paper."""
    l1_weight: float
    """Weight of the L1 losses of both predictions over the whole picture; 1 in the paper."""
    learning_rate: float
    """Adam's step size for the generator."""
    critic_learning_rate: float
    """Adam's step size for the critic."""
    adam_betas: list[float]
    """Adam's two decay rates."""
    lr_milestones: list[float]
    """Shares of the budget, in (0, 1), after which both step sizes are multiplied by `lr_decay_factor`."""
    lr_decay_factor: float
    """Factor at each milestone."""


MethodConfig = PENNetConfig | CAConfig | GntIptConfig


@dataclass(frozen=True)
class InpaintConfig:
    batch_size: int
    """Images inpainted together."""


@dataclass(frozen=True)
class EvaluateConfig:
    bootstrap_resamples: int
    """Resamples of each 95 % bootstrap interval."""
    seed: int
    """Seed of the bootstrap, of the Inception Score's shuffle and of KID's subsets."""
    extractors: list[Literal["efflite0", "inception"]]
    """Networks whose features give IS, FID and KID."""
    inception_weights: str
    """File of torch-fidelity's FID Inception-v3 weights, downloaded to it if absent; empty: a file in torch's cache."""
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


@dataclass(frozen=True)
class RuntimeConfig:
    """Where to run. Part of no stage's parameters: it must not change a result."""

    device: str
    """`auto` (CUDA if there is one), `cpu`, `cuda` or `cuda:N`."""
    num_threads: int
    """CPU threads of torch; bits are only repeated at the same number."""
    num_workers: int
    """Processes that load training images; 0 loads them in the training process."""


@dataclass(frozen=True)
class TrackingConfig:
    """The MLflow record. Part of no stage's parameters."""

    uri: str
    """MLflow tracking and registry URI."""
    experiment: str
    """MLflow experiment; the data set's name is appended."""
    registered_model: str
    """Registered model; the data set's name is appended."""


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


LEARNED_METHODS = ("pennet", "ca", "gntipt")
CLASSICAL_METHODS = ("mean", "telea", "biharmonic", "patchmatch")


def config_from_mapping(cls: type[T], values: Any, source: str = "configuration") -> T:
    """Builds a configuration dataclass from plain mappings, strictly.

    Args:
        cls: the dataclass, for example `Config` or one of its sections.
        values: nested mappings, lists and scalars, as read from YAML or JSON.
        source: what to call the input in an error, usually the file's name.

    Raises:
        ConfigError: unknown or missing keys, wrong types, impossible values; all of them, each by its path.
    """
    return typing.cast(T, _checked(cls, values, source))


def recipe_from_mapping(values: Any, source: str = "recipe") -> MethodConfig:
    """Builds the recipe that `values["method"]` names; otherwise as `config_from_mapping`."""
    return typing.cast(MethodConfig, _checked(MethodConfig, values, source))


def _checked(kind: Any, values: Any, source: str) -> Any:
    problems: list[str] = []
    built = _build(kind, values, "", problems)
    if not problems:
        _check_values(built, "", problems)
    if problems:
        raise ConfigError(problems, source)
    return built


def _build(kind: Any, value: Any, path: str, problems: list[str]) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _build_dataclass(kind, value, path, problems)
    if origin is Literal:
        if value not in args or isinstance(value, bool) != isinstance(args[0], bool):
            problems.append(f"{path}: {value!r} is not one of {', '.join(map(str, args))}")
        return value
    if origin is list:
        if not isinstance(value, list | tuple):
            problems.append(f"{path}: expected a list, got {value!r}")
            return []
        return [_build(args[0], v, f"{path}[{i}]", problems) for i, v in enumerate(value)]
    if origin is dict:
        if not isinstance(value, Mapping):
            problems.append(f"{path}: expected a mapping, got {value!r}")
            return {}
        return {str(k): _build(args[1], v, f"{path}.{k}", problems) for k, v in value.items()}
    if origin in (Union, types.UnionType) and all(is_dataclass(a) for a in args):
        return _build_recipe(args, value, path, problems)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _build(next(a for a in args if a is not type(None)), value, path, problems)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, float) and not math.isfinite(value):
        problems.append(f"{path}: expected a finite number, got {value!r}")
        return value
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        problems.append(f"{path}: expected {kind.__name__}, got {value!r} ({type(value).__name__})")
        return value
    return kind(value)


def _build_recipe(kinds: tuple[Any, ...], value: Any, path: str, problems: list[str]) -> Any:
    """Builds the one of several dataclasses that the value's key `method` names."""
    by_method = dict(zip(LEARNED_METHODS, kinds, strict=True))
    method = value.get("method") if isinstance(value, Mapping) else None
    if not isinstance(method, str) or method not in by_method:
        where = f"{path}.method" if path else "method"
        problems.append(f"{where}: {method!r} is not one of {', '.join(by_method)}")
        return None
    return _build_dataclass(by_method[method], value, path, problems)


def _build_dataclass(cls: Any, value: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(value, Mapping):
        problems.append(f"{path or 'top level'}: expected a mapping, got {value!r}")
        return None
    hints = typing.get_type_hints(cls)
    prefix = f"{path}." if path else ""
    names = [f.name for f in fields(cls)]
    problems += [f"{prefix}{key}: unknown key" for key in value if key not in names]
    missing = [name for name in names if name not in value]
    problems += [f"{prefix}{name}: missing" for name in missing]
    built = {n: _build(hints[n], value[n], f"{prefix}{n}", problems) for n in names if n in value}
    return None if missing else cls(**built)


def _check_values(config: Any, prefix: str, problems: list[str]) -> None:
    """Appends what no type can express: ranges, and values that do not fit each other."""

    def require(ok: bool, key: str, why: str) -> None:
        if not ok:
            path = f"{prefix}.{key}" if prefix else key
            problems.append(f"{path}: {getattr(config, key, '')!r} {why}")

    def positive(*keys: str) -> None:
        for key in keys:
            require(getattr(config, key) > 0, key, "must be positive")

    if isinstance(config, MethodConfig):
        positive("base_width", "softmax_scale", "learning_rate", "lr_decay_factor")
        require(config.adversarial_weight >= 0, "adversarial_weight", "must not be negative")
        require(all(0 < share < 1 for share in config.lr_milestones), "lr_milestones", "must be shares in (0, 1)")
        require(
            len(config.adam_betas) == 2 and all(0 <= b < 1 for b in config.adam_betas),
            "adam_betas",
            "must be two numbers in [0, 1)",
        )

    match config:
        case SourceConfig():
            require(bool(config.archive.strip()), "archive", "must be the path or the URL of a zip file")
            require(
                bool(re.fullmatch("[0-9a-f]{64}", config.sha256)),
                "sha256",
                "must be the 64 digits (0-9, a-f) that `sha256sum ARCHIVE` prints",
            )
        case MasksConfig():
            require(0 <= config.seed <= MAX_SEED, "seed", f"must be from 0 to {MAX_SEED}")
        case TrackingConfig():
            require(bool(config.uri.strip()), "uri", "must be an MLflow URI, such as sqlite:///mlflow.db")
        case PrepareConfig():
            require(config.image_size_px >= 16, "image_size_px", "must be at least 16")
            positive("contact_sheet_images")
        case TrainConfig():
            positive("batch_size", "log_every_steps", "checkpoint_every_steps", "num_samples")
            require(config.steps >= 0, "steps", "must not be negative")
            require(config.minutes >= 0, "minutes", "must not be negative")
            require(
                (config.steps > 0) != (config.minutes > 0),
                "steps",
                f"with train.minutes: {config.minutes:g} is no budget; exactly one of the two must be positive",
            )
            require(0 <= config.ema_decay < 1, "ema_decay", "must be in [0, 1)")
            require(0 <= config.colour_jitter < 1, "colour_jitter", "must be in [0, 1)")
            require(config.sample_every_steps >= 0, "sample_every_steps", "must be 0 (none) or positive")
        case PENNetConfig():
            positive("discriminator_width", "discriminator_learning_rate")
            require(
                bool(config.discriminator_strides) and set(config.discriminator_strides) <= {1, 2},
                "discriminator_strides",
                "must be a non-empty list of 1 and 2",
            )
            require(2 <= config.num_levels <= 8, "num_levels", "must be from 2 to 8")
            require(0 <= config.valid_threshold < 1, "valid_threshold", "must be in [0, 1)")
            require(
                len(config.dilations) <= config.base_width,
                "dilations",
                f"must not be more than base_width ({config.base_width}), so that each has a channel",
            )
            require(all(d > 0 for d in config.dilations), "dilations", "must be positive")
            for key in ("hole_weight", "valid_weight", "pyramid_weight"):
                require(getattr(config, key) >= 0, key, "must not be negative")
            require(
                config.attention_mode == "paper" or config.affinity == "cosine",
                "affinity",
                "needs attention_mode: paper",
            )
        case CAConfig():
            positive("critic_width", "critic_steps", "critic_learning_rate")
            require(config.base_width % 2 == 0, "base_width", "must be even")
            require(0 < config.discount <= 1, "discount", "must be in (0, 1]")
            for key in ("gradient_penalty_weight", "l1_weight", "known_weight", "coarse_weight"):
                require(getattr(config, key) >= 0, key, "must not be negative")
        case GntIptConfig():
            positive("critic_width", "critic_learning_rate", "l1_weight")
            require(config.base_width % 4 == 0, "base_width", "must be a multiple of 4")
        case InpaintConfig():
            positive("batch_size")
        case EvaluateConfig():
            positive(
                "bootstrap_resamples",
                "is_splits",
                "kid_subsets",
                "kid_subset_size",
                "batch_size",
                "sheet_images",
            )
            require(0 <= config.seed <= MAX_SEED, "seed", f"must be from 0 to {MAX_SEED}")
        case RuntimeConfig():
            require(bool(re.fullmatch(DEVICE_PATTERN, config.device)), "device", "is not auto, cpu, cuda or cuda:N")
            positive("num_threads")
            require(config.num_workers >= 0, "num_workers", "must not be negative")
        case Config():
            for name in ("prepare", "masks", "train", "inpaint", "evaluate", "runtime", "tracking"):
                _check_values(getattr(config, name), name, problems)
            for name, source in config.sources.items():
                _check_values(source, f"sources.{name}", problems)
            for name, recipe in config.recipes.items():
                _check_values(recipe, f"recipes.{name}", problems)
            _check_whole(config, require, problems)


def _check_whole(config: Config, require: Callable[[bool, str, str], None], problems: list[str]) -> None:
    """Appends what does not fit between sections."""
    require(bool(config.datasets), "datasets", "names no data set")
    for name in config.datasets:
        require(name in config.sources, "datasets", f"names {name!r}, which has no entry in sources")
    require(
        bool(config.seeds) and all(0 <= seed <= MAX_SEED for seed in config.seeds),
        "seeds",
        f"must be numbers from 0 to {MAX_SEED}, at least one",
    )
    for key in ("datasets", "seeds"):
        require(len(set(getattr(config, key))) == len(getattr(config, key)), key, "names one twice")
    for name in config.sources:
        if not re.fullmatch(NAME_PATTERN, name):
            problems.append(f"sources.{name}: a data set's name is small letters, digits and _, a letter first")
    for name in config.recipes:
        if not re.fullmatch(NAME_PATTERN, name) or name in CLASSICAL_METHODS:
            problems.append(
                f"recipes.{name}: a recipe's name is small letters, digits and _, and not one of"
                f" {', '.join(CLASSICAL_METHODS)}"
            )
    for kind, known in (("learned", tuple(config.recipes)), ("classical", CLASSICAL_METHODS)):
        names = getattr(config.methods, kind)
        if len(set(names)) != len(names):
            problems.append(f"methods.{kind}: {names!r} names one twice")
        for name in names:
            if name not in known:
                problems.append(f"methods.{kind}: {name!r} is not one of {', '.join(known)}")
    side = config.prepare.image_size_px
    for name in config.methods.learned:
        recipe = config.recipes.get(name)
        if isinstance(recipe, CAConfig | GntIptConfig) and side % 8:
            problems.append(f"prepare.image_size_px: {side} is not a multiple of 8, as recipes.{name} needs")
        if isinstance(recipe, PENNetConfig):
            unit = 2**recipe.num_levels
            smallest = smallest_judged_side_px(recipe.discriminator_strides)
            if recipe.adversarial_weight and side < smallest:
                problems.append(
                    f"prepare.image_size_px: {side} is too small for the discriminator of recipes.{name}, which needs"
                    f" {smallest} px; enlarge it, or set fewer halvings (discriminator_strides) or adversarial_weight: 0"
                )
            if side % unit:
                problems.append(
                    f"prepare.image_size_px: {side} is not a multiple of 2**recipes.{name}.num_levels"
                    f" ({unit}); use a multiple of {unit} or fewer levels"
                )


def smallest_judged_side_px(strides: Sequence[int]) -> int:
    """The side from which PEN-Net's discriminator has a logit to give.

    Args:
        strides: of its 5x5 convolutions, whose padding is 1.
    """
    side = 3  # of the last convolution
    for stride in reversed(strides):
        side = (side - 1) * stride + 3
    return side
