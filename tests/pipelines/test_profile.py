"""Profiles: what differs from `params.yaml`, resolved to a whole one."""

import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pennet.config import ConfigError
from pennet.errors import UserError
from pipelines import profile
from pipelines.params import edited_yaml, parse_yaml, read_yaml
from tests.project import ROOT

BASE = read_yaml(ROOT / "params.yaml")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the project's `params.yaml`, committed, and no profile yet; the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "Parameters"]):
        subprocess.run([*git, *arguments], check=True, timeout=60)
    return tmp_path


def write(name: str, text: str) -> None:
    Path(f"profiles/{name}.yaml").write_text(text)


def changed(**changes: Any) -> dict[str, Any]:
    """The parameters with other values, by their path with __ for its dots."""
    values = copy.deepcopy(BASE)
    for path, value in changes.items():
        *sections, key = path.split("__")
        place = values
        for section in sections:
            place = place[section]
        place[key] = value
    return values


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml")))
def test_every_profile_of_the_project_resolves_and_changes_something(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    values = profile.resolved(name, BASE)
    assert values != BASE
    assert parse_yaml(edited_yaml((ROOT / "params.yaml").read_text(), values), name) == values


def test_mappings_merge_lists_and_scalars_replace_and_null_takes_away(project: Path) -> None:
    write(
        "quick",
        """
train: {steps: 5}
methods: {classical: [mean], learned: [pennet]}
recipes: {ca: null, gntipt: {base_width: 8}}
""",
    )
    expected = changed(train__steps=5, methods__classical=["mean"], methods__learned=["pennet"])
    expected["recipes"]["gntipt"]["base_width"] = 8
    del expected["recipes"]["ca"]
    assert profile.resolved("quick", BASE) == expected
    assert read_yaml(ROOT / "params.yaml") == BASE  # untouched


def test_profile_extends_another(project: Path) -> None:
    write("long", "train: {steps: 9000, batch_size: 2}")
    write("longer", "extends: long\ntrain: {steps: 90000}")
    assert profile.resolved("longer", BASE) == changed(train__steps=90000, train__batch_size=2)


def test_ancestors_come_nearest_first(project: Path) -> None:
    write("long", "train: {steps: 9000}")
    write("longer", "extends: long")
    write("longest", "extends: longer")
    assert profile.ancestors("longest") == ["longer", "long"]
    assert profile.ancestors("long") == []


def test_recipe_extends_another_as_it_is_resolved(project: Path) -> None:
    write(
        "parts",
        """
recipes:
  pennet: {base_width: 24}
  plain: {extends: pennet, attention_levels: none}
  plain_and_blunt: {extends: plain, adversarial_weight: 0.0}
methods: {learned: [pennet, plain, plain_and_blunt]}
""",
    )
    recipes = profile.resolved("parts", BASE)["recipes"]
    pennet = BASE["recipes"]["pennet"] | {"base_width": 24}
    assert recipes["plain"] == pennet | {"attention_levels": "none"}
    assert recipes["plain_and_blunt"] == recipes["plain"] | {"adversarial_weight": 0.0}


def test_recipe_that_extends_another_keeps_nothing_of_one_of_its_name(project: Path) -> None:
    write("first", "recipes: {pennet: {base_width: 24}, other: {extends: pennet, num_levels: 2}}")
    write("second", "extends: first\nrecipes: {other: {extends: gntipt, l1_weight: 2.0}}")
    assert profile.resolved("second", BASE)["recipes"]["other"] == BASE["recipes"]["gntipt"] | {"l1_weight": 2.0}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("train: {stepz: 5}", "train.stepz: unknown key"),
        ("trian: {steps: 5}", "trian: unknown key"),
        ("train: {steps: many}", "train.steps: expected int, got 'many' (str)"),
        ("train: 5", "train: expected a mapping, got 5 (int)"),
        ("recipes: {cat: null}", "recipes.cat: null takes a key away, but there is none"),
        ("recipes: {a: {extends: lama}}", "recipes.a.extends: 'lama' is not one of pennet, ca, gntipt, a"),
        ("recipes: {a: {extends: b}, b: {extends: a}}", "recipes.b.extends: a -> b -> a goes in a circle"),
        ("recipes: {pennet: {extends: pennet}}", "recipes.pennet.extends: pennet -> pennet goes in a circle"),
        ("recipes: {ca: {critic_steps: 3}}", "recipes.ca.critic_steps: unknown key; it is called discriminator_steps now"),
        ("prepare: {image_size_px: 70}", "prepare.image_size_px: 70 is not a multiple of 2**recipes.pennet.num_levels (8)"),
        ("just words", "top level: expected a mapping, got 'just words'"),
        ("train: [", "not YAML"),
    ],
)
def test_mistake_in_a_profile_is_named_by_file_and_path(project: Path, text: str, problem: str) -> None:
    write("wrong", text)
    write("heir", "extends: wrong\ntrain: {batch_size: 2}")
    for name in ("wrong", "heir"):  # whoever inherits a mistake is not blamed for it
        with pytest.raises(ConfigError) as caught:
            profile.resolved(name, BASE)
        assert str(caught.value).startswith("profiles/wrong.yaml: ")
        assert problem in str(caught.value)


