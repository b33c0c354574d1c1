import csv
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pennet.comparison.tables import costs_csv
from pennet.config import EvaluateConfig, MethodsConfig
from pennet.cost import Cost, write_cost
from pennet.metrics import features
from pennet.metrics.catalogue import find
from pennet.metrics.report import MetricResult, Report, read_reports
from pennet.pictures import GAP_PX
from pennet.source_figure import PANEL_PX, TITLE_PX, source_panel
from pipelines import compare, evaluate, layout, outputs
from pipelines.showcase import showcase
from pipelines.tracking import registry
from tests.configs import small_runtime
from tests.metrics.samples import noisy, pictures
from tests.prepared import write_prepared, write_test_masks

SIDE = 32
NAMES = ["0003", "0010", "0011", "0042", "0100"]
CONFIG = EvaluateConfig(
    bootstrap_resamples=100,
    seed=7,
    extractors=["efflite0"],
    weights_dir="weights",
    is_splits=2,
    kid_subsets=3,
    kid_subset_size=4,
    lpips_nets=[],
    batch_size=2,
    sheet_images=3,
)
RUNTIME = small_runtime()
SEED = 5
COST = Cost(parameters=10, training_parameters=20, steps=3, budget="steps", minutes=0.0)
METHODS = MethodsConfig(learned=["pennet"], classical=["telea"])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set `d` with the outputs of two methods; telea's are noisier."""
    monkeypatch.chdir(tmp_path)
    images = pictures(len(NAMES), SIDE, SIDE)
    masks = np.zeros((len(NAMES), SIDE, SIDE), np.uint8)
    masks[:2, :8, :8] = 1
    masks[2:, 8:24, 8:24] = 1
    write_prepared(
        layout.prepared_dir("d"),
        train={"0000.png": 255 - images[0]},
        test={f"{name}.png": image for name, image in zip(NAMES, images, strict=True)},
    )
    write_test_masks(layout.masks_dir("d"), NAMES, centre=masks)
    for method, seed, sigma in (("pennet", SEED, 10), ("telea", None, 30)):
        predictions = noisy(images, sigma)
        for kind, pictures_ in (
            ("prediction", predictions),
            ("composite", np.where(masks[..., None] == 1, predictions, images)),
        ):
            folder = layout.filled_dir("d", method, seed, "centre") / kind
            folder.mkdir(parents=True)
            for name, picture in zip(NAMES, pictures_, strict=True):
                Image.fromarray(picture).save(folder / f"{name}.png")
    return tmp_path


def _evaluate(method: str) -> Path:
    seed = SEED if method in METHODS.learned else None
    evaluate.run("d", method, seed, evaluate=CONFIG, runtime=RUNTIME)
    return layout.report_dir("d", method, seed)


def _report(path: Path) -> Report:
    (report,) = read_reports(path).values()
    return report


def _train_record() -> None:
    """What the train stage leaves beside the metrics."""
    folder = layout.report_dir("d", "pennet", SEED)
    write_cost(folder / "cost.json", COST)
    (folder / "history.csv").write_text("step,hole,generator\n1,0.5,0.7\n2,0.4,0.6\n")


