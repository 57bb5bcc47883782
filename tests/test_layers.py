"""Which entries of a cache are layers of one encoder, by name."""

from __future__ import annotations

import pytest

from amber_cache.encoders.names import entry_name
from amber_heads.policies.layers import LayerName, layer_groups, parse_name


@pytest.mark.parametrize("encoder", ["org/w2v", "a+b", "x~y", "data.v1", "a@b"])
@pytest.mark.parametrize("layer", [-1, 0, 12, -2])
@pytest.mark.parametrize("pooling", ["mean", "mean-std"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_name_that_extraction_gives_is_found_among_its_layers(
    encoder: str, layer: int, pooling: str, precision: str
) -> None:
    names = [
        entry_name(encoder, layer=one, pooling=pooling, precision=precision) for one in (layer, 5)
    ]
    (layers,) = layer_groups([*names, "mel", "other@layer3"]).values()
    assert sorted(layers) == sorted(names)
    assert parse_name(names[0]).layer == layer


def test_layers_are_in_order_and_those_from_the_end_come_last() -> None:
    names = ["e@layer10", "e", "e@layer2", "e@layer-2", "e@layer0"]
    assert layer_groups(names) == {
        "e@weighted": ("e@layer0", "e@layer2", "e@layer10", "e@layer-2", "e")
    }


def test_poolings_and_precisions_are_groups_of_their_own() -> None:
    names = ["e@layer0", "e@layer1+first", "e@layer0~bfloat16", "e@layer2+first", "f@layer1"]
    assert layer_groups(names) == {"e@weighted+first": ("e@layer1+first", "e@layer2+first")}


def test_the_name_for_all_layers_is_read_as_such() -> None:
    found = parse_name("org/e@weighted+mean-std~bfloat16")
    assert found == LayerName("org--e", "+mean-std~bfloat16", None)
    assert found.weighted == "org--e@weighted+mean-std~bfloat16"
