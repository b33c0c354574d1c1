"""Who runs which tests of `make test`."""

import re

from tests.project import ROOT
from tests.scheduling import DEMO_TESTS, ByFile


def test_all_tests_of_the_demo_are_one_piece_of_work_and_others_one_a_file() -> None:
    scope = ByFile.__new__(ByFile)._split_scope
    assert scope(f"{DEMO_TESTS}test_a.py::test[a::b]") == scope(f"{DEMO_TESTS}test_b.py::test") == DEMO_TESTS
    assert scope("tests/data/test_a.py::test[a::b]") == "tests/data/test_a.py"


def test_no_other_test_takes_the_demo() -> None:
    """A second worker would make it again."""
    takes = re.compile(r"^def \w+\([^)]*\b(demo|experiment)\b", re.MULTILINE)
    users = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py") if takes.search(path.read_text())]
    assert {name for name in users if not name.startswith(DEMO_TESTS)} == {"tests/conftest.py"}
