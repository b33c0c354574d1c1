"""Two test protocols through all stages: each has the figures that it has alone, the first is the headline."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pennet.config import MethodsConfig
from pennet.metrics.per_image import read_per_protocol
from pennet.metrics.report import read_reports
from pipelines import compare, evaluate, inpaint_classical, layout, masks, outputs, readme
from pipelines.tracking.descriptions import version_note
from pipelines.tracking.registry import test_statuses as statuses
from pipelines.tracking.registry import test_values as values
from tests.configs import small_masks
from tests.metrics.samples import pictures
from tests.pipelines.test_evaluate import CONFIG, RUNTIME
from tests.prepared import write_prepared

SIDE = 32
NAMES = ["a.b", "more/é", "more/a.b", "0004", "0005", "0006", "0007"]
METHODS = MethodsConfig(learned=[], classical=["telea", "mean"])
BOTH = ["centre", "irregular"]


def make(folder: Path, protocols: list[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set `d` with test pictures alone, filled and compared under the protocols."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    images = pictures(len(NAMES), SIDE, SIDE)
    write_prepared(layout.prepared_dir("d"), test={f"{name}.png": image for name, image in zip(NAMES, images, strict=True)})
    masks.run("d", masks=small_masks(*protocols, seed=3))
    for method in METHODS.all:
        inpaint_classical.run("d", method)
        evaluate.run("d", method, evaluate=CONFIG, runtime=RUNTIME)
    compare.run("d", seeds=[1], methods=METHODS, evaluate=CONFIG)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both together, and each alone."""
    folder = tmp_path_factory.mktemp("protocols")
    with pytest.MonkeyPatch.context() as patched:
        return {
            "+".join(protocols): make(folder / "+".join(protocols), protocols, patched)
            for protocols in (BOTH, ["centre"], ["irregular"])
        }


@pytest.fixture
def both(made: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made["centre+irregular"])
    return made["centre+irregular"]


def report_dir(folder: Path, method: str = "telea") -> Path:
    return folder / layout.report_dir("d", method, None)


def content(folder: Path) -> dict[str, Any]:
    return json.loads((folder / layout.comparison_dir("d") / "comparison.json").read_text())


def text(folder: Path) -> str:
    return (folder / layout.comparison_dir("d") / "comparison.md").read_text()


def test_pictures_and_scores_of_a_protocol_are_those_that_it_has_alone(made: dict[str, Path], both: Path) -> None:
    for protocol in BOTH:
        alone = made[protocol]
        for method in METHODS.all:
            painted = layout.filled_dir("d", method, None, protocol)
            found = {path.relative_to(both / painted).as_posix() for path in (both / painted).rglob("*.png")}
            assert found == {f"{kind}/{name}.png" for kind in ("prediction", "composite") for name in NAMES}
            assert all((both / painted / name).read_bytes() == (alone / painted / name).read_bytes() for name in found)
            paths = [report_dir(folder, method) / "report.json" for folder in (both, alone)]
            assert read_reports(paths[0])[protocol] == read_reports(paths[1])[protocol]
            tables = [read_per_protocol(path.with_name("per_image.csv"))[protocol] for path in paths]
            assert tables[0].names == tables[1].names == NAMES
            np.testing.assert_equal(tables[0].values, tables[1].values)
    assert list(read_reports(report_dir(both) / "report.json")) == BOTH
    holes = {protocol: outputs.test_set("d", protocol).masks for protocol in BOTH}
    assert not np.array_equal(holes["centre"][0], holes["irregular"][0])


def test_sections_of_the_comparison_are_those_of_each_alone(made: dict[str, Path], both: Path) -> None:
    sections = content(both)["sections"]
    assert sections == [section for protocol in BOTH for section in content(made[protocol])["sections"]]
    assert [section["name"] for section in sections if section["protocol"] == "centre"] == ["overall"]
    assert len([section for section in sections if section["protocol"] == "irregular"]) > 2  # with its bins
    lines = (both / layout.comparison_dir("d") / "comparison.csv").read_text().splitlines()
    alone = [(made[p] / layout.comparison_dir("d") / "comparison.csv").read_text().splitlines() for p in BOTH]
    assert lines == [*alone[0], *alone[1][1:]]


