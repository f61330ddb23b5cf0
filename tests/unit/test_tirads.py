"""The TI-RADS engine against the published ACR 2017 chart, retyped here apart from the YAML that the engine reads."""

from itertools import combinations, permutations, product

import pytest

from workflow_scripts.tirads.engine import grade_points
from workflow_scripts.tirads.size_rule import FNA, FOLLOW_UP, NO_ACTION, UNDETERMINED
from workflow_scripts.tirads.systems import describe_points, level_agrees, load_system, points_of

ACR = load_system()
CHART: dict[str, dict[str, int]] = {
    "composition": {
        "cystic or almost completely cystic": 0,
        "spongiform": 0,
        "mixed cystic and solid": 1,
        "solid or almost completely solid": 2,
        "cannot be determined because of calcification": 2,
    },
    "echogenicity": {
        "anechoic": 0,
        "hyperechoic or isoechoic": 1,
        "hypoechoic": 2,
        "very hypoechoic": 3,
        "cannot be determined": 1,
    },
    "shape": {"wider-than-tall": 0, "taller-than-wide": 3},
    "margin": {
        "smooth": 0,
        "ill-defined": 0,
        "lobulated or irregular": 2,
        "extra-thyroidal extension": 3,
        "cannot be determined": 0,
    },
}
FOCI = {
    "large comet-tail artifacts": 0,
    "macrocalcifications": 1,
    "peripheral (rim) calcifications": 2,
    "punctate echogenic foci": 3,
}
FOCI_SUBSETS = [subset for count in range(5) for subset in combinations(FOCI, count)]
# Level by sum of points, 0 to 17; one point is our choice. Then FNA and follow-up thresholds in mm.
LEVELS = ["TR1", "TR2", "TR2", "TR3", "TR4", "TR4", "TR4"] + ["TR5"] * 11
THRESHOLDS_MM = {"TR3": (25, 15), "TR4": (15, 10), "TR5": (10, 5)}
SCHEDULES = {"TR3": "1, 3 and 5 years", "TR4": "1, 2, 3 and 5 years", "TR5": "every year for up to 5 years"}
DESCRIPTORS = (*CHART, "foci")
EXAMPLES = {"TR3": (2, 1, 0, 0, 0), "TR4": (2, 2, 0, 0, 0), "TR5": (2, 2, 3, 0, 0)}


def points(*values: int | None) -> dict[str, int | None]:
    return dict(zip(DESCRIPTORS, values, strict=True))


def chart_advice(level: str, largest_mm: float) -> str:
    fna, follow_up = THRESHOLDS_MM.get(level, (float("inf"), float("inf")))
    return FNA if largest_mm >= fna else FOLLOW_UP if largest_mm >= follow_up else NO_ACTION


def test_every_combination_of_options() -> None:
    count, sums = 0, set[int]()
    for terms, foci in product(product(*CHART.values()), FOCI_SUBSETS):
        given = dict(zip(CHART, terms, strict=True))
        expected = [*(CHART[key][term] for key, term in given.items()), sum(FOCI[term] for term in foci)]
        found = [*(points_of(ACR, key, term) for key, term in given.items()), points_of(ACR, "foci", foci or "none")]
        assert found == expected
        total = 0 if given["composition"] == "spongiform" else sum(expected)
        for size in (4.9, 5, 9.9, 10, 14.9, 15, 24.9, 25):
            grade = grade_points(ACR, points(*found), [1, size, 2], given["composition"] == "spongiform")
            assert (grade.points, grade.level) == (total, LEVELS[total]), (terms, foci)
            assert grade.advice == chart_advice(LEVELS[total], size), (terms, foci, size)
        count, sums = count + 1, sums | {total}
    assert (count, sums) == (4000, set(range(18)))


