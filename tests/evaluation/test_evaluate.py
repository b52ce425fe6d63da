"""The engine, with metrics whose scores are known in closed form."""

import numpy as np
import polars as pl
import pytest

import iqa_registry as iqa
import toy_metrics
from iqa_registry.errors import IQAError, UnknownNameError, UsageError


def evaluate(registry, pairs, *metrics, **options):
    return iqa.evaluate(pairs, list(metrics), registry=registry, **options)


@pytest.fixture
def pairs(grey):
    return [(grey(number), grey(number + 100)) for number in range(7)]


def expected_gaps(pairs):
    return [abs(first.mean() - second.mean()) / 255 for first, second in pairs]


def test_scores_equal_numpy(registry, pairs):
    table = evaluate(registry, pairs, "toy-count")
    assert table["score"].to_list() == pytest.approx(expected_gaps(pairs), abs=1e-6)
    assert set(table["status"]) == {"ok"}


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 2}, {"batch_size": 7}, {"workers": 0}])
def test_scores_depend_on_the_pair_alone(registry, pairs, options):
    metrics = ("toy-count", "ssim", "psnr", "gmsd")
    plain = evaluate(registry, pairs, *metrics)
    other = evaluate(registry, pairs, *metrics, **options)
    assert other["pair_id"].to_list() == plain["pair_id"].to_list()
    assert other["score"].to_list() == pytest.approx(plain["score"].to_list(), abs=1e-6)


def test_order_of_the_pairs_moves_no_score(registry, pairs):
    forward = evaluate(registry, pairs, "ssim")["score"].to_list()
    backward = evaluate(registry, pairs[::-1], "ssim")["score"].to_list()
    assert backward[::-1] == pytest.approx(forward, abs=1e-6)


def test_sizes_may_differ_within_a_run(registry, grey):
    pairs = [
        (grey(n, size), grey(n + 9, size)) for n, size in enumerate([(32, 40), (16, 20), (32, 40), (48, 12)])
    ]
    table = evaluate(registry, pairs, "toy-count")
    assert table["score"].to_list() == pytest.approx(expected_gaps(pairs), abs=1e-6)


def test_a_reference_is_encoded_once(registry, grey):
    reference = grey(0)
    toy_metrics.encoded.clear()
    evaluate(registry, [(grey(n), reference) for n in range(1, 13)], "toy-count", batch_size=4)
    assert sum(toy_metrics.encoded) == 12 + 1


def test_metrics_that_share_an_encoder_share_the_pass(registry, pairs):
    toy_metrics.encoded.clear()
    table = evaluate(registry, pairs, "toy-share-a", "toy-share-b")
    assert sum(toy_metrics.encoded) == 2 * len(pairs)
    first, second = (table.filter(metric=name)["score"].to_list() for name in ("toy-share-a", "toy-share-b"))
    assert first == second


def test_table_order_is_pair_then_metric_as_asked_for(registry, pairs):
    table = evaluate(registry, pairs[:2], "psnr", "mae")
    assert table["metric"].to_list() == ["psnr", "mae", "psnr", "mae"]


def test_parts_of_a_score_are_rows_when_asked_for(registry, grey):
    pairs = [(grey(0), grey(0)), (grey(0), grey(1))]
    assert evaluate(registry, pairs, "toy-parts").height == 2
    table = evaluate(registry, pairs, "toy-parts", components=True)
    assert table["metric"].to_list() == ["toy-parts"] * 6
    assert table["component"].to_list() == ["", "first", "second"] * 2
    assert table["status"].to_list()[:3] == ["ok", "ok", "not_applicable"]


def test_one_pair_that_fails_leaves_the_others(registry, grey):
    black, white = np.zeros((32, 40), np.uint8), np.full((32, 40), 255, np.uint8)
    pairs = [(grey(0), grey(1)), (black, grey(1)), (white, grey(1)), (grey(2), grey(1))]
    table = evaluate(registry, pairs, "toy-picky")
    assert table["status"].to_list() == ["ok", "error", "not_applicable", "ok"]
    assert "cannot take a black image" in table["message"][1]
    assert table["message"][2] == "the image is white"


@pytest.mark.parametrize("order", [1, -1])
def test_one_pair_that_fails_leaves_the_others_where_only_some_have_masks(registry, grey, order):
    inside = np.ones((32, 40), np.uint8)
    pairs = [(grey(0), grey(1), inside), (np.zeros((32, 40), np.uint8), grey(1)), (grey(2), grey(1))][::order]
    table = evaluate(registry, pairs, "toy-picky").filter(region="image")
    assert table["status"].to_list() == ["ok", "error", "ok"]