def test_evaluate_writes_report_table_and_sheet(project: Path) -> None:
    folder = _evaluate("pennet")
    assert sorted(path.name for path in folder.iterdir()) == ["metrics.json", "per_image.csv", "report.json", "sheet.png"]
    report = _report(folder / "report.json")
    assert report.num_images == len(NAMES)
    assert {name: b.n for name, b in report.bins.items()} == {"1-10%": 2, "20-30%": 3}
    with (folder / "per_image.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == NAMES
    assert [float(row["hole_ratio"]) for row in rows] == [64 / 1024] * 2 + [0.25] * 3
    images = outputs.test_set("d", "centre").images
    composite = np.array(Image.open(layout.filled_dir("d", "pennet", SEED, "centre") / "composite" / "0042.png"))
    expected = np.abs(composite / 255.0 - images[3] / 255.0).mean()
    assert float(rows[3]["l1"]) == pytest.approx(expected, abs=1e-9)


def test_evaluate_leaves_dvc_a_flat_file_of_rounded_values(project: Path) -> None:
    folder = _evaluate("pennet")
    values = json.loads((folder / "metrics.json").read_text())
    report = _report(folder / "report.json")
    assert values == {
        key: round(result.value, find(key).digits) for key, result in report.overall.items() if result.value is not None
    }
    assert {"l1_hole", "psnr", "seam", "fid_efflite0"} <= values.keys()
    assert len(values) <= 15


def test_evaluate_leaves_out_a_metric_without_a_value(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "INCEPTION_URL", "http://127.0.0.1:1/refused")
    evaluate.run("d", "telea", evaluate=dataclasses.replace(CONFIG, extractors=["inception"]), runtime=RUNTIME)
    folder = layout.report_dir("d", "telea", None)
    assert _report(folder / "report.json").overall["fid_inception"].status.startswith("unavailable: ")
    assert not any("inception" in key for key in json.loads((folder / "metrics.json").read_text()))


def test_evaluate_downloads_the_weights_into_their_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(features, "download", lambda url, path, *rest: asked.append(path))
    evaluate.run("d", "telea", evaluate=dataclasses.replace(CONFIG, extractors=["inception"]), runtime=RUNTIME)
    assert asked == [Path("weights") / features.INCEPTION_FILE]


def test_evaluate_sheet_shows_input_prediction_composite_and_truth(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    def sheet(rows: list[list[np.ndarray]], titles: list[str]) -> np.ndarray:
        shown.append((rows, titles))
        return np.zeros((4, 4, 3), np.uint8)

    monkeypatch.setattr("pennet.pictures.sheet", sheet)
    _evaluate("pennet")
    ((rows, titles),) = shown
    assert titles == ["input", "prediction", "composite", "ground truth"]
    assert len(rows) == CONFIG.sheet_images
    masked, prediction, composite, truth = rows[0]
    hole = outputs.test_set("d", "centre").masks[0] == 1
    assert np.all(masked[hole] == 255)
    np.testing.assert_array_equal(masked[~hole], truth[~hole])
    np.testing.assert_array_equal(composite[hole], prediction[hole])
    np.testing.assert_array_equal(composite[~hole], truth[~hole])


def test_evaluate_writes_the_same_bytes_again(project: Path) -> None:
    first = {path.name: path.read_bytes() for path in _evaluate("pennet").iterdir()}
    assert {path.name: path.read_bytes() for path in _evaluate("pennet").iterdir()} == first


def test_evaluate_without_a_composite_names_it(project: Path) -> None:
    (layout.filled_dir("d", "pennet", SEED, "centre") / "composite" / "0011.png").unlink()
    with pytest.raises(ValueError, match=r"composite: lacks 1 pictures \(0011.png\); run inpaint again"):
        _evaluate("pennet")
    assert not layout.report_dir("d", "pennet", SEED).exists()


def test_evaluate_with_a_composite_of_another_size_names_it(project: Path) -> None:
    Image.new("RGB", (8, 8)).save(layout.filled_dir("d", "pennet", SEED, "centre") / "composite" / "0011.png")
    with pytest.raises(ValueError, match=r"0011.png: has shape \(8, 8, 3\)"):
        _evaluate("pennet")
    assert not layout.report_dir("d", "pennet", SEED).exists()


def test_compare_writes_json_csv_and_markdown(project: Path) -> None:
    for method in METHODS.all:
        _evaluate(method)
    _train_record()
    compare.run("d", seeds=[SEED], methods=METHODS, evaluate=CONFIG)
    folder = layout.comparison_dir("d")
    content = json.loads((folder / "comparison.json").read_text())
    assert content["reference"] == "pennet"
    assert [section["name"] for section in content["sections"]] == ["overall", "1-10%", "20-30%"]
    entries = content["sections"][0]["entries"]["l1_hole"]
    assert [entries[m]["rank"] for m in ("pennet", "telea")] == [1, 2]
    assert entries["telea"]["difference"]["mean"] > 0
    assert entries["pennet"]["difference"] is None
    assert content["sections"][0]["entries"]["fid_efflite0"]["telea"]["difference"] is None
    assert content["costs"]["pennet"] == [dataclasses.asdict(COST)]
    text = (folder / "comparison.md").read_text()
    assert "| pennet | **" in text
    assert "Budget: the same number of generator steps for every learned method, 3." in text
    assert "| pennet | 10 | 20 | 3 |" in text
    for name in ("metrics.png", "curves.png"):
        with Image.open(layout.plots_dir("d") / name) as plot:
            assert np.asarray(plot.convert("L")).std() > 5  # something is drawn
    with Image.open(folder / "side_by_side.png") as sheet:
        assert sheet.size[0] >= 4 * 128
    assert not (folder / "sources.png").exists()  # neither method copies pixels
    with (folder / "comparison.csv").open(newline="") as file:
        assert {row["method"] for row in csv.DictReader(file)} == {"pennet", "telea"}
    with (folder / "costs.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["method"], row["seed"], row["steps"]) == ("pennet", str(SEED), "3")
    summary = json.loads(layout.summary_path("d").read_text())
    assert summary == {"pennet": {name: entry["pennet"]["result"]["value"] for name, entry in _families(content).items()}}
    with layout.metrics_table("d").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "L1 in the hole ↓"]
    assert {row["method"]: float(row["value"]) for row in rows} == {m: entries[m]["result"]["value"] for m in entries}


def _compare() -> dict[str, np.ndarray]:
    compare.run("d", seeds=[SEED], methods=METHODS, evaluate=CONFIG)
    return {path.name: np.asarray(Image.open(path)) for path in layout.comparison_dir("d").glob("*.png")}


def test_compare_shows_few_pictures_at_a_glance_three_times_as_large(project: Path) -> None:
    for method in METHODS.all:
        _evaluate(method)
    _train_record()
    made = _compare()["at_a_glance.png"]
    _, images, masks = outputs.test_set("d", "centre")
    shown = showcase(images)
    factor = compare.GLANCE_CELL_PX // SIDE
    cell = SIDE * factor + GAP_PX
    assert made.shape == (compare.GLANCE_TITLE_PX + len(shown) * cell, 4 * cell, 3)
    for row, i in enumerate(shown):
        composites = [
            np.asarray(Image.open(layout.filled_dir("d", method, seed, "centre") / "composite" / f"{NAMES[i]}.png"))
            for method, seed in (("pennet", SEED), ("telea", None))
        ]
        holed = np.where(masks[i][..., None] == 1, np.uint8(255), images[i])
        for column, picture in enumerate([holed, *composites, images[i]]):
            top, left = compare.GLANCE_TITLE_PX + row * cell, column * cell
            enlarged = made[top : top + SIDE * factor, left : left + SIDE * factor]
            assert np.array_equal(enlarged, np.kron(picture, np.ones((factor, factor, 1), np.uint8)))


def test_compare_draws_the_sources_of_the_methods_that_have_them(project: Path) -> None:
    for method in METHODS.all:
        _evaluate(method)
    _train_record()
    without = _compare()
    _, images, masks = outputs.test_set("d", "centre")
    shown = showcase(images)
    folder = layout.sources_dir("d", "pennet", SEED, "centre")
    folder.mkdir()
    sources = {i: np.indices(masks[i].shape) - np.where(masks[i] == 1, 8, 0) for i in shown}
    for i in shown:
        np.save(folder / f"{NAMES[i]}.npy", sources[i].clip(0).astype(np.int16))
    made = _compare()
    assert set(made) - set(without) == {"sources.png"}
    assert all(np.array_equal(made[name], without[name]) for name in without)
    cell = PANEL_PX + GAP_PX
    assert made["sources.png"].shape == (TITLE_PX + len(shown) * cell, 3 * cell, 3)
    for row, i in enumerate(shown):
        top = TITLE_PX + row * cell
        panel = made["sources.png"][top : top + PANEL_PX, 2 * cell : 2 * cell + PANEL_PX]
        assert np.array_equal(panel, source_panel(images[i], masks[i], sources[i].clip(0)))
    first = {path.name: path.read_bytes() for path in layout.comparison_dir("d").iterdir()}
    _compare()
    assert {path.name: path.read_bytes() for path in layout.comparison_dir("d").iterdir()} == first


def _families(content: dict) -> dict[str, dict]:
    """The summary's metrics in comparison.json: LPIPS was not asked for."""
    entries = content["sections"][0]["entries"]
    return {"l1_hole": entries["l1_hole"], "fid": entries["fid_efflite0"]}


def test_mlflow_gets_values_spreads_counts_and_statuses(project: Path) -> None:
    report = _report(_evaluate("pennet") / "report.json")
    lacking = MetricResult("lpips_alex", None, None, 0, None, None, "lower", "alex", [], "unavailable: no weights")
    report = dataclasses.replace(report, overall=report.overall | {"lpips_alex": lacking})
    values = registry.test_values({"centre": report})
    for name in ("is_efflite0", "kid_efflite0"):
        assert values[f"test/{name}_std"] == report.overall[name].std
    assert "test/fid_efflite0_std" not in values
    assert values["test/psnr_ci_low"] == report.overall["psnr"].ci_low
    assert not any("lpips" in name for name in values)
    assert registry.test_statuses({"centre": report}) == {"test.lpips_alex.status": "unavailable: no weights"}


def test_compare_shows_the_best_the_middle_and_the_worst_of_the_reference() -> None:
    assert compare._best_middle_worst(np.array([5.0, 1, 7, 3, 2, 6, 4])) == [1, 4, 3, 6, 5, 2]
    assert sorted(compare._best_middle_worst(np.array([3.0, 1, 2]))) == [0, 1, 2]


def test_compare_without_pennet_measures_from_the_first_method(project: Path) -> None:
    _evaluate("telea")
    compare.run("d", seeds=[SEED], methods=MethodsConfig(learned=[], classical=["telea"]), evaluate=CONFIG)
    assert json.loads((layout.comparison_dir("d") / "comparison.json").read_text())["reference"] == "telea"


def test_compare_before_evaluation_names_the_missing_file(project: Path) -> None:
    _evaluate("pennet")
    with pytest.raises(OSError, match=r"telea/report\.json"):
        compare.run("d", seeds=[SEED], methods=METHODS, evaluate=CONFIG)


def test_costs_csv_has_a_line_for_each_training() -> None:
    costs = {"pennet": [COST, dataclasses.replace(COST, steps=5)], "ca": [COST, COST]}
    table = pd.read_csv(io.StringIO(costs_csv(costs, [3, 4])))
    assert list(table.columns) == ["method", "seed", *dataclasses.asdict(COST)]
    assert table[["method", "seed"]].to_numpy().tolist() == [["pennet", 3], ["pennet", 4], ["ca", 3], ["ca", 4]]
    assert table["steps"].tolist() == [3, 5, 3, 3]
    assert table["steps"].dtype == np.int64
    assert list(pd.read_csv(io.StringIO(costs_csv({}, [3]))).columns) == ["method", "seed"]