def test_tables_have_a_row_group_for_each_protocol(made: dict[str, Path], both: Path) -> None:
    chapters = text(both).split("\n## ")
    assert [chapter.partition("\n")[0] for chapter in chapters[1:3]] == ["All images", "Hole ratio 1-10%"]
    tables = [table.splitlines() for table in chapters[1].split("\n\n") if table.startswith("| method")]
    alone = [[t for t in text(made[p]).split("\n\n") if t.startswith("| method")] for p in BOTH]
    assert len(tables) == 3  # values, differences, ranks
    for place, table in enumerate(tables):
        centre, irregular = (of_protocol[place].splitlines() for of_protocol in alone)
        groups = [line for line in table if line.startswith("| *")]
        assert [group.strip("| ") for group in groups] == ["*centre*", "*irregular*"]
        assert table == [*centre[:2], groups[0], *centre[2:], groups[1], *irregular[2:]]
        assert len({line.count("|") for line in table}) == 1
    assert "*irregular*" in chapters[2]
    assert "*centre*" not in chapters[2]
    assert readme.results(["d"]).count("| *irregular* |") == 1


def test_one_protocol_is_not_named_in_the_tables(made: dict[str, Path]) -> None:
    assert "centre" not in text(made["centre"])
    assert "irregular" not in text(made["irregular"])


def test_the_first_protocol_is_the_headline(made: dict[str, Path], both: Path) -> None:
    """What DVC shows, the plots and the pictures without a protocol in their names are its own."""
    for path in (
        layout.summary_path("d"),
        layout.metrics_table("d"),
        layout.plots_dir("d") / "metrics.png",
        report_dir(Path()) / "metrics.json",
        *(layout.comparison_dir("d") / name for name in ("side_by_side.png", "at_a_glance.png", "costs.csv")),
    ):
        assert (both / path).read_bytes() == (made["centre"] / path).read_bytes()
    for name in ("side_by_side", "at_a_glance"):
        other = both / layout.comparison_dir("d") / f"{name}-irregular.png"
        assert other.read_bytes() == (made["irregular"] / layout.comparison_dir("d") / f"{name}.png").read_bytes()


def test_sheet_shows_the_pictures_of_each_protocol(made: dict[str, Path], both: Path) -> None:
    sheets = [np.asarray(Image.open(report_dir(folder) / "sheet.png")) for folder in (made[BOTH[0]], made[BOTH[1]])]
    together = np.asarray(Image.open(report_dir(both) / "sheet.png"))
    assert np.array_equal(together[: len(sheets[0])], sheets[0])
    added = len(together) - len(sheets[0])
    assert np.array_equal(together[-added:], sheets[1][-added:])


def test_mlflow_gets_the_headline_under_its_plain_name_and_others_under_theirs(both: Path) -> None:
    reports = read_reports(report_dir(both) / "report.json")
    found = values(reports)
    for name, result in reports["centre"].overall.items():
        assert found.get(f"test/{name}") == result.value
    for name, result in reports["irregular"].overall.items():
        assert found.get(f"test/irregular/{name}") == result.value
        assert found.get(f"test/irregular/{name}_ci_low") == result.ci_low
    assert found.keys() == values({"centre": reports["centre"]}).keys() | {
        n for n in found if n.startswith("test/irregular/")
    }
    lacking = {key for of in reports.values() for key, result in of.overall.items() if result.status != "ok"}
    assert statuses(reports).keys() == {f"test.{p}{key}.status" for p in ("", "irregular.") for key in lacking}
    note = version_note("1", "2", "d", "telea", None, reports, None)
    l1 = [f"{of.overall['l1_hole'].value:.4g}" for of in reports.values()]
    assert f"no training: `centre` l1_hole {l1[0]}" in note
    assert f"; `irregular` l1_hole {l1[1]}" in note
    assert note.count(f"on {len(NAMES)} test pictures") == 1


def test_methods_scored_under_other_protocols_are_refused(
    made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path / "d", BOTH, monkeypatch)
    masks.run("d", masks=small_masks("centre", seed=3))
    evaluate.run("d", "mean", evaluate=CONFIG, runtime=RUNTIME)
    with pytest.raises(ValueError, match="mean was scored under centre, telea under centre, irregular; evaluate both again"):
        compare.run("d", seeds=[1], methods=METHODS, evaluate=CONFIG)
    assert "*irregular*" in text(folder)
