"""How fast does the server answer, and does everybody get their own picture back?

    python -m benchmarks.serving --clients 8 --requests 200
    python -m benchmarks.serving --model models:/inpainting-terrain@champion

Starts a server on a free port of this machine and lets clients ask it at once, each as fast as it is answered: one picture
as a form, two as a form, one in MLflow's JSON, of sizes from 64 to 256 px. Every answer must be, byte for byte, what the
same model makes of the same picture without a server, known pixels the sender's own. Prints p50, p95 and pictures a second.
Without `--model` it serves the untrained generator of a recipe of params.yaml: weights do not change how long it takes.
"""

from __future__ import annotations

import argparse
import base64
import io
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
from PIL import Image

from pennet.config import MethodConfig
from pennet.errors import UserError
from pennet.images import Picture
from pennet.masks.centre import centre_square
from pennet.picture_pairs import png
from pipelines.loopback import answers
from pipelines.params import load_params
from pipelines.process import child

DISTINCT = 24
"""Different pictures; more requests ask for them again, in turns."""
START_SECONDS, ANSWER_SECONDS = 300, 300
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true"}
SIDES_PX = (64, 256)


class Job(NamedTuple):
    """A request, and what its answer must be."""

    form: str
    """`form` or `json`."""
    pictures: list[Picture]
    masks: list[Picture]
    expected: list[Picture]


class Result(NamedTuple):
    """Of all requests together."""

    seconds: list[float]
    """From sending a request to its whole answer."""
    num_pictures: int
    wall_seconds: float
    num_refused: int
    """Answers "come again", after which it was asked again."""

    def text(self) -> str:
        p50, p95 = np.percentile(self.seconds, [50, 95])
        rate = self.num_pictures / self.wall_seconds
        return f"p50 {p50:.3f} s, p95 {p95:.3f} s, {rate:.1f} images/s; {self.num_refused} told to come again"


def register_untrained(recipe: MethodConfig, folder: Path, name: str) -> str:
    """Registers a generator with random weights, as champion, in a new store in a folder; returns the store's URI."""
    import mlflow
    import torch

    from pennet.generator_files import save_generator
    from pennet.methods import build_generator
    from pennet.models.initialisation import initialise
    from pipelines.tracking import registered_model
    from pipelines.tracking.registry import signature

    torch.manual_seed(0)
    generator = build_generator(recipe)
    initialise(generator, "kaiming")
    save_generator(generator, recipe, folder / "generator")
    store = f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(store)
    experiment = mlflow.create_experiment(name, artifact_location=str(folder / "artifacts"))
    with mlflow.start_run(experiment_id=experiment):
        info = mlflow.pyfunc.log_model(
            name="generator",
            python_model=registered_model.__file__,
            artifacts={"model_dir": str(folder / "generator")},
            code_paths=[str(Path(__file__).parents[1] / "pennet")],
            signature=signature(),
            pip_requirements=["torch"],
            registered_model_name=name,
        )
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", str(info.registered_model_version))
    return store


@contextmanager
def server(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server of its own process; yields its address and the process, and ends it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "pipelines.serving", "--port", str(port), *arguments]
    with tempfile.TemporaryFile("w+") as log, child(command, stdout=log.fileno(), variables=QUIET) as process:
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"{url}/health"):
            if process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                raise UserError(f"the server did not start: {log.read()[-2000:]}")
            time.sleep(0.1)
        yield url, process


def draw_pairs(count: int, sides_px: tuple[int, int]) -> list[tuple[Picture, Picture]]:
    """Different pictures of different sizes, each with a hole in its centre."""
    pairs = []
    for seed in range(count):
        rng = np.random.default_rng([7, seed])
        height, width = rng.integers(*sides_px, size=2, endpoint=True)
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        smooth = np.array(coarse.resize((int(width), int(height)), Image.Resampling.BICUBIC))
        noise = rng.integers(0, 16, smooth.shape, dtype=np.uint8)
        pairs.append((np.clip(smooth, 0, 239) + noise, centre_square(rng, int(height), int(width))))
    return pairs


def plan(pairs: Sequence[tuple[Picture, Picture]], filled: Sequence[Picture], count: int) -> list[Job]:
    """Requests in turns: three of one picture, one of two, one in JSON."""
    jobs = []
    for number in range(count):
        places = [(number + further) % len(pairs) for further in range(2 if number % 5 == 3 else 1)]
        images, masks = zip(*(pairs[place] for place in places), strict=True)
        form = "json" if number % 5 == 4 else "form"
        jobs.append(Job(form, list(images), list(masks), [filled[place] for place in places]))
    return jobs