@pytest.mark.parametrize("level", THRESHOLDS_MM)
def test_thresholds_are_met_by_equality_alone(level: str) -> None:
    fna, follow_up = THRESHOLDS_MM[level]
    for threshold, below, reached in ((fna, FOLLOW_UP, FNA), (follow_up, NO_ACTION, FOLLOW_UP)):
        noise = [threshold * (1 - 2e-16), threshold * (1 + 2e-16), 3 * (threshold / 30) * 10]
        sizes = [(threshold - 1e-5, below), (threshold + 1e-5, reached)]
        for size, advice in sizes + [(size, reached) for size in (threshold, *noise)]:
            for axes in permutations((size, 1.0, 0.5)):
                grade = grade_points(ACR, points(*EXAMPLES[level]), axes)
                assert (grade.level, grade.advice) == (level, advice), axes
            assert (SCHEDULES[level] in grade.reason) == (advice == FOLLOW_UP)


@pytest.mark.parametrize("level", THRESHOLDS_MM)
@pytest.mark.parametrize(
    ("share_of_fna", "advice"),
    [
        ((1.0, None, None), FNA),
        ((None, 0.2, 1.0), FNA),
        ((None, 0.99, 0.99), UNDETERMINED),
        ((0.01, None, None), UNDETERMINED),
        ((None, None, None), UNDETERMINED),
        (None, UNDETERMINED),
    ],
)
def test_missing_axes(level: str, share_of_fna: tuple[float | None, ...] | None, advice: str) -> None:
    fna = THRESHOLDS_MM[level][0]
    size = None if share_of_fna is None else [None if share is None else share * fna for share in share_of_fna]
    grade = grade_points(ACR, points(*EXAMPLES[level]), size)
    assert (grade.level, grade.advice) == (level, advice)
    assert (UNDETERMINED in grade.reason) == (advice == UNDETERMINED)


@pytest.mark.parametrize("total", [0, 1, 2])
def test_tr1_and_tr2_need_no_size(total: int) -> None:
    for size in (None, [None, 70.0, None], [70.0] * 3):
        assert grade_points(ACR, points(total, 0, 0, 0, 0), size).advice == NO_ACTION


@pytest.mark.parametrize("descriptor", DESCRIPTORS)
def test_an_unknown_descriptor_is_named_and_the_rest_added_up(descriptor: str) -> None:
    known = points(2, 3, 0, 2, 1) | {descriptor: None}
    rest = sum(value for value in known.values() if value)
    grade = grade_points(ACR, known, [30, 30, 30])
    assert grade == grade_points(ACR, {key: value for key, value in known.items() if key != descriptor}, None)
    assert (grade.points, grade.level, grade.advice) == (None, None, UNDETERMINED)
    assert grade.reason.startswith(f"ACR 2017: {'echogenic ' * (descriptor == 'foci')}{descriptor} is not known")
    assert grade.reason.endswith(f"; the other descriptors add up to {rest} points")
    assert ("only be read on a transverse image" in grade.reason) == (descriptor == "shape")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((None,) * 5, "foci are not known (taller-than-wide can only be read on a transverse image)"),
        ((None, None, None, 0, None), "the other descriptor adds up to 0 points"),
        ((1, None, 0, None, 0), "echogenicity and margin are not known; the other descriptors add up to 1 point"),
    ],
)
def test_several_unknown_descriptors(values: tuple[int | None, ...], reason: str) -> None:
    assert grade_points(ACR, points(*values), None).reason.endswith(reason)


def test_spongiform_stops_the_scoring() -> None:
    for others in [(3, 3, 3, 6), (None, None, None, None)]:
        for composition in (0, None):
            grade = grade_points(ACR, points(composition, *others), None, spongiform=True)
            assert (grade.points, grade.level, grade.advice) == (0, "TR1", NO_ACTION)
            assert "spongiform" in grade.reason
    with pytest.raises(ValueError, match="composition says 2"):
        grade_points(ACR, points(2, 0, 0, 0, 0), None, spongiform=True)


def test_a_sum_of_one_is_said_to_be_a_choice() -> None:
    reasons = [grade_points(ACR, points(total, 0, 0, 0, 0), None).reason for total in range(3)]
    assert ["chart is silent" in reason and "TR2" in reason for reason in reasons] == [False, True, False]


