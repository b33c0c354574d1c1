"""Who is champion: stories of painters whose scores are known, told in a registry."""

import json
import shutil
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
from pyarrow import parquet

from pennet.errors import UserError
from pipelines import layout, promote
from pipelines.params import load_params
from pipelines.tracking.record import RECORDED_TAG, record
from pipelines.tracking.versions import weights_digest
from pipelines.validation import Validation
from tests.prepared import write_prepared
from tests.project import change_params
from tests.tracking.stores import TRIAL, here, store, the_run
from tests.tracking.training import write_painter, write_training

NAME, SIDE, NUM_PICTURES = "inpainting-terrain", 48, 12
GREYS = np.random.default_rng(5).integers(110, 140, NUM_PICTURES)
"""Of the validation pictures, each of which has one."""


@pytest.fixture
def client(project: Path) -> mlflow.MlflowClient:
    """Of a project with validation pictures; its store is not made yet."""
    pictures = {f"{i:02}.png": np.full((SIDE, SIDE, 3), grey, np.uint8) for i, grey in enumerate(GREYS)}
    half = np.full((SIDE, SIDE, 3), 128, np.uint8)
    folder = layout.prepared_dir("terrain")
    shutil.rmtree(folder)
    write_prepared(folder, train={"t.png": half}, val=pictures, test={"a.png": half})
    tracking = {"uri": here(), "experiment": "test", "registered_model": "inpainting"}
    change_params(project, {"tracking": tracking, "promotion": {"guards": {"ms_ssim": None, "seam": None}}})
    mlflow.set_tracking_uri(here())
    return mlflow.MlflowClient()


def train(grey: float, l1_hole: float = 0.25) -> None:
    """Puts a painter in place and records it, with an L1 in the hole of the test pictures."""
    write_training(Path(), l1_hole)
    write_painter(Path(), grey)
    record(*TRIAL, store())


def decide() -> str:
    return promote.promote("terrain", load_params())


def decision() -> dict:
    return json.loads((layout.promotion_dir("terrain") / "decision.json").read_text())


def champion(client: mlflow.MlflowClient) -> str:
    return str(client.get_model_version_by_alias(NAME, "champion").version)


def previous(client: mlflow.MlflowClient) -> str:
    return str(client.get_model_version_by_alias(NAME, "previous").version)


def tags(client: mlflow.MlflowClient, version: str) -> dict[str, str]:
    return dict(client.get_model_version(NAME, version).tags)


def far_from(grey: float) -> np.ndarray:
    """The painters' L1 in the hole of each validation picture: they paint one grey, rounded to 8 bits."""
    return np.abs(np.round(grey * 255) - GREYS) / 255


def test_a_worse_rival_of_another_benchmark_does_not_become_champion(client: mlflow.MlflowClient, project: Path) -> None:
    """The alias once moved from a test l1_hole of .0569 to .0777, because bootstrap_resamples made a new benchmark."""
    train(0.5, l1_hole=0.0569)
    assert decide() == "terrain: first: there was no champion; champion is version 1 (pennet, seed 2019)"
    assert decision()["outcome"] == "first"
    change_params(project, {"evaluate": {"bootstrap_resamples": 60, "seed": 8}})
    train(0.7, l1_hole=0.0777)
    assert "terrain: kept: " in decide()
    assert (champion(client), decision()["outcome"], decision()["challenger"]["version"]) == ("1", "kept", "2")
    change_params(project, {"evaluate": {"bootstrap_resamples": 50, "seed": 7}})
    decide()
    train(0.7, l1_hole=0.01)  # whatever the test says
    decide()
    assert champion(client) == "1"
    assert str(client.get_model_version_by_alias(NAME, "challenger").version) == "2"


