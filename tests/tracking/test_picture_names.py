"""Pictures of any name in the record."""

import re

import mlflow
import numpy as np
import pytest
from PIL import Image

from pipelines import layout
from pipelines.tracking.contents import safe_name
from pipelines.tracking.record import RECORDED_TAG, record
from tests.tracking.stores import TRIAL, store, the_run

UNSAFE = ["IMG (20)", "100%", "a,b", "a b", "a_b", "a;b", "été", "写真", ".hidden", "a..b", "a\nb", "x" * 200, "x" * 201]


@pytest.mark.parametrize("names", [UNSAFE[:7], UNSAFE[6:]])
def test_pictures_of_any_name_are_recorded_once_each(project, names: list[str]) -> None:
    folder = layout.filled_dir(*TRIAL, "centre") / "composite"
    for value, name in enumerate(names, start=2):  # the picture of `made` is of ones
        Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(folder / f"{name}.png")
    assert record(*TRIAL, store())
    client, run_id = mlflow.MlflowClient(), the_run().info.run_id

    def pictures() -> set[str]:
        return {item.path for item in client.list_artifacts(run_id, "images") if "/composite_" in item.path}

    kept = [path for path in pictures() if path.endswith(".png")]
    assert len({path.split("+step+")[0] for path in kept}) == len(names) + 1
    values = {np.asarray(Image.open(client.download_artifacts(run_id, path))).flat[0] for path in kept}
    assert values == set(range(1, len(names) + 2))
    before = pictures()
    client.delete_tag(run_id, RECORDED_TAG)
    assert record(*TRIAL, store())
    assert pictures() == before


def test_names_that_are_safe_stay_and_all_others_differ() -> None:
    assert [safe_name(name) for name in ("0000", "IMG_1-a.b", "x" * 60)] == ["0000", "IMG_1-a.b", "x" * 60]
    forged = safe_name("IMG (20)")  # a file may have this very name
    names = [*UNSAFE, forged, "IMG_20", "IMG_20_", "A_B", "a?b", "", "x" * 61]
    made = [safe_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,70}", name) for name in made)