def ask(client: httpx.Client, job: Job) -> tuple[float, int]:
    """Asks until it is answered; returns the seconds of the last try and how often it was told to come again.

    Raises:
        AssertionError: the answer is not this job's.
    """
    images = [png(image) for image in job.pictures]
    masks = [png(255 * mask) for mask in job.masks]
    refused = 0
    while True:
        start = time.perf_counter()
        answer = _posted(client, job.form, images, masks)
        seconds = time.perf_counter() - start
        if answer.status_code != 503:
            break
        refused += 1
        time.sleep(float(answer.headers["retry-after"]))
    assert answer.status_code == 200, answer.text
    got = _pictures(job, answer)
    assert len(got) == len(job.expected)
    for picture, image, mask, expected in zip(got, job.pictures, job.masks, job.expected, strict=True):
        assert np.array_equal(picture[mask == 0], image[mask == 0]), "known pixels are not the sender's own"
        assert np.array_equal(picture, expected), "the hole is not what the model makes of it"
    return seconds, refused


def _posted(client: httpx.Client, form: str, images: list[bytes], masks: list[bytes]) -> httpx.Response:
    columns = {"image": images, "mask": masks}
    if form == "form":
        return client.post("/inpaint", files=[(name, (f"{name}.png", file)) for name in columns for file in columns[name]])
    inputs = {name: [base64.b64encode(file).decode() for file in files] for name, files in columns.items()}
    return client.post("/invocations", json={"inputs": inputs})


def _pictures(job: Job, answer: httpx.Response) -> list[Picture]:
    if job.form == "json":
        files = [base64.b64decode(text) for text in answer.json()["predictions"]]
    elif len(job.pictures) == 1:
        files = [answer.content]
    else:
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            files = [archive.read(name) for name in archive.namelist()]
    return [np.array(Image.open(io.BytesIO(file))) for file in files]


def load(url: str, jobs: Sequence[Job], num_clients: int) -> Result:
    """Clients that ask at once, each one request after the other, until all jobs are done.

    Raises:
        AssertionError: an answer was lost, or was not its asker's.
    """

    def work(mine: Sequence[Job]) -> list[tuple[float, int]]:
        with httpx.Client(base_url=url, timeout=ANSWER_SECONDS, trust_env=False) as client:
            return [ask(client, job) for job in mine]

    start = time.perf_counter()
    with ThreadPoolExecutor(num_clients) as clients:
        answered = [
            one for many in clients.map(work, [jobs[place::num_clients] for place in range(num_clients)]) for one in many
        ]
    wall_seconds = time.perf_counter() - start
    assert len(answered) == len(jobs)
    seconds, refused = zip(*answered, strict=True)
    return Result(list(seconds), sum(len(job.pictures) for job in jobs), wall_seconds, sum(refused))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--model", help="models:/NAME@ALIAS in the store of params.yaml, instead of an untrained generator")
    parser.add_argument("--recipe", default="pennet", help="of params.yaml, for the untrained generator")
    arguments = parser.parse_args()
    try:
        run(arguments)
    except (UserError, OSError) as error:
        sys.exit(f"serving: {error}")


def run(arguments: argparse.Namespace) -> None:
    """Measures and prints."""
    from pennet.seeding import apply_runtime
    from pipelines.tracking.served import load_served

    params = load_params()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.model:
            model, store = arguments.model, params.tracking.uri
        else:
            model = "models:/untrained@champion"
            store = register_untrained(params.recipes[arguments.recipe], Path(folder), "untrained")
        pairs = draw_pairs(min(DISTINCT, arguments.requests), SIDES_PX)
        served = load_served(model, store, apply_runtime(params.runtime))
        start = time.perf_counter()
        filled = [served.fill(image, mask) for image, mask in pairs]
        alone = len(pairs) / (time.perf_counter() - start)
        jobs = plan(pairs, filled, arguments.requests)
        with server("--model", model, "--store", store) as (url, _):
            result = load(url, jobs, arguments.clients)
    what = f"{arguments.requests} requests of {arguments.clients} clients, {SIDES_PX[0]} to {SIDES_PX[1]} px"
    print(f"{model} on {served.about['device']}, {what}: {result.text()}")
    print(f"without a server, one after the other: {alone:.1f} images/s; all answers right")


if __name__ == "__main__":
    main()
