"""What a person enters in Prefect's form: taken into the terms of params.yaml, or refused in one message."""

from typing import Any

import pytest

from pipelines.params import read_yaml
from pipelines.running.selection import nested, select
from tests.project import ROOT

VALUES = read_yaml(ROOT / "params.yaml") | {
    "methods": {"learned": ["pennet", "ca"], "classical": ["telea"]},
    "seeds": [1, 2],
}


def test_what_params_yaml_has_needs_no_parameters_of_its_own() -> None:
    chosen = select(VALUES, "terrain", [], [], {})
    assert chosen.params is None
    assert chosen.targets("inpaint", None) == [
        f"inpaint@terrain-{method}-{seed}" for method in ("pennet", "ca") for seed in (1, 2)
    ]
    assert select(VALUES, "terrain", ["telea", "ca"], [2], {}).targets("evaluate", "evaluate-classical") == [
        "evaluate@terrain-ca-2",
        "evaluate-classical@terrain-telea",
    ]


@pytest.mark.parametrize(
    ("methods", "seeds", "overrides"),
    [
        (["gntipt"], [], {}),
        ([], [3], {}),
        ([], [], {"train.steps": 7}),
        (["mean"], [], {}),
        ([], [], {"train": {"steps": 7}}),
    ],
)
def test_all_else_is_a_whole_params_yaml_of_the_runs_own(
    methods: list[str], seeds: list[int], overrides: dict[str, Any]
) -> None:
    chosen = select(VALUES, "terrain", methods, seeds, overrides)
    assert chosen.params is not None
    assert chosen.params["datasets"] == ["terrain"]
    assert chosen.params["seeds"] == (seeds or [1, 2])
    assert chosen.params["train"]["steps"] == (7 if overrides else VALUES["train"]["steps"])
    assert chosen.params["methods"] == {"learned": chosen.learned, "classical": chosen.classical}
    assert VALUES["train"]["steps"] == read_yaml(ROOT / "params.yaml")["train"]["steps"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dataset": "mars"}, r"dataset: 'mars' is no entry of sources of params.yaml \(terrain\)"),
        ({"methods": ["pennte"]}, r"methods: 'pennte' is none; .* pennet, ca, gntipt, mean, telea"),
        ({"seeds": [-1]}, r"this run: 1 problem\(s\)\n  - seeds"),
        (
            {"overrides": {"train.stepz": 7}},
            r"overrides \(its keys are those of params.yaml.*\n  - train.stepz: unknown key",
        ),
        ({"overrides": {"train.steps": "many"}}, r"overrides .*\n  - train.steps: expected int, got 'many' \(str\)"),
        ({"overrides": {"train.steps.more": 7}}, r"overrides .*\n  - train.steps: expected int, got \{'more': 7\}"),
        ({"overrides": {"seeds": [1]}}, r"overrides: seeds: choose it by the parameter seeds"),
        ({"overrides": {"methods.learned": ["ca"]}}, r"overrides: methods.learned: choose it by the parameter methods"),
        (
            {"overrides": {"tracking.uri": "x"}},
            r"overrides: tracking.uri: every run is recorded in the store of params.yaml",
        ),
        ({"overrides": {"train.steps": 1, "train": {"steps": 2}}}, r"overrides: train is set twice; keep one"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_possible(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        select(VALUES, **{"dataset": "terrain", "methods": [], "seeds": [], "overrides": {}} | parameters)


def test_an_override_that_the_data_set_overrides_in_turn_is_refused() -> None:
    """It would be accepted, and do nothing."""
    special = {name: dict(values) for name, values in VALUES["overrides"]["terrain"].items()}
    special["train"] = {"steps": 9}
    values = VALUES | {"overrides": {"terrain": special}}
    with pytest.raises(ValueError, match=r"train.steps: params.yaml sets it for terrain alone; override overrides.terrain"):
        select(values, "terrain", [], [], {"train.steps": 7})
    chosen = select(values, "terrain", [], [], {"overrides.terrain.train.steps": 7, "train.batch_size": 2})
    assert chosen.params is not None
    assert chosen.params["overrides"]["terrain"]["train"] == {"steps": 7}


def test_dotted_and_nested_names_are_the_same() -> None:
    dotted = {"train.steps": 1, "train.flip": False, "recipes.pennet.base_width": 8}
    assert nested(dotted) == {"train": {"steps": 1, "flip": False}, "recipes": {"pennet": {"base_width": 8}}}
    assert nested(nested(dotted)) == nested(dotted)
