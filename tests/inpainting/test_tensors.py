"""Tensors that `pennet.inpaint` cannot fill."""

import pytest
import torch

import pennet
from pennet.errors import UserError


@pytest.mark.filterwarnings("ignore")  # torch's, that such tensors are new
def test_tensors_without_a_number_for_each_place_are_one_message() -> None:
    tensor, mask = torch.full((3, 20, 20), 7, dtype=torch.uint8), torch.zeros(20, 20, dtype=torch.uint8)
    tensor[0, 0], mask[5:12, 6:13] = 200, 1
    floats = tensor.float() / 127.5 - 1
    for image, holes, message in (
        (tensor.to_sparse(), mask, r"^image: expected a dense tensor, got a sparse_coo one; give image\.to_dense\(\)$"),
        (tensor, mask.float().to_sparse_csr(), r"^mask: expected a dense tensor, got a sparse_csr one; give mask\.to_dense"),
        (tensor.to("meta"), mask, "^image: expected a tensor with values, got one on the device meta"),
        (tensor, mask.to("meta"), "^mask: expected a tensor with values, got one on the device meta"),
        (torch.nested.nested_tensor([floats, floats]), mask, "^image: expected a dense tensor, got a nested one"),
        (torch.quantize_per_tensor(floats, 0.1, 0, torch.qint8), mask, r"a quantized one; give image\.dequantize\(\)$"),
        (floats.to(torch.float8_e4m3fn), mask, "^image: expected a tensor of uint8, or floats .* got torch.float8_e4m3fn"),
    ):
        with pytest.raises(UserError, match=message):
            pennet.inpaint(image, holes, "mean")
    expected = pennet.inpaint(tensor, mask, "mean")
    assert torch.equal(pennet.inpaint(tensor, mask.bfloat16(), "mean"), expected)  # which NumPy does not have
