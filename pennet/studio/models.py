"""The models that the page offers, each loaded when somebody first asks for it."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path

from pennet.errors import UserError
from pennet.generator_files import CONFIG_FILE, WEIGHTS_FILE
from pennet.inpainter import DEFAULT_MODEL, Inpainter
from pennet.methods import classical_methods

NEEDS = {"telea": "cv2", "biharmonic": "skimage", "patchmatch": "patchmatch"}
"""The module without which a classical method does not run."""
TRAINED_IN_CHECKOUT = Path("models")


class Models:
    """Inpainters by the name that visitors see.

    Args:
        given: folders or files that the person who starts the page names; they come first.
        checkout: where trained models are looked for; what is not there is none.
        device: of all of them.

    Raises:
        UserError: a given model does not exist.
    """

    def __init__(self, given: Sequence[Path] = (), checkout: Path = TRAINED_IN_CHECKOUT, device: str = "auto"):
        if missing := [path for path in given if not path.exists()]:
            raise UserError(f"--model {missing[0]}: no such file or folder; give the folder of a trained generator")
        trained = {_short(path, given): path for path in given}
        for weights in sorted(checkout.glob(f"**/{WEIGHTS_FILE}")):
            if (weights.parent / CONFIG_FILE).is_file() and weights.parent not in given:
                trained[weights.parent.relative_to(checkout).as_posix()] = weights.parent
        self._trained: dict[str, str | Path] = {DEFAULT_MODEL: DEFAULT_MODEL, **trained}
        installed = [name for name in classical_methods() if importlib.util.find_spec(NEEDS.get(name, "numpy"))]
        self._all = self._trained | {name: name for name in installed}
        self._device = device
        self._loaded: dict[str, Inpainter] = {}
        self._loading = threading.Lock()

    @property
    def names(self) -> list[str]:
        """Of all models, the learned ones first."""
        return list(self._all)

    @property
    def learned_names(self) -> list[str]:
        """Of those that were trained."""
        return list(self._trained)

    def inpainter(self, name: str) -> Inpainter:
        """The model of a name, loaded once.

        Raises:
            UserError: it cannot be loaded.
        """
        with self._loading:
            if name not in self._loaded:
                self._loaded[name] = Inpainter(self._all[name], self._device)
            return self._loaded[name]


def _short(path: Path, among: Sequence[Path]) -> str:
    """The end of a path that tells it apart from the others, at least its last two parts."""
    parts = path.resolve().parts
    for length in range(2, len(parts)):
        if sum(other.resolve().parts[-length:] == parts[-length:] for other in among) == 1:
            return "/".join(parts[-length:])
    return path.as_posix()
