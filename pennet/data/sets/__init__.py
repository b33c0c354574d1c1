"""The data sets that there are: those of the paper, the one that comes with the project, and people's own.

An entry says what its data set is and reads its archives; cards, splits and commands follow from it.
"""

from __future__ import annotations

from pennet.data.sets.celebahq import CELEBAHQ
from pennet.data.sets.dtd import DTD
from pennet.data.sets.facade import FACADE
from pennet.data.sets.folder import FOLDER
from pennet.data.sets.hub import HUB
from pennet.data.sets.places2 import PLACES2
from pennet.data.sets.spec import DataSet
from pennet.data.sets.terrain import TERRAIN
from pennet.errors import UserError

DATA_SETS: tuple[DataSet, ...] = (
    TERRAIN,
    FACADE,
    DTD,
    CELEBAHQ,
    PLACES2,
    FOLDER,
    HUB,
)


def data_sets() -> dict[str, DataSet]:
    """All of them, by name."""
    return {data_set.name: data_set for data_set in DATA_SETS}


def find(name: str) -> DataSet:
    """The data set of a name.

    Raises:
        UserError: there is none; names those that there are.
    """
    if name not in data_sets():
        raise UserError(f"data set {name!r} is not known; known are {', '.join(data_sets())}")
    return data_sets()[name]