def test_profiles_in_a_circle_are_named(project: Path) -> None:
    write("a", "extends: b")
    write("b", "extends: a")
    with pytest.raises(UserError, match=r"profiles/a\.yaml: extends: a -> b -> a goes in a circle"):
        profile.resolved("a", BASE)


@pytest.mark.parametrize("name", ["pepar", "../params", ""])
def test_unknown_profile_is_named_with_those_there_are(project: Path, name: str) -> None:
    write("paper", "train: {steps: 5}")
    write("cpu", "train: {steps: 6}")
    with pytest.raises(UserError, match=r"\.yaml does not exist; known profiles are cpu, paper"):
        profile.resolved(name, BASE)


def test_applied_profile_keeps_comments_and_shows_what_changed(project: Path) -> None:
    write("quick", "train: {steps: 5}\nrecipes: {other: {extends: gntipt, lr_milestones: [0.25, 0.5]}}")
    lines = list(profile.apply("quick"))
    assert "-  steps: 540" in lines
    assert "+  steps: 5" in lines
    text = Path("params.yaml").read_text()
    assert text.startswith("# Resolved from profiles/quick.yaml; `git checkout params.yaml` takes it back.\n")
    comments = [line for line in (ROOT / "params.yaml").read_text().splitlines() if line.lstrip().startswith("#")]
    assert [line for line in text.splitlines() if line.lstrip().startswith("#")][1:] == comments
    assert "    lr_milestones: [0.25, 0.5]\n" in text
    assert read_yaml(Path("params.yaml")) == profile.resolved("quick", BASE)
    assert list(profile.apply("quick")) == []


def test_profiles_applied_in_turn_never_mix(project: Path) -> None:
    write("few", "train: {steps: 5}")
    write("small", "train: {batch_size: 2}")
    for name, expected in (("few", changed(train__steps=5)), ("small", changed(train__batch_size=2))):
        list(profile.apply(name))
        assert read_yaml(Path("params.yaml")) == expected


def test_changes_of_ones_own_are_not_overwritten(project: Path) -> None:
    write("few", "train: {steps: 5}")
    write("broken", "train: {stepz: 5}")
    own = Path("params.yaml").read_text().replace("steps: 540", "steps: 541")
    Path("params.yaml").write_text(own)
    with pytest.raises(UserError, match=r"params\.yaml has changes that are in no commit and no profile; commit it, move"):
        profile.apply("few")
    assert Path("params.yaml").read_text() == own


def test_anchors_of_params_yaml_keep_their_values(project: Path) -> None:
    """A variant by `<<` is another recipe than the one it started from: a profile that changes that leaves it alone."""
    text = Path("params.yaml").read_text().replace("  pennet:\n", "  pennet: &pennet\n")
    text = text.replace("  ca:\n", "  plain:\n    <<: *pennet\n    attention_levels: none\n  ca:\n", 1)
    base = parse_yaml(text, "params.yaml")
    assert base["recipes"]["plain"] == base["recipes"]["pennet"] | {"attention_levels": "none"}
    write("wide", "recipes: {pennet: {base_width: 24}}")
    values = profile.resolved("wide", base)
    assert values["recipes"]["plain"] == base["recipes"]["plain"]
    assert parse_yaml(edited_yaml(text, values), "edited") == values
