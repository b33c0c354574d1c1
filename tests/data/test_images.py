import numpy as np
import torch

from pennet.images import resize_square, to_float, to_uint8


def test_float_conversion_is_undone_exactly() -> None:
    every_byte = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    floats = to_float(every_byte)
    assert floats.shape == (1, 3, 16, 16)
    assert floats.min() == -1
    assert floats.max() == 1
    assert np.array_equal(to_uint8(floats), every_byte)


def test_to_uint8_clips_what_is_out_of_range() -> None:
    assert to_uint8(torch.tensor([-3.0, 3.0, 0.0]).view(1, 3, 1, 1)).tolist() == [[[[0, 255, 128]]]]


def test_resize_square_takes_the_centre() -> None:
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 20:60] = 200
    assert (resize_square(picture, 20) == 200).all()


def test_resize_square_returns_a_picture_of_the_right_size_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.array_equal(resize_square(picture, 32), picture)