def test_a_reference_that_is_cropped_in_two_ways_is_two(registry, grey):
    reference, sizes = grey(0), [(32, 40), (24, 40), (28, 32)]
    pairs = [(grey(n, size), reference) for n, size in enumerate(sizes, 1)]
    together = evaluate(registry, pairs, "ssim", crop=True)["score"].to_list()
    alone = [evaluate(registry, [pair], "ssim", crop=True)["score"][0] for pair in pairs]
    assert together == pytest.approx(alone, abs=1e-6)


def test_nan_is_never_a_score(registry, pairs):
    table = evaluate(registry, pairs[:1], "toy-nan")
    assert table["score"][0] is None
    assert table["status"][0] == "error"


def test_no_reference_metrics_score_the_synthesized_image(registry, grey):
    table = evaluate(registry, [(grey(3), None)], "toy-brightness", "toy-count")
    assert table["score"][0] == pytest.approx(grey(3).mean() / 255, abs=1e-6)
    assert table["status"].to_list() == ["ok", "not_applicable"]


def test_distribution_metrics_give_one_row(registry, pairs):
    table = evaluate(registry, pairs, "toy-count", "toy-gap").filter(metric="toy-gap")
    gap = np.mean([a.mean() for a, _ in pairs]) - np.mean([b.mean() for _, b in pairs])
    assert table.height == 1
    assert table["score"][0] == pytest.approx(gap / 255, abs=1e-6)


def test_distribution_metrics_count_a_reference_once(registry, grey):
    reference, other = grey(0), grey(1)
    pairs = [(grey(5), reference), (grey(6), reference), (grey(7), other)]
    score = evaluate(registry, pairs, "toy-gap")["score"][0]
    means = np.mean([grey(n).mean() for n in (5, 6, 7)]) - np.mean([reference.mean(), other.mean()])
    assert score == pytest.approx(means / 255, abs=1e-6)


def test_a_set_metric_that_fails_costs_only_itself(registry, pairs):
    table = evaluate(registry, pairs, "mae", "toy-broken-set")
    last = table.row(-1, named=True)
    assert (last["metric"], last["status"]) == ("toy-broken-set", "error")
    assert last["message"] == "toy-broken-set failed: ZeroDivisionError: no covariance"
    assert set(table["status"][:-1]) == {"ok"}


def test_too_small_a_set_is_an_error_row(registry, pairs):
    row = evaluate(registry, pairs[:1], "toy-gap").row(0, named=True)
    assert row["status"] == "error"
    assert "at least 2" in row["message"]


def test_mask_rows_stand_beside_whole_image_rows(registry, grey):
    mask = np.zeros((32, 40), np.uint8)
    mask[8:24, 8:24] = 1
    table = evaluate(registry, [(grey(0), grey(1), mask)], "mae", "toy-count")
    assert table["region"].to_list() == ["image", "mask"] * 2
    difference = np.abs(grey(0).astype(float) - grey(1)) / 255
    assert table["score"][1] == pytest.approx(difference[8:24, 8:24].mean(), abs=1e-6)
    assert table["region_fraction"][1] == pytest.approx(0.2)
    assert table["status"][3] == "not_applicable"


def test_regions_of_a_label_map(registry, grey):
    labels = np.zeros((32, 40), np.uint8)
    labels[:8], labels[8:16] = 1, 2
    regions = {"tumor": (1, 2), "core": (2,), "absent": (7,)}
    table = evaluate(registry, [(grey(0), grey(1), labels)], "mae", regions=regions)
    assert table["region"].to_list() == ["image", "tumor", "core", "absent"]
    assert table["status"][3] == "not_applicable"


def test_small_images_do_not_apply(registry, grey):
    table = evaluate(registry, [(grey(0, (12, 12)), grey(1, (12, 12)))], "ms_ssim", "mae")
    assert table["status"].to_list() == ["not_applicable", "ok"]
    assert "at least 161" in table["message"][0]


def test_group_columns_keep_their_types(registry, grey):
    pairs = [{"synthesized": grey(n), "reference": grey(9), "model": "gan", "epoch": n} for n in range(3)]
    table = evaluate(registry, pairs, "mae")
    assert table.schema["epoch"] == pl.Int64
    assert table["model"].to_list() == ["gan"] * 3


def test_grey_against_colour_is_scored_in_colour(registry, grey):
    colour = np.stack([grey(0), grey(1), grey(2)], axis=-1)
    score = evaluate(registry, [(grey(0), colour)], "mae")["score"][0]
    assert score == pytest.approx(np.abs(grey(0)[..., None].astype(float) - colour).mean() / 255, abs=1e-6)


