"""The U-Nets: sizes, skip connections, and fusing for scoring."""

import pytest
import torch
from torch import nn

from iqa_kcross.networks.unet import Decoder, Encoder, fuse_for_scoring, widths


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def randomize_norms(network):
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias, std=0.1)
    return network.eval()


@pytest.mark.parametrize("is_complex", [True, False])
@pytest.mark.parametrize("size", [(64, 64), (33, 70), (47, 32)])
def test_maps_have_the_channels_of_the_paper_and_half_the_sides_rounded_up(is_complex, size):
    maps = Encoder(4, is_complex).eval()(torch.rand(2, 1 + is_complex, *size))
    assert [item.shape[1] for item in maps] == [(1 + is_complex) * count for count in (4, 8, 16, 32, 32)]
    for step, item in enumerate(maps, start=1):
        assert tuple(item.shape[2:]) == tuple(-(-side // 2**step) for side in size)


def test_at_the_papers_width_the_code_has_512_channels():
    assert widths(64) == (64, 128, 256, 512, 512)


@pytest.mark.parametrize("is_complex", [True, False])
def test_reconstruction_has_the_images_shape_and_range(is_complex):
    image = torch.rand(2, 1 + is_complex, 64, 96)
    out = Decoder(4, is_complex)(Encoder(4, is_complex)(image))
    assert out.shape == image.shape
    assert out.abs().max() <= 1


@pytest.mark.parametrize("is_complex", [True, False])
@pytest.mark.parametrize("level", range(5))
def test_every_map_reaches_the_reconstruction(is_complex, level):
    maps = list(Encoder(4, is_complex).eval()(torch.rand(1, 1 + is_complex, 64, 64)))
    decoder = Decoder(4, is_complex).eval()
    before = decoder(tuple(maps))
    maps[level] = maps[level] + 1
    assert (decoder(tuple(maps)) - before).abs().max() > 1e-4


@pytest.mark.parametrize("is_complex", [True, False])
def test_fusing_keeps_the_maps_and_makes_channels_last(is_complex):
    encoder = randomize_norms(Encoder(4, is_complex))
    image = torch.rand(3, 1 + is_complex, 45, 64)
    before = encoder(image)
    fuse_for_scoring(encoder)
    fuse_for_scoring(encoder)  # nothing is left to fuse
    after = encoder(image)
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old, atol=1e-4, rtol=1e-4)
    assert all(item.is_contiguous(memory_format=torch.channels_last) for item in after)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in encoder.modules())


def test_other_layers_are_refused():
    encoder = Encoder(4).eval()
    encoder.blocks[0][0] = nn.Identity()
    with pytest.raises(TypeError, match="Identity is not a convolution of an encoder"):
        fuse_for_scoring(encoder)
