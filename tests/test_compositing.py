import torch

from pennet.compositing import composite, fill_hole, hole_ratio


def test_composite_takes_the_hole_from_the_prediction_and_the_rest_from_the_image() -> None:
    image, prediction = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    mask = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    assert composite(image, prediction, mask)[0, 0].tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_fill_hole_lets_nothing_through() -> None:
    image = torch.full((1, 3, 2, 2), float("nan"))
    assert torch.equal(fill_hole(image, torch.ones(1, 1, 2, 2), 1.0), torch.ones(1, 3, 2, 2))


def test_hole_ratio_is_the_share_of_ones() -> None:
    mask = torch.zeros(2, 1, 4, 4)
    mask[1, :, :2] = 1
    assert hole_ratio(mask).tolist() == [0.0, 0.5]
