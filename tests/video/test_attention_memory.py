"""Attention that remembers: sources stay while noise would change them, move with the scene, and go with a cut."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pennet.inpainter import Inpainter
from pennet.models.pennet import PENNet
from pennet.video.attention_memory import BONUS, AttentionMemory, Choices, remembers
from pennet.video.calming import Calmed
from pennet.video.flicker import Flicker
from pennet.video.motion import Motion, Surroundings
from tests.video.clips import scene

HOLE = np.zeros((64, 96), bool)
HOLE[24:40, 40:56] = True
TWICE = np.tile(scene(64, 32, seed=3) // 2 + 64, (1, 3, 1))
"""What is around the hole is to the left and to the right, too; and within it, where nothing can be compared, two things."""
TWICE[28:36, 12:20], TWICE[28:36, 76:84] = 240, 20
STILL = Motion((0.0, 0.0), 1.0, np.ones(3, np.float32), 0.0)
AFFINITIES = ["picture", "cosine", "euclidean"]

Frame = NDArray[np.uint8]


def _inpainter(affinity: str) -> Inpainter:
    """An untrained generator, as sharp as the shipped one."""
    torch.manual_seed(0)
    generator = PENNet(
        num_levels=3,
        base_width=8,
        affinity=affinity,  # type: ignore[arg-type]
        softmax_scale=1000.0,
        dilations=(1,),
        full_resolution=True,
        fills=("features", "picture"),
        patch_sizes=(5, 5),
    )
    generator.start_from_copy()
    return Inpainter(generator, "cpu")


def _noisy(frame: Frame, count: int, sigma: float = 5.0) -> list[Frame]:
    rng = np.random.default_rng(1)
    return [(frame + rng.normal(0, sigma, frame.shape)).round().clip(0, 255).astype(np.uint8) for _ in range(count)]


def _run(memory: AttentionMemory, frames: Sequence[Frame]) -> tuple[list[Frame], float]:
    """The filled frames, and the share of the finest attention's cells that changed their source from frame to frame."""
    surroundings, filled, changed, asked = Surroundings(), [], 0, 0
    for frame in frames:
        filled.append(memory.fill(frame, HOLE, surroundings.step(frame, HOLE)))
        changed, asked = changed + memory.choices[0][-1].changed, asked + memory.choices[0][-1].asked
    return filled, changed / asked


def _flicker(frames: Sequence[Frame]) -> float:
    flicker = Flicker()
    for frame in frames:
        flicker.add(frame, HOLE)
    assert flicker.value is not None
    return flicker.value


@pytest.mark.parametrize("affinity", AFFINITIES)
def test_of_two_equal_sources_one_is_kept(affinity: str) -> None:
    inpainter, frames = _inpainter(affinity), _noisy(TWICE, 5)
    plain = [inpainter.fill(frame, HOLE.astype(np.uint8)).image for frame in frames]
    watched, often = _run(AttentionMemory(inpainter, bonus=0.0), frames)
    assert all((a == b).all() for a, b in zip(watched, plain, strict=True))  # to remember alone changes nothing
    calm, rarely = _run(AttentionMemory(inpainter), frames)
    assert often > 0.15
    assert rarely < 0.2 * often
    if affinity == "picture":  # untrained features share their mass among many, and an average is calm
        assert _flicker(calm) < _flicker(plain) - 0.5


def test_the_first_frame_and_a_cut_are_as_without_memory() -> None:
    inpainter = _inpainter("picture")
    memory, surroundings = AttentionMemory(inpainter), Surroundings()
    clip = [*_noisy(TWICE, 2), *_noisy(scene(64, 96, seed=7), 2)]
    same = []
    for frame in clip:
        plain = inpainter.fill(frame, HOLE.astype(np.uint8)).image
        same.append(bool((memory.fill(frame, HOLE, surroundings.step(frame, HOLE)) == plain).all()))
    assert same == [True, False, True, False]
    assert all(transfer.revise is None for transfer in inpainter.generator.transfers)  # type: ignore[union-attr]


def test_a_frame_without_a_hole_forgets() -> None:
    inpainter, (first, second) = _inpainter("picture"), _noisy(TWICE, 2)
    memory = AttentionMemory(inpainter)
    memory.fill(first, HOLE, None)
    assert (memory.fill(second, ~HOLE & False, STILL) == second).all()
    plain = inpainter.fill(second, HOLE.astype(np.uint8)).image
    assert (memory.fill(second, HOLE, STILL) == plain).all()


