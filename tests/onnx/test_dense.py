"""Dense attention against the attention of `pennet.models`, in torch, for every recipe's parts."""

import pytest
import torch

from pennet.errors import UserError
from pennet.methods import build_generator
from pennet.models.smooth import smooth_fill
from pennet.onnx import dense_smooth
from pennet.onnx.dense_networks import dense
from tests.configs import COPYING, small_ca, small_gntipt, small_recipe
from tests.onnx.holes import holes

RECIPES = {
    "cosine": small_recipe(),
    "euclidean": small_recipe(affinity="euclidean"),
    "released": small_recipe(attention_mode="released"),
    "deepest": small_recipe(attention_levels="deepest"),
    "no attention": small_recipe(attention_levels="none"),
    "copying": small_recipe(**COPYING),
    "finest attention 2": small_recipe(**COPYING | {"finest_attention": 2}),
    "picture alone": small_recipe(fills=["picture"], full_resolution=True),
    "ca": small_ca(),
    "gntipt": small_gntipt(),
}


@pytest.mark.parametrize("size", [(8, 8), (16, 24), (64, 48), (40, 56)], ids=str)
@pytest.mark.parametrize("recipe", RECIPES)
def test_dense_networks_compute_the_same(recipe: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    generator = build_generator(RECIPES[recipe]).eval()
    network = dense(generator)
    for mask in holes(2, *size):
        image = torch.rand(2, 3, *size) * 2 - 1
        with torch.inference_mode():
            expected = generator(image, mask).image
            found = network(image, mask, torch.tensor(RECIPES[recipe].softmax_scale))
        assert (found - expected).abs().max() < 1e-4


@pytest.mark.parametrize("size", [(8, 8), (16, 24), (96, 32), (72, 40), (128, 64), (1032, 8)], ids=str)
def test_pull_push_of_any_size(size: tuple[int, int]) -> None:
    torch.manual_seed(1)
    image = torch.rand(2, 3, *size) * 2 - 1
    for mask in holes(2, *size):
        found = dense_smooth.smooth_fill(image, mask, 3, dense_smooth.MAX_HALVINGS - 3)
        assert torch.allclose(found, smooth_fill(image, mask), atol=1e-6)


def test_another_network_is_refused() -> None:
    with pytest.raises(UserError, match="Identity: has no ONNX form"):
        dense(torch.nn.Identity())
