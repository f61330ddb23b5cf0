"""Nodules one by one, millimetres, views and edges, families of figures and strata."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.unit.score_tables import GATES, NODULE, NOTHING, SHAPE, House, ellipse, png, score_row
from tests.unit.test_metrics import MASKS, run_summary
from workflow_scripts.imaging.field_of_view import find_field
from workflow_scripts.imaging.stills import decode_picture, to_grey
from workflow_scripts.metrics import figures
from workflow_scripts.metrics.nodules import FOUND, match_nodules
from workflow_scripts.metrics.score_masks import score_frame
from workflow_scripts.metrics.strata import UNKNOWN
from workflow_scripts.metrics.summarise_scores import FEW, bootstrap_interval, summarise
from workflow_scripts.metrics.surfaces import outline, surface_distances
from workflow_scripts.metrics.views import count_views, touches_edge

LEFT, RIGHT = ellipse(50, 30, 15, 15), ellipse(50, 90, 15, 15)
BOTH = LEFT + RIGHT
SMALL = ellipse(50, 90, 4, 4)  # 51 of 760 pixels with LEFT, IoU with RIGHT 0.07
EVERYWHERE = np.ones(SHAPE, np.uint8)


@pytest.mark.parametrize(
    ("prediction", "reference", "outlined", "predicted", "found"),
    [
        (BOTH, BOTH, 2, 2, 2),
        (LEFT, BOTH, 2, 1, 1),
        (BOTH, RIGHT, 1, 2, 1),
        (RIGHT, LEFT, 1, 1, 0),
        (NOTHING, BOTH, 2, 0, 0),
        (BOTH, NOTHING, 0, 2, 0),
        (NOTHING, NOTHING, 0, 0, 0),
        (LEFT | SMALL, BOTH, 2, 2, 1),  # it lies in the nodule, and is too little of it
        (ellipse(50, 60, 20, 55), BOTH, 2, 1, 1),  # one large one over two is one found, not two
        (LEFT + 2 * RIGHT, 7 * BOTH, 2, 2, 2),  # labels do not matter
        (LEFT | ellipse(50, 90, 2, 2), LEFT, 1, 1, 1),  # a speck
    ],
)
def test_nodules_are_matched_one_to_one(
    prediction: np.ndarray, reference: np.ndarray, outlined: int, predicted: int, found: int
) -> None:
    row = score_frame(prediction, reference)
    assert (row["n_outlined"], row["n_predicted"], row["n_found"]) == (outlined, predicted, found)
    assert (row["found_dice"] is None) == (not found)


@settings(max_examples=60, deadline=None)
@given(MASKS, MASKS)
def test_matching_is_symmetric_and_no_nodule_is_used_twice(one: np.ndarray, other: np.ndarray) -> None:
    matched, turned = match_nodules(one, other), match_nodules(other, one)
    assert (matched.outlined, matched.predicted) == (turned.predicted, turned.outlined)
    assert sum(matched.dices) == pytest.approx(sum(turned.dices), abs=0.2)  # ties may be paired otherwise
    assert len(matched.dices) <= min(matched.outlined, matched.predicted)
    assert all(dice >= 2 * FOUND / (1 + FOUND) - 1e-9 for dice in matched.dices)


def test_the_pairing_with_the_greatest_overlap_is_taken() -> None:
    # The right one of two predictions has more of the left outline than the left one has, and all of the right outline.
    reference, prediction = np.zeros((2, 1, 40), np.uint8)
    reference[0, 0:20] = reference[0, 21:25] = 1
    prediction[0, 0:5] = prediction[0, 10:25] = 1
    assert len(match_nodules(prediction, reference).dices) == 2


@settings(max_examples=40, deadline=None)
@given(MASKS, MASKS, st.sampled_from([(0.5, 0.5), (0.5, 0.2), (1.0, 3.0)]))
def test_distances_in_mm_are_those_of_every_pair_of_pixels(
    one: np.ndarray, other: np.ndarray, spacing: tuple[float, float]
) -> None:
    a, b = np.argwhere(outline(one)) * spacing, np.argwhere(outline(other)) * spacing
    found = surface_distances(one, other, spacing)
    if not (len(a) and len(b)):
        assert found.size == 0
        return
    pairs = np.linalg.norm(a[:, None] - b[None], axis=-1)
    assert np.sort(found) == pytest.approx(np.sort([*pairs.min(axis=1), *pairs.min(axis=0)]))


def test_millimetres_stand_where_the_spacing_is_known(tmp_path: Path) -> None:
    pairs = {"1": [(np.roll(NODULE, 5, axis=1), NODULE)]}
    (row,) = House(tmp_path / "with").score(pairs, still={"spacing_mm": [0.1, 0.2]})
    (bare,) = House(tmp_path / "without").score(pairs)
    assert row["longest_mm"] == pytest.approx(8.0, abs=0.1)  # 40 pixels across
    assert 0.5 < row["hd95_mm"] <= 1.0  # 5 pixels across
    assert row["hd95"] == bare["hd95"]
    assert bare["hd95_mm"] is bare["surface_distance_mm"] is bare["longest_mm"] is None


def tissue(width: int, seed: int, lightness: int) -> np.ndarray:
    """Return speckle that is coarser than a pixel, 100 rows of it."""
    coarse = np.random.default_rng(seed).integers(0, 60, (50, width // 2)).astype(np.uint8) + lightness
    return np.kron(coarse, np.ones((2, 2), np.uint8))


def test_two_views_are_told_by_the_seam_between_them() -> None:
    field = np.ones((100, 160), np.uint8)
    beside = np.hstack([tissue(80, 0, 20), tissue(80, 1, 150)])
    assert count_views(beside, field) == 2
    assert count_views(tissue(160, 2, 60), field) == 1
    assert count_views(np.full((100, 160), 90, np.uint8), field) == 1
    # A step elsewhere is an edge in the tissue, and a field that is not wide holds one view.
    assert count_views(np.roll(beside, 30, axis=1)[:, 30:], field[:, 30:]) == 1
    assert count_views(beside[:, 40:120], field[:, 40:120]) == 1


@pytest.mark.parametrize(
    ("row", "touches"),
    [(50, False), (24, False), (23, True), (10, True)],  # the nodule's half height is 20
)
def test_the_edge_is_that_of_the_field(row: int, touches: bool) -> None:
    field = EVERYWHERE.copy()
    field[:1] = 0
    assert touches_edge(ellipse(row, 60), field) is touches
    assert touches_edge(ellipse(50, 24), EVERYWHERE) is False
    assert touches_edge(ellipse(50, 20), EVERYWHERE) is True  # the picture ends, and with it the field


def test_what_is_around_the_nodule_stands_in_the_scores(tmp_path: Path) -> None:
    picture = np.hstack([tissue(60, 0, 20), tissue(60, 1, 150)])[:80]
    still = {"image": {"bytes": None, "path": "1.png"}, "modality": "US"}
    field = np.zeros(SHAPE, np.uint8)
    field[:80] = 255
    house = House(tmp_path)
    (tmp_path / "1.png").write_bytes(png(np.vstack([picture, picture[:20]]))["bytes"])
    pairs = {"1": [(NODULE, NODULE), (NOTHING, NOTHING)], "2": [(NODULE, ellipse(60, 60))]}
    rows = house.score(pairs, still=still, field=field)
    assert [(row["views"], row["touches_edge"]) for row in rows] == [(2, False), (2, None), (2, True)]
    rows = house.score(pairs, still=still | {"modality": "CT"}, field=field)
    assert [(row["views"], row["touches_edge"]) for row in rows] == [(None, False), (None, None), (None, True)]
    assert {(row["views"], row["touches_edge"]) for row in house.score(pairs)} == {(None, None)}


def test_families_weigh_frames_patients_pixels_and_nodules() -> None:
    # One patient with three poor frames of small nodules, one with one good frame of a large one.
    poor = [
        score_row(k, 0.5, group="a", tp=50, fp=50, fn=50, n_found=0, n_predicted=2, found_dice=None) for k in (0, 1, 2)
    ]
    good = score_row(3, 0.9, group="b", tp=900, fp=100, fn=100, hd95=4.0)
    summary = summarise([*poor, good], {}, seed=0)
    assert summary["dice"]["mean"] == pytest.approx(0.6)
    assert summary["patients"]["dice"]["value"] == pytest.approx(0.7)
    assert summary["pooled"]["dice"]["value"] == pytest.approx(2 * 1050 / (2 * 1050 + 500))
    assert summary["pooled"]["iou"]["value"] == pytest.approx(1050 / 1550)
    assert summary["pooled"]["sensitivity"]["value"] == pytest.approx(1050 / 1300)
    assert summary["n_nodules"] == {"outlined": 4, "predicted": 7, "found": 1, "false": 6}
    assert summary["nodules"]["sensitivity"]["value"] == 0.25
    assert summary["nodules"]["false_per_frame"]["value"] == 1.5
    assert summary["nodules"]["dice"]["value"] == 0.9
    assert (summary["hd95"]["n"], summary["patients"]["hd95"]["value"]) == (1, 4.0)
    assert "gate" not in summary["dice"]


def test_false_nodules_are_counted_over_all_frames_also_where_both_masks_are_empty() -> None:
    rows = [score_row(0, 0.0, group="a", tp=0, fp=9, fn=0, n_outlined=0, n_predicted=1)]
    rows += [score_row(k, None, group="b") for k in (1, 2, 3)]
    summary = summarise(rows, GATES, seed=0)
    assert summary["nodules"]["false_per_frame"]["value"] == 0.25
    assert (summary["n_frames"], summary["dice"]["mean"]) == (1, 0.0)


@pytest.mark.parametrize("family", ["images", "patients", "pooled"])
def test_an_iou_that_contradicts_the_dice_of_its_family_stops(family: str) -> None:
    pairs = {"images": (0.8, 0.7), "patients": (0.8, 0.7), "pooled": (0.8, 0.8 / 1.2)}
    values: dict[figures.Key, float | None] = {
        (kind, name): value for kind, pair in pairs.items() for name, value in zip(("dice", "iou"), pair, strict=True)
    }
    figures.check_overlap(values)
    with pytest.raises(RuntimeError, match=f"inconsistent \\({family}\\)"):
        figures.check_overlap(values | {(family, "iou"): 0.6})
    if family == "pooled":
        with pytest.raises(RuntimeError, match="inconsistent"):
            figures.check_overlap(values | {(family, "iou"): 0.7})


@settings(max_examples=20, deadline=None)
@given(arrays(np.float64, 12, elements=st.floats(0, 1)), st.lists(st.sampled_from("abcde"), min_size=12, max_size=12))
def test_iou_holds_against_dice_in_every_family_and_part(dices: np.ndarray, groups: list[str]) -> None:
    rows = []
    for k, (dice, group) in enumerate(zip(dices, groups, strict=True)):
        row = score_row(k, float(dice), group=group)
        exact = 2 * row["tp"] / (2 * row["tp"] + row["fp"] + row["fn"])
        rows.append(row | {"dice": exact, "iou": exact / (2 - exact)})
    summarise(rows, GATES, seed=0)  # raises where it does not hold


def test_few_groups_give_a_part_no_interval() -> None:
    rows = [score_row(k, 0.5 + k / 100, group=str(k)) for k in range(FEW)]
    assert summarise(rows, {}, seed=0)["dice"]["interval"] is not None
    assert summarise(rows[1:], {}, seed=0)["dice"]["interval"] is None
    assert summarise(rows[1:], GATES, seed=0)["dice"]["interval"] is not None
    # Every nodule was found: how sure that is, no bootstrap can tell.
    assert summarise(rows, GATES, seed=0)["nodules"]["sensitivity"] == {"value": 1.0, "interval": None}


def test_an_interval_of_one_figure_is_that_in_the_summary() -> None:
    rows = [score_row(k, 0.5 + 0.04 * (k % 11), group=str(k % 5)) for k in range(30)]
    by_frame = sorted(rows, key=lambda row: row["frame_id"])
    values = np.array([row["dice"] for row in by_frame])
    alone = bootstrap_interval(values, [row["group_id"] for row in by_frame], seed=3)
    assert summarise(rows, GATES, seed=3)["dice"]["interval"] == pytest.approx(alone)


def strata_of(house: House) -> dict[str, dict[str, int]]:
    """Return how many frames are in each part of each stratum."""
    summary = run_summary(house)["models"]["m"]["strata"]
    return {each["name"]: {part["part"]: part["n_frames"] for part in each["parts"]} for each in summary}


def test_strata_follow_the_labels_of_the_cases(tmp_path: Path) -> None:
    house = House(tmp_path)
    kinds: list[dict[str, Any]] = [
        {"tirads_system": "Kwak 2011", "tirads_level": "5"},
        {"tirads_system": "Kwak 2011", "tirads_level": "4a", "pathology": "malignant", "label_source": "registry"},
        {"tirads_system": "ACR 2017", "tirads_level": "TR5", "pathology": "benign", "label_source": "histology"},
        {"largest_mm": 10.0},
        {},
    ]
    for k, labels in enumerate(kinds):
        house.score({str(k): [(NODULE, NODULE)]}, chunk=f"00{k}", labels=labels)
    assert strata_of(house) == {
        # Levels of two systems are two things, whatever they are called, and 4a comes before 5.
        "level": {"ACR 2017: TR5": 1, "Kwak 2011: 4a": 1, "Kwak 2011: 5": 1, UNKNOWN: 2},
        "histology": {"benign": 1, UNKNOWN: 4},  # what a registry says is no histology
        "size": {"4 to under 11 %": 5},
        "diameter": {"10 to under 20 mm": 1, UNKNOWN: 4},
        "nodules": {"one nodule": 5},
    }
    level = next(part for part in run_summary(house)["models"]["m"]["strata"] if part["name"] == "level")
    assert [part["part"] for part in level["parts"]][-1] == UNKNOWN


def test_strata_follow_the_pictures(tmp_path: Path) -> None:
    house = House(tmp_path)
    picture = np.hstack([tissue(60, 0, 20), tissue(60, 1, 150)])
    field = np.full(SHAPE, 255, np.uint8)
    field[85:] = 0  # 120 wide, 85 high
    single = {"image": png(tissue(120, 2, 60)), "modality": "US", "spacing_mm": [0.2, 0.2]}
    house.score({"1": [(BOTH, BOTH), (NODULE, ellipse(66, 60))]}, chunk="001", still=single, field=field)
    house.score(
        {"2": [(LEFT, BOTH), (NOTHING, NOTHING)]}, chunk="002", still=single | {"image": png(picture)}, field=field
    )
    found = strata_of(house)
    assert found["nodules"] == {"one nodule": 1, "several nodules": 1, "two views side by side": 1}
    assert found["edge"] == {
        "inside": 2,
        "at the edge": 1,
    }  # where both masks are empty, nothing is to be said
    assert found["diameter"] == {"under 10 mm": 3}
    assert found["size"] == {"4 to under 11 %": 1, "11 % and more": 2}


def test_views_of_real_pictures(samples: Path) -> None:
    folder = samples / "ddti"
    if not folder.is_dir():
        pytest.skip("no sample of DDTI")
    found = {}
    for name in ("58_1", "60_1", "83_1", "105_1", "233_1", "2_1", "43_1", "312_1", "343_1"):
        picture = to_grey(decode_picture((folder / f"{name}.jpg").read_bytes()))
        found[name] = count_views(picture, find_field(picture))
    assert found == dict.fromkeys(("58_1", "60_1", "83_1", "105_1", "233_1"), 2) | dict.fromkeys(
        ("2_1", "43_1", "312_1", "343_1"), 1
    )