def test_choices_move_with_the_scene_by_whole_cells() -> None:
    choices = Choices(6, 8)
    choices.take(np.array([2 * 8 + 3]), np.array([4 * 8 + 1]))
    assert choices.source(np.array([2 * 8 + 3, 0])).tolist() == [4 * 8 + 1, -1]
    for _ in range(4):
        choices.move(np.array([0.0, 0.4]))  # 1.6 cells: two, and 0.4 too many
    assert choices.source(np.array([2 * 8 + 5])).tolist() == [4 * 8 + 3]
    assert choices.rest == pytest.approx([0.0, -0.4])
    choices.move(np.array([1.0, 0.0]))
    assert choices.source(np.array([3 * 8 + 5])).tolist() == [5 * 8 + 3]
    choices.move(np.array([1.0, 0.0]))
    assert choices.source(np.array([4 * 8 + 5])).tolist() == [-1]  # its source has left the picture


def test_a_pan_takes_the_sources_along() -> None:
    """The scene moves by a cell of the deepest attention a frame: what is remembered stays within its content."""
    wide, inpainter = np.tile(scene(64, 32, seed=3) // 2 + 64, (1, 6, 1)), _inpainter("picture")
    rng, left = np.random.default_rng(2), range(0, 48, 8)
    clip = [(wide[:, x : x + 96] + rng.normal(0, 5, (64, 96, 3))).round().astype(np.uint8) for x in left]
    shares = []
    for bonus in (0.0, BONUS):
        memory = AttentionMemory(inpainter, bonus=bonus)
        motions = [None, *[Motion((0.0, -8.0), 1.0, np.ones(3, np.float32), 0.0)] * (len(clip) - 1)]
        asked = changed = 0
        for frame, motion in zip(clip, motions, strict=True):
            memory.fill(frame, HOLE, motion)
            asked, changed = asked + memory.choices[0][-1].asked, changed + memory.choices[0][-1].changed
        shares.append(changed / asked)
    assert shares[1] < 0.5 * shares[0]


def test_a_window_that_moves_with_its_hole_keeps_its_sources() -> None:
    """A hole that moves with the scene: the window follows it, and nothing moves within the window."""
    inpainter = _inpainter("picture")
    inpainter.trained_size_px = 48
    frame, shares = np.tile(scene(96, 32, seed=3) // 2 + 64, (1, 5, 1)), []
    for bonus in (0.0, BONUS):
        memory, asked, changed = AttentionMemory(inpainter, bonus=bonus), 0, 0
        for i, noisy in enumerate(_noisy(frame, 4)):
            hole = np.zeros(frame.shape[:2], bool)
            hole[40:56, 40 + 8 * i : 56 + 8 * i] = True
            motion = STILL._replace(px=(0.0, 8.0)) if i else None
            memory.fill(np.roll(noisy, 8 * i, axis=1), hole, motion)
            asked, changed = asked + memory.choices[0][-1].asked, changed + memory.choices[0][-1].changed
            assert memory.windows[0][1:4] == (24 + 8 * i, 48, 48)
        shares.append(changed / asked)
    assert shares[1] < 0.5 * shares[0]


def test_where_it_sees_frames_smaller_they_are_averaged() -> None:
    """Details are carried up by a search that remembers nothing: what it finds is averaged over the frames."""
    inpainter, frames = _inpainter("picture"), _noisy(TWICE, 2)
    inpainter.trained_size_px = 16
    memory, alone, surroundings = AttentionMemory(inpainter), AttentionMemory(inpainter), Surroundings()
    calmed = Calmed(lambda frame, hole: frame, memory)
    calm = [calmed.step(frame, HOLE) for frame in frames]
    sharp = [alone.fill(frame, HOLE, surroundings.step(frame, HOLE)) for frame in frames]
    assert memory.windows[0].factor == 2 and not memory.decides_all
    assert [bool((a == b).all()) for a, b in zip(calm, sharp, strict=True)] == [True, False]


def test_what_has_no_such_attention_does_not_remember() -> None:
    assert remembers(_inpainter("picture"))
    assert not remembers(Inpainter("telea"))
    assert not remembers(Inpainter(PENNet(num_levels=3, base_width=8, attention_levels="none"), "cpu"))
    assert not remembers(Inpainter(PENNet(num_levels=3, base_width=8, attention_mode="released"), "cpu"))