def test_strict_stops_at_the_first(registry, grey):
    pairs = [(np.zeros((32, 40), np.uint8), grey(1)), *[(grey(n), grey(n + 1)) for n in range(9)]]
    assert evaluate(registry, pairs, "toy-picky", strict=True, batch_size=1).height == 1


def test_a_metric_that_cannot_start_stops_python(registry, pairs):
    with pytest.raises(IQAError, match="toy-unstartable: its weights are not here"):
        evaluate(registry, pairs, "mae", "toy-unstartable")


def test_an_unknown_metric_offers_the_nearest(registry, pairs):
    with pytest.raises(UnknownNameError, match="'ssim'"):
        evaluate(registry, pairs, "sssim")


def test_no_pairs_is_wrong_usage(registry):
    with pytest.raises(UsageError, match="no image pairs"):
        evaluate(registry, [], "mae")


def test_a_shifted_pair_is_measured(registry):
    generator = np.random.default_rng(0)
    image = np.kron(generator.integers(0, 256, (16, 16)), np.ones((6, 6))).astype(np.uint8)
    table = evaluate(registry, [(np.roll(image, (3, 4), (0, 1)), image)], "mae")
    assert table["shift"][0] == pytest.approx(5, abs=0.5)


@pytest.fixture
def volumes():
    generator = np.random.default_rng(0)
    reference = np.kron(generator.random((4, 5, 3)), np.ones((6, 6, 6))).astype(np.float32)
    return reference + 0.05 * generator.random(reference.shape).astype(np.float32), reference


def test_volumes_are_scored_slice_by_slice_and_as_a_whole(registry, volumes):
    table = evaluate(
        registry, [volumes], "mae", "mae:dimensions=3", slices="2:5", intensity="range=0,1.05", layout="XYZ"
    )
    assert table["dimensions"].to_list() == [2, 2, 2, 3]
    assert table["slice"].to_list() == [2, 3, 4, None]
    assert table["score"][:3].mean() == pytest.approx(table["score"][3], abs=1e-6)


def test_the_limits_are_those_of_the_whole_reference(registry, volumes):
    table = evaluate(registry, [volumes], "mae", intensity="reference-percentile=0,100", layout="XYZ")
    assert table["reference_low"].n_unique() == 1
    assert table["reference_high"][0] == pytest.approx(volumes[1].max())
    assert table["synthesized_high"][0] == pytest.approx(volumes[1].max())


def test_a_three_dimensional_metric_does_not_apply_to_pictures(registry, pairs):
    table = evaluate(registry, pairs[:1], "ssim:dimensions=3")
    assert table["status"].to_list() == ["not_applicable"]


@pytest.mark.filterwarnings("ignore:toy-brightness. no aligned scores")
@pytest.mark.parametrize(
    ("options", "regions"),
    [
        ({}, ["image", "mask"]),
        ({"foreground": True}, ["image", "mask", "foreground"]),
        ({"regions": {"core": [1], "edge": [2, 3]}}, ["image", "mask", "core", "edge"]),
        ({"align": "translation"}, ["image", "mask", "aligned", "aligned:mask"]),
    ],
)
def test_a_pair_that_cannot_be_read_has_a_row_for_each_region(registry, grey, tmp_path, options, regions):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no PNG")
    mask, labels = np.zeros((32, 40), np.uint8), np.zeros((32, 40), np.uint8)
    mask[8:24, 8:24], labels[4:8], labels[8:16] = 1, 1, 3
    pairs = [
        {"pair_id": name, "synthesized": image, "reference": grey(1), "mask": mask, "labels": labels}
        for name, image in (("bad", str(broken)), ("good", grey(0)))
    ]
    table = evaluate(registry, pairs, "mae", "toy-brightness", **options)
    for metric in ("mae", "toy-brightness"):
        found = {name: table.filter(pair_id=name, metric=metric) for name in ("bad", "good")}
        expected = regions if metric == "mae" else [name for name in regions if "aligned" not in name]
        assert found["bad"]["region"].to_list() == found["good"]["region"].to_list() == expected
        assert set(found["bad"]["status"]) == {"error"}
        assert all("broken.png" in message for message in found["bad"]["message"])


def test_a_pair_without_a_mask_has_no_rows_of_a_mask(registry, grey):
    pairs = [("absent.png", grey(1)), (grey(0), grey(1))]
    table = evaluate(registry, pairs, "mae", foreground=True, regions={"core": [1]})
    assert table.filter(pair_id="absent")["region"].to_list() == ["image", "foreground"]