def test_the_better_one_is_promoted_with_all_its_numbers_and_no_test_picture_is_opened(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(0.6)
    decide()
    train(0.5)
    of_test = parquet.read_table(layout.prepared_dir("terrain") / "index.parquet", filters=[("split", "=", "test")])
    for shard in set(of_test["shard"].to_pylist()):
        (layout.prepared_dir("terrain") / f"shard-{shard:05d}.tar").unlink()
    for folder in (layout.masks_dir("terrain"), Path("outputs"), layout.report_dir(*TRIAL)):
        shutil.rmtree(folder)
    line = decide()
    assert line.startswith(
        "terrain: promoted: better in l1_hole, and no guarded metric too much worse; champion is version 2"
    )

    written = decision()
    (l1,) = (finding for finding in written["findings"] if finding["metric"] == "l1_hole")
    ours, theirs = far_from(0.5), far_from(0.6)
    assert (l1["n"], written["num_pictures"], written["protocol"]) == (NUM_PICTURES, NUM_PICTURES, "centre")
    assert l1["champion"] == pytest.approx(theirs.mean(), rel=1e-5)
    assert l1["challenger"] == pytest.approx(ours.mean(), rel=1e-5)
    assert l1["difference"] == pytest.approx((ours - theirs).mean(), rel=1e-5)
    assert l1["ci_low"] < l1["difference"] < l1["ci_high"] < 0
    weights = weights_digest(layout.model_dir(*TRIAL) / "generator.safetensors")
    assert (
        written["now"] == written["challenger"] == {"version": "2", "weights": weights, "method": "pennet", "seed": "2019"}
    )
    assert written["left_out"] == ["gntipt (seed 2019) is not trained"]

    version = client.get_model_version_by_alias(NAME, "champion")
    assert str(version.version) == "2"
    assert previous(client) == "1"
    assert version.tags["pennet.promotion"] == line
    assert float(version.tags["validation.l1_hole"]) == pytest.approx(ours.mean(), rel=1e-5)
    assert "## Promotion\n\n**promoted**: better in l1_hole" in version.description
    page = (layout.promotion_dir("terrain") / "decision.md").read_text()
    assert f" ↓ | {theirs.mean():.4g} | {ours.mean():.4g} | {l1['difference']:+.3g} | {l1['ci_low']:+.3g} to" in page
    assert f"weights of version 2 (pennet, seed 2019): `{weights}`" in page
    card = client.download_artifacts(version.run_id, "card.md")
    assert Path(card).read_text().rstrip().endswith(page.partition("## Candidates")[0].partition("champion\n\n")[2].rstrip())
    names = {item.path for item in client.list_artifacts(version.run_id, "promotion")}
    assert names == {"promotion/decision.json", "promotion/decision.md"}

    with monkeypatch.context() as patched:
        patched.setattr(Validation, "scores", lambda *_: pytest.fail("nothing has changed"))
        assert decide() == "terrain: nothing new to decide; champion is version 2 (pennet, seed 2019)"
    change_params(Path(), {"promotion": {"pictures": 5}})
    assert decide() == "terrain: nothing to decide, the best training is the champion: version 2 (pennet, seed 2019)"
    assert decision() == written  # the last decision stays
    shown = tags(client, "2")
    assert float(shown["validation.l1_hole"]) == pytest.approx(ours[[0, 2, 4, 7, 9]].mean(), rel=1e-5)


def test_rolled_back_again_and_again_and_never_by_itself_forward(
    client: mlflow.MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    for grey in (0.7, 0.6, 0.5):
        train(grey)
        decide()
    assert champion(client) == "3"
    run_promote("--rollback", "terrain")
    undone = "version 3 (pennet, seed 2019) was taken back by hand"
    line = f"terrain: rolled back: {undone}; champion is version 2 (pennet, seed 2019)"
    assert capsys.readouterr().out.splitlines()[-1] == line
    assert decision()["outcome"] == "rolled back"
    assert tags(client, "3")["pennet.promotion"] == line
    assert "**rolled back**: version 3" in client.get_model_version(NAME, "3").description
    assert previous(client) == "1"
    assert "version 3 (pennet, seed 2019) is rejected until --version 3 (version 3" in decide()
    assert champion(client) == "2"

    run_promote("--rollback", "terrain")
    assert champion(client) == "1"
    assert "previous" not in client.get_registered_model(NAME).aliases
    with pytest.raises(SystemExit) as ended:
        run_promote("--rollback", "terrain")
    assert ended.value.code == (
        f"promote: {NAME} has no former champion to go back to; promote another one with --version N"
    )
    assert champion(client) == "1"

    run_promote("--version", "2", "terrain")  # a person's choice, which the rule likes: nothing speaks against it
    assert decision()["reason"] == "a person chose it"
    assert (champion(client), previous(client)) == ("2", "1")
    assert "pennet.rejected" in tags(client, "1")
    assert "pennet.rejected" not in tags(client, "2")
    run_promote("--version", "3", "terrain")
    assert (champion(client), previous(client)) == ("3", "2")
    run_promote("--rollback", "terrain")
    assert champion(client) == "2"


def test_a_version_keeps_its_decision_when_it_is_recorded_again_and_fits_its_page(client: mlflow.MlflowClient) -> None:
    train(0.5)
    decide()
    decided = client.get_model_version(NAME, "1").description.partition("## Promotion")[2]
    assert "**first**: there was no champion" in decided
    client.delete_tag(the_run().info.run_id, RECORDED_TAG)
    record(*TRIAL, store())
    version = client.get_model_version(NAME, "1")
    assert version.description.partition("## Promotion")[2] == decided
    assert len(version.description) <= 5000
    assert champion(client) == "1"


def test_what_cannot_be_decided_is_one_message(client: mlflow.MlflowClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert failure() == (
        f"promote: {NAME} has no version in {here()}; run `dvc repro` and `python -m pipelines.record` first"
    )
    train(0.6)
    decide()
    assert failure("mars") == "promote: 'mars' is not one of datasets (terrain)"
    assert failure("--version", "9", "terrain") == f"promote: {NAME} has no version '9'; known are 1"

    write_painter(Path(), 0.5)
    assert "pennet (seed 2019) is not recorded; gntipt (seed 2019) is not trained; run `dvc repro` and" in failure()
    record(*TRIAL, store())
    known = {weights_digest(path): path for path in Path("mlruns").rglob("generator.safetensors")}
    lost = known[tags(client, "1")["pennet.weights"]]
    kept = lost.read_bytes()
    lost.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    assert failure() == (
        f"promote: the champion cannot be compared: {NAME} version 1 cannot be loaded: its weights are not those that were"
        " recorded; roll back, or choose another one with --version N"
    )
    lost.unlink()
    assert f"promote: the champion cannot be compared: {NAME} version 1 cannot be loaded: " in failure()
    run_promote("--version", "2", "terrain")
    assert champion(client) == "2"
    assert decision()["left_out"][0].startswith(f"not compared: {NAME} version 1 cannot be loaded")

    change_params(Path(), {"promotion": {"better": ["fid"]}})
    assert "promotion.better: ['fid'] names 'fid', which is a metric of whole sets" in failure()
    for arguments in (["--rollback"], ["--version", "1"], ["--rollback", "--version", "1", "terrain"]):
        with pytest.raises(SystemExit) as ended:
            run_promote(*arguments)
        assert ended.value.code == 2


def test_without_validation_pictures_or_learned_methods_it_says_so(client: mlflow.MlflowClient, project: Path) -> None:
    train(0.5)
    shutil.rmtree(layout.prepared_dir("terrain"))
    picture = np.full((SIDE, SIDE, 3), 128, np.uint8)
    write_prepared(layout.prepared_dir("terrain"), train={"t.png": picture}, test={"a.png": picture})
    with pytest.raises(UserError, match=r"has no validation pictures; raise sources\.terrain\.val_ratio"):
        decide()
    change_params(project, {"methods": {"learned": []}, "tracking": {"uri": "sqlite:///nowhere/mlflow.db"}})
    assert decide() == "terrain: no learned method, nothing to promote"
    assert not Path("nowhere").exists()


def run_promote(*arguments: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["promote", *arguments])
        promote.main()


def failure(*arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        run_promote(*arguments)
    return str(ended.value.code)