def test_a_level_agrees_with_its_sum_and_either_neighbour_with_one() -> None:
    for total, level in enumerate(LEVELS):
        agreeing = [name for name in ("TR1", "TR2", "TR3", "TR4", "TR5") if level_agrees(ACR, total, name)]
        assert agreeing == (["TR1", "TR2"] if total == 1 else [level])
    for total, level in [(3, "4a"), (3, "3"), (18, "TR5"), (-1, "TR1")]:
        with pytest.raises(ValueError, match="ACR 2017 has no level"):
            level_agrees(ACR, total, level)


def test_reason_in_full() -> None:
    assert grade_points(ACR, points(2, 2, 0, 0, 0), [12.0, 8.0, 9.5]).reason == (
        "ACR 2017: composition 2 + echogenicity 2 + shape 0 + margin 0 + echogenic foci 0 = 4 points, TR4; largest "
        "diameter 12.0 mm is below the FNA threshold of 15 mm and at or above the follow-up threshold of 10 mm: "
        "follow-up at 1, 2, 3 and 5 years"
    )
    assert "14.96 mm is below" in grade_points(ACR, points(2, 2, 0, 0, 0), [14.96, 1, 1]).reason


WORDS = {
    "composition": {
        0: "cystic or almost completely cystic, or spongiform",
        1: "mixed cystic and solid",
        2: "solid or almost completely solid, or not determinable because of calcification",
    },
    "echogenicity": {
        0: "anechoic",
        1: "hyperechoic or isoechoic, or not determinable",
        2: "hypoechoic",
        3: "very hypoechoic",
    },
    "shape": {0: "wider-than-tall", 3: "taller-than-wide"},
    "margin": {
        0: "smooth, ill-defined or not determinable",
        2: "lobulated or irregular",
        3: "extra-thyroidal extension",
    },
    "foci": {
        0: "no echogenic foci or only large comet-tail artifacts",
        1: "macrocalcifications",
        2: "peripheral (rim) calcifications",
        3: "punctate echogenic foci, or macrocalcifications with peripheral (rim) calcifications",
        4: "macrocalcifications with punctate echogenic foci",
        5: "peripheral (rim) calcifications with punctate echogenic foci",
        6: "macrocalcifications with peripheral (rim) calcifications and punctate echogenic foci",
    },
}


@pytest.mark.parametrize("descriptor", DESCRIPTORS)
def test_points_in_words_and_impossible_points(descriptor: str) -> None:
    for value in range(-1, 9):
        if value in WORDS[descriptor]:
            assert describe_points(ACR, descriptor, value) == WORDS[descriptor][value]
            continue
        with pytest.raises(ValueError, match=rf"{descriptor}: {value} points .* allowed are \[0, .*\d\]"):
            describe_points(ACR, descriptor, value)
        for spongiform in (False, True):
            with pytest.raises(ValueError, match=f"{descriptor}: {value} points"):
                grade_points(ACR, {descriptor: value}, None, spongiform)


@pytest.mark.parametrize(
    ("descriptor", "term"),
    [
        *(("margin", term) for term in ("spiculated", ["smooth", "ill-defined"])),
        *(("foci", terms) for terms in ([], ["none", "macrocalcifications"], ["macrocalcifications", "halo"])),
    ],
)
def test_terms_that_are_no_choice(descriptor: str, term: str | list[str]) -> None:
    with pytest.raises(ValueError, match=r"is not a choice from .*(smooth|macrocalcifications)"):
        points_of(ACR, descriptor, term)


def test_malformed_nodules() -> None:
    with pytest.raises(ValueError, match="no descriptor"):
        grade_points(ACR, points(2, 2, 0, 0, 0) | {"echogenic_foci": 1}, None)
    for size in ([12.0], [12.0, 3.0, 0.0], [12.0, 3.0, float("nan")], [12.0, 3.0, float("inf")]):
        with pytest.raises(ValueError, match="diameters"):
            grade_points(ACR, points(2, 2, 0, 0, 0), size)


def test_table_carries_its_version_and_source() -> None:
    assert (ACR.name, ACR.doi, ACR.comparison) == ("ACR 2017", "10.1016/j.jacr.2017.01.046", ">=")
    assert [level.risk_percent for level in ACR.levels] == [0.3, 1.5, 4.8, 9.1, 35]
