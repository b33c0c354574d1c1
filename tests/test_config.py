"""Configurations that are read, and values that cannot be: each is named, all at once."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pennet.config import Config, ConfigError, config_from_mapping, recipe_from_mapping
from pennet.config.methods import BEFORE
from pennet.config.validation import RENAMED
from pipelines.params import load_params
from tests.configs import config_problems as problems
from tests.configs import project_values
from tests.project import ROOT


@pytest.fixture
def values() -> dict[str, Any]:
    return project_values()


def test_params_of_the_project_are_valid_and_total() -> None:
    load_params(ROOT / "params.yaml")


def test_all_problems_are_listed_at_once_by_path(values: dict[str, Any]) -> None:
    values["train"]["stepz"] = 3
    del values["recipes"]["pennet"]["num_levels"]
    values["masks"]["protocols"] = ["center"]
    values["train"]["batch_size"] = "16"
    values["inpaint"]["batch_size"] = 0
    values["runtime"] |= {"deterministic": True, "cudnn_benchmark": True}
    values["recipes"]["ca"] |= {"discount": 2, "base_width": "wide", "critic_steps": 5}
    values["recipes"]["Ours"] = values["recipes"]["gntipt"]
    found = "\n".join(problems(values))
    assert "train.stepz: unknown key" in found
    assert "recipes.pennet.num_levels: missing" in found
    assert "names 'center', which is not a kind of mask or an entry of masks.files (centre" in found
    assert "train.batch_size: expected int, got '16' (str)" in found
    assert "inpaint.batch_size: 0 must be greater than 0" in found
    assert "runtime.cudnn_benchmark: True with runtime.deterministic: true would choose kernels anew" in found
    assert "recipes.ca.discount: 2 must be less than or equal to 1" in found
    assert "recipes.ca.base_width: expected int, got 'wide' (str)" in found
    assert "recipes.ca.critic_steps: unknown key; it is called discriminator_steps now" in found
    assert "recipes.Ours: 'Ours' is no name" in found
    assert len(found.splitlines()) == 10


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("train", "steps", 0, "train.steps: 0 with train.minutes: 0 is no budget; exactly one of the two must be positive"),
        ("train", "minutes", 3, " with train.minutes: 3 is no budget"),
        ("recipes.pennet", "lr_milestones", [0.5, 1], "recipes.pennet.lr_milestones[1]: 1 must be less than 1"),
        ("recipes.ca", "method", "cat", "recipes.ca.method: 'cat' is not one of pennet, ca, gntipt"),
        (
            "masks",
            "files",
            {"own": {"archive": "ftp://a.org/masks.zip", "hole": "white", "under": "", "sha256": ""}},
            "masks.files.own.archive: 'ftp://a.org/masks.zip' is an address; download the masks yourself and give",
        ),
        ("train", "steps", True, "train.steps: expected int, got True"),
        ("train", "steps", 1.5, "train.steps: expected int"),
        ("train", "ema_decay", 1.0, "train.ema_decay: 1.0 must be less than 1"),
        (
            "recipes.pennet",
            "dilations",
            [1] * 9,
            "must not be more than half of base_width (16), so that each has a channel",
        ),
        ("recipes.pennet", "dilations", [1, 0], "recipes.pennet.dilations[1]: 0 must be greater than 0"),
        ("recipes.pennet", "learning_rate", "1e-3 per step", "recipes.pennet.learning_rate: expected float"),
        ("recipes.pennet", "learning_rate", float("nan"), "recipes.pennet.learning_rate: expected a finite number, got nan"),
        ("recipes.pennet", "learning_rate", 10**400, "recipes.pennet.learning_rate: a number is too large"),
        ("recipes.pennet", "adam_betas", [0.5], "recipes.pennet.adam_betas: [0.5] must have at least 2 items"),
        (
            "recipes.pennet",
            "training_mask",
            "square",
            "recipes.pennet.training_mask: 'square' is not one of centre, rotated_",
        ),
        ("recipes.ca", "base_width", 5, "recipes.ca.base_width: 5 must be a multiple of 2"),
        (
            "recipes.pennet",
            "discriminator_strides",
            [],
            "recipes.pennet.discriminator_strides: [] must have at least 1 item",
        ),
        ("recipes", "pennet", 3, "recipes.pennet: expected a mapping, got 3 (int)"),
        ("recipes.ca", "method", None, "recipes.ca.method: None is not one of pennet, ca, gntipt"),
        ("recipes.pennet", "dilations", 2, "recipes.pennet.dilations: expected a list, got 2 (int)"),
        ("train", "flip", 1, "train.flip: expected bool, got 1 (int)"),
        ("recipes.pennet", "affinity", "dot", "recipes.pennet.affinity: 'dot' is not one of cosine, euclidean, picture"),
        ("prepare", "image_size_px", 70, "prepare.image_size_px: 70 is not a multiple of 2**recipes.pennet.num_levels (8)"),
        ("prepare", "image_size_px", 16, "prepare.image_size_px: 16 is too small for the discriminator"),
        (
            "recipes.pennet",
            "hole_cell_px",
            3,
            "64 is not a multiple of recipes.pennet.hole_cell_px (3); set",
        ),
        ("runtime", "num_processes", 0, "runtime.num_processes: 0 must be greater than 0"),
        (
            "runtime",
            "num_processes",
            5,
            "runtime.num_processes: 5 does not divide train.batch_size: 12 into equal parts",
        ),
        ("runtime", "num_workers", -1, "runtime.num_workers: -1 must be greater than or equal to 0"),
        ("evaluate", "extractors", ["vgg"], "evaluate.extractors[0]: 'vgg' is not one of"),
        ("evaluate", "seed", -1, "evaluate.seed: -1 must be greater than or equal to 0"),
        ("evaluate", "seed", 2**32, "evaluate.seed: 4294967296 must be less than or equal to 4294967295"),
        ("masks", "seed", -1, "masks.seed: -1 must be greater than or equal to 0"),
        ("masks", "seed", 2**32, "masks.seed: 4294967296 must be less than or equal to 4294967295"),
        ("methods", "learned", ["pennet", "pennet"], "methods.learned: ['pennet', 'pennet'] names one twice"),
        ("methods", "classical", ["mean", "mean"], "methods.classical: ['mean', 'mean'] names one twice"),
        ("sources.terrain", "archives", [" "], "sources.terrain.archives[0]: ' ' must be the path or the URL of an archive"),
        ("sources.terrain", "sha256", ["0" * 63], "must be the 64 digits (0-9, a-f) that `sha256sum ARCHIVE` prints"),
        ("sources.terrain", "sha256", ["A" * 64], "must be the 64 digits"),
        ("sources.terrain", "sha256", ["a" * 64], "are 1 checksums for 0 archives; give one for each, or none"),
        ("sources.terrain", "data_set", "terrene", "'terrene' is not one of terrain, facade, dtd"),
        ("sources.terrain", "data_set", "hub", "must be a commit for data_set: hub, and empty for all others"),
        ("sources.terrain", "split", "papers", "sources.terrain.split: 'papers' is not one of paper, seeded"),
        ("tracking", "uri", "", "tracking.uri: '' must be an MLflow URI, such as sqlite:///mlflow.db"),
        ("runtime", "device", "mps", "runtime.device: 'mps' is not auto, cpu, cuda or cuda:N"),
        ("runtime", "device", "cuda:", "runtime.device: 'cuda:' is not auto, cpu, cuda or cuda:N"),
    ],
)
def test_impossible_value_is_named(values: dict[str, Any], section: str, key: str, value: Any, expected: str) -> None:
    section_values = values
    for name in section.split("."):
        section_values = section_values[name]
    section_values[key] = value
    assert expected in "\n".join(problems(values))


@pytest.mark.parametrize("seeds", [[], [-1], [3, 3], [2**32]])
def test_seeds_are_different_numbers(values: dict[str, Any], seeds: list[int]) -> None:
    values["seeds"] = seeds
    assert any(problem.startswith(("seeds: ", "seeds[0]: ")) for problem in problems(values))


@pytest.mark.parametrize("name", ["no-attention", "Big", "telea", "2nd"])
def test_name_of_a_recipe_makes_a_folder_and_a_stage(values: dict[str, Any], name: str) -> None:
    values["recipes"][name] = values["recipes"]["pennet"]
    assert any(problem.startswith(f"recipes.{name}: ") for problem in problems(values))


@pytest.mark.parametrize("name", ["my photos", "x; touch evil", "Terrain", "../terrain", "2nd"])
def test_name_of_a_data_set_is_a_word_of_a_shell_command(values: dict[str, Any], name: str) -> None:
    values["sources"][name] = values["sources"]["terrain"]
    values["datasets"] = [name]
    assert f"sources.{name}: {name!r} is no name: small letters, digits and _, a letter first" in problems(values)


def test_data_set_named_twice_is_refused(values: dict[str, Any]) -> None:
    values["datasets"] = ["terrain", "terrain"]
    assert "datasets: ['terrain', 'terrain'] names one twice" in problems(values)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:11"])
def test_documented_devices_are_accepted(values: dict[str, Any], device: str) -> None:
    values["runtime"]["device"] = device
    assert config_from_mapping(Config, values).runtime.device == device


def test_method_without_a_recipe_is_named(values: dict[str, Any]) -> None:
    values["methods"]["learned"] = ["pennet", "lama"]
    assert (
        "methods.learned: ['pennet', 'lama'] names 'lama', which is not an entry of recipes (pennet, ca, gntipt)"
        in problems(values)
    )


def test_integer_is_accepted_where_a_float_is_meant(values: dict[str, Any]) -> None:
    values["recipes"]["pennet"]["hole_weight"] = 6
    assert config_from_mapping(Config, values).recipes["pennet"].hole_weight == 6.0


def test_unknown_method_and_data_set_are_named(values: dict[str, Any]) -> None:
    values["methods"]["classical"] = ["telae"]
    values["datasets"] = ["terrain", "mars"]
    found = "\n".join(problems(values))
    assert "methods.classical: ['telae'] names 'telae', which is not a classical method (mean, telea, biharmonic" in found
    assert "names 'mars', which is not an entry of sources (terrain)" in found
    assert found.count("; do you mean telea?") == 1
    values["sources"]["terrain"]["data_set"] = "terain"
    assert any(problem.endswith("; do you mean terrain?") for problem in problems(values))


@pytest.mark.parametrize("text", ["train: [", "", "just words"])
def test_file_that_is_no_mapping_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"params\.yaml"):
        load_params(path)


@pytest.mark.parametrize("name", ["pennet", "ca", "gntipt"])
def test_parameters_that_an_older_version_saved_are_read(values: dict[str, Any], name: str) -> None:
    recipe = values["recipes"][name]
    old = {old: recipe[new] for old, new in RENAMED.items() if name != "pennet" and new in recipe}
    old |= {key: value for key, value in recipe.items() if name == "pennet" or key not in RENAMED.values()}
    if name == "pennet":
        recipe["affinity"] = old["affinity"] = "cosine"
    for key, value in BEFORE[name].items():
        recipe[key] = value
        del old[key]
    assert recipe_from_mapping(old) == config_from_mapping(Config, values).recipes[name]


def test_saved_parameters_are_checked_with_their_file_named() -> None:
    with pytest.raises(ConfigError, match=r"config\.json: 1 problem.*\n  - method: 'lama' is not one of pennet, ca, gntipt"):
        recipe_from_mapping({"method": "lama"}, "config.json")
    with pytest.raises(ConfigError, match="top level: expected a mapping, got \\[\\]"):
        recipe_from_mapping([], "config.json")


def test_what_is_read_is_what_was_written(values: dict[str, Any]) -> None:
    """Every value bit for bit, and as the type that the section names."""
    config = config_from_mapping(Config, values)
    assert asdict(config) == values
    assert isinstance(config.train.minutes, float)
    assert config_from_mapping(Config, asdict(config)) == config


def test_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_params(tmp_path / "params.yaml")


def test_protocols_are_named_each_once_and_the_old_key_is_known(values: dict[str, Any]) -> None:
    for wrong, why in (([], "names no kind of mask"), (["centre", "centre"], "names one twice")):
        values["masks"]["protocols"] = wrong
        assert any(found.startswith("masks.protocols: ") and why in found for found in problems(values))
    values["masks"] = {"protocol": "centre", "seed": 7}
    assert "masks.protocol: unknown key; it is called protocols now" in problems(values)
