"""Every nodule that can be described, graded by every system, against the guidelines written here as plain code."""

from collections.abc import Callable
from functools import cache
from itertools import combinations, product
from random import Random

import pytest

from workflow_scripts.tirads.classify import classify
from workflow_scripts.tirads.engine import grade_nodule
from workflow_scripts.tirads.size_rule import FNA, FOLLOW_UP, NO_ACTION, NO_FNA, UNDETERMINED
from workflow_scripts.tirads.systems import SYSTEMS, Choice, System, load_system

COMPOSITIONS = ("cystic", "almost completely cystic", "spongiform", "mixed cystic and solid", "solid")
ECHOES = ("anechoic", "hyperechoic", "isoechoic", "hypoechoic", "very hypoechoic")
SHAPES = ("wider-than-tall", "taller-than-wide")
MARGINS = ("smooth", "ill-defined", "lobulated or irregular", "extra-thyroidal extension")
COMET, MACRO, RIM, PUNCTATE = (
    *("large comet-tail artifacts", "macrocalcifications"),
    *("peripheral (rim) calcifications", "punctate echogenic foci"),
)
FOCI = [Choice(some) for count in range(5) for some in combinations((COMET, MACRO, RIM, PUNCTATE), count)]
Oracle = Callable[[str, str, bool, str, Choice], str]


def acr(composition: str, echo: str, tall: bool, margin: str, foci: Choice) -> str:
    if composition == "spongiform":
        return "TR1"
    total = {"mixed cystic and solid": 1, "solid": 2, "entirely calcified": 2}.get(composition, 0)
    total += {"anechoic": 0, "hypoechoic": 2, "very hypoechoic": 3}.get(echo, 1)
    total += 3 * tall + {"lobulated or irregular": 2, "extra-thyroidal extension": 3}.get(margin, 0)
    total += (MACRO in foci) + 2 * (RIM in foci) + 3 * (PUNCTATE in foci)
    return "TR1" if total == 0 else "TR2" if total <= 2 else "TR3" if total == 3 else "TR4" if total <= 6 else "TR5"


def eu(composition: str, echo: str, tall: bool, margin: str, foci: Choice) -> str:
    if composition == "cystic":
        return "2"
    irregular = margin in ("lobulated or irregular", "extra-thyroidal extension")
    if tall or irregular or PUNCTATE in foci or (composition == "solid" and echo == "very hypoechoic"):
        return "5"
    if composition == "spongiform":
        return "2"
    return "4" if "hypoechoic" in echo else "3"


def korean(composition: str, echo: str, tall: bool, margin: str, foci: Choice) -> str:
    if composition == "cystic":
        return "2"
    solid_hypoechoic = composition == "solid" and echo in ("hypoechoic", "very hypoechoic")
    suspicious = tall or PUNCTATE in foci or margin in ("lobulated or irregular", "extra-thyroidal extension")
    if solid_hypoechoic and suspicious:
        return "5"
    if solid_hypoechoic or suspicious or composition == "entirely calcified":
        return "4"
    if composition == "spongiform":
        return "2" if echo in ("isoechoic", "hyperechoic") else "3"
    return "2" if COMET in foci and composition != "solid" else "3"


def chinese(composition: str, echo: str, tall: bool, margin: str, foci: Choice) -> str:
    score = tall + (composition == "solid") + (echo == "very hypoechoic") + (PUNCTATE in foci) + (margin != "smooth")
    score -= COMET in foci
    return {-1: "2", 0: "3", 1: "4A", 2: "4B", 3: "4C", 4: "4C", 5: "5"}[score]


def kwak(composition: str, echo: str, tall: bool, margin: str, foci: Choice) -> str:
    irregular = margin in ("lobulated or irregular", "extra-thyroidal extension")
    features = (composition == "solid", echo.endswith("hypoechoic"), irregular, PUNCTATE in foci, tall)
    return ["3", "4a", "4b", "4c", "4c", "5"][sum(features)]


ORACLES: dict[str, Oracle] = {
    "ACR 2017": acr,
    "EU-TIRADS 2017": eu,
    "K-TIRADS 2016": korean,
    "K-TIRADS 2021": korean,
    "C-TIRADS 2020": chinese,
    "Kwak 2011": kwak,
}


@cache
def choices_of(system: str) -> list[list[Choice]]:
    calcified = ("entirely calcified",) if system.startswith(("K-", "ACR")) else ()
    terms = ((*COMPOSITIONS, *calcified), ECHOES, SHAPES, MARGINS)
    return [[Choice([term]) for term in some] for some in terms] + [FOCI]


def named(system: System, *choices: list[Choice]) -> dict[str, list[Choice]]:
    return dict(zip(system.descriptors, choices, strict=True))


def level_by_guideline(name: str, nodule: tuple[Choice, ...]) -> str:
    (composition,), (echo,), (shape,), (margin,), foci = nodule
    return ORACLES[name](composition, echo, shape == "taller-than-wide", margin, foci)


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_nodule_has_the_level_of_the_guideline(name: str) -> None:
    system, count, levels = load_system(SYSTEMS[name]), 0, set[str]()
    for nodule in product(*choices_of(name)):
        outcome = classify(system, named(system, *([choice] for choice in nodule)))
        expected = level_by_guideline(name, nodule)
        assert outcome.level == expected, nodule
        assert outcome.missing == ()
        count, levels = count + 1, levels | {expected}
    assert count in (3200, 3840)
    assert levels == {level.name for level in system.levels}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_doubt_leaves_a_level_only_where_every_nodule_in_it_has_the_same(name: str) -> None:
    """And what is said to be missing is what changes the level by itself."""
    system, random, determined = load_system(SYSTEMS[name]), Random(name), 0
    for _ in range(150):
        possible = [random.sample(some, random.choice((1, 1, 2, min(3, len(some))))) for some in choices_of(name)]
        outcome = classify(system, named(system, *possible))
        level_of = {nodule: level_by_guideline(name, nodule) for nodule in product(*possible)}
        assert outcome.levels == sorted(set(level_of.values()))
        assert (outcome.level is not None) == (len(outcome.levels) == 1) == (not outcome.missing)
        for place, descriptor in enumerate(system.descriptors):
            decides = any(
                level_of[nodule] != level_of[(*nodule[:place], other, *nodule[place + 1 :])]
                for nodule in level_of
                for other in possible[place]
            )
            assert decides == (descriptor in outcome.missing)
        determined += outcome.level is not None and any(len(some) > 1 for some in possible)
    assert determined


def seen(**terms: str) -> dict[str, list[Choice]]:
    return {name: [Choice([term]) - {"none"}] for name, term in terms.items()}


def test_one_feature_may_settle_it_and_ignorance_never_does() -> None:
    eu_2017 = load_system("eu_2017")
    assert grade_nodule(eu_2017, seen(composition="solid", shape="taller-than-wide"), None).level == "5"
    assert grade_nodule(eu_2017, seen(composition="cystic"), None).level == "2"
    for stem in SYSTEMS.values():
        grade = grade_nodule(load_system(stem), {}, [30, 30, 30])
        assert (grade.level, grade.points, grade.advice) == (None, None, UNDETERMINED)
    shape_unknown = grade_nodule(
        load_system("kwak_2011"),
        seen(composition="solid", echogenicity="isoechoic", margin="smooth", foci="none"),
        None,
    )
    assert shape_unknown.reason == (
        "Kwak 2011: shape is not known: the level may be 4a or 4b; "
        "Kwak 2011 ties no size to a level: cannot be determined"
    )


def test_advice_may_be_the_same_whatever_the_level() -> None:
    open_level = {"composition": [Choice(["solid"])], "echogenicity": [Choice(["hypoechoic"]), Choice(["isoechoic"])]}
    known = seen(shape="wider-than-tall", margin="smooth", foci="none")
    grade = grade_nodule(load_system("eu_2017"), open_level | known, [21, 9, 9])
    assert (grade.level, grade.advice, list(grade.missing)) == (None, FNA, ["echogenicity"])
    assert grade_nodule(load_system("eu_2017"), open_level | known, [18, 9, 9]).advice == UNDETERMINED


TALL = {"shape": "taller-than-wide"}
FLAT = {"shape": "wider-than-tall", "margin": "smooth", "foci": "none"}
SOLID = {"composition": "solid"}
MIXED = {"composition": "mixed cystic and solid", "echogenicity": "isoechoic"}
SPONGE = FLAT | {"composition": "spongiform", "echogenicity": "isoechoic"}
HYPO = {"echogenicity": "hypoechoic"}
ISO = {"echogenicity": "isoechoic"}
SIZE_RULES = [  # table, a nodule, its level, then advice by largest diameter [mm]
    ("eu_2017", SPONGE, "2", {90: NO_FNA}),
    ("eu_2017", FLAT | SOLID | ISO, "3", {20: NO_FNA, 20.01: FNA}),
    ("eu_2017", FLAT | SOLID | HYPO, "4", {15: NO_FNA, 15.01: FNA}),
    ("eu_2017", FLAT | SOLID | HYPO | TALL, "5", {3: UNDETERMINED, 10: UNDETERMINED, 10.01: FNA}),
    ("k_2021", SPONGE, "2", {90: NO_FNA}),
    ("k_2021", FLAT | MIXED, "3", {3: FOLLOW_UP, 20: FOLLOW_UP, 20.01: FNA}),
    ("k_2021", FLAT | SOLID | HYPO, "4", {10: FOLLOW_UP, 10.01: UNDETERMINED, 15: UNDETERMINED, 15.01: FNA}),
    ("k_2021", FLAT | SOLID | HYPO | TALL, "5", {10: FOLLOW_UP, 10.01: FNA}),
    ("k_2016", SPONGE, "2", {19.99: NO_FNA, 20: FNA}),
    ("k_2016", FLAT | MIXED | {"foci": COMET}, "2", {90: NO_FNA}),
    ("k_2016", FLAT | MIXED, "3", {14.99: NO_FNA, 15: FNA}),
    ("k_2016", FLAT | SOLID | HYPO, "4", {9.99: NO_FNA, 10: FNA}),
    ("k_2016", FLAT | SOLID | HYPO | TALL, "5", {5: NO_FNA, 5.01: UNDETERMINED, 9.99: UNDETERMINED, 10: FNA}),
    ("c_2020", FLAT | MIXED, "3", {90: NO_FNA}),
    ("c_2020", FLAT | SOLID | ISO, "4A", {14.99: NO_FNA, 15: FNA}),
    ("c_2020", FLAT | SOLID | ISO | TALL, "4B", {9.99: NO_FNA, 10: FNA}),
    ("kwak_2011", FLAT | SOLID | HYPO | TALL, "4c", {9: UNDETERMINED, 90: UNDETERMINED}),
    ("acr_2017", FLAT | SOLID | HYPO | TALL, "TR5", {4.99: NO_ACTION, 5: FOLLOW_UP, 9.99: FOLLOW_UP, 10: FNA}),
]


@pytest.mark.parametrize(("stem", "terms", "level", "advice"), SIZE_RULES)
def test_thresholds_and_whether_equality_meets_them(
    stem: str, terms: dict[str, str], level: str, advice: dict[float, str]
) -> None:
    for size, expected in advice.items():
        grade = grade_nodule(load_system(stem), seen(**terms), [1.0, size, 1.0])
        assert (grade.level, grade.advice) == (level, expected), size
        if expected not in (NO_FNA, UNDETERMINED):
            unsized = grade_nodule(load_system(stem), seen(**terms), [1.0, None, 1.0])
            assert (unsized.level, unsized.advice) == (level, UNDETERMINED)


def test_what_is_no_choice_is_refused() -> None:
    system = load_system("k_2021")
    wrong: tuple[dict[str, list[Choice]], ...] = (
        {"halo": [Choice(["thin"])]},
        {"margin": []},
        {"margin": [Choice(["fuzzy"])]},
    )
    for findings in wrong:
        with pytest.raises(ValueError, match=r"K-TIRADS 2021 .*(has no descriptor|is not a choice from)"):
            classify(system, findings)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_table_says_what_it_is_and_what_was_not_confirmed(name: str) -> None:
    system = load_system(SYSTEMS[name])
    assert system.name == name
    assert system.doi.startswith("10.")
    assert name[-4:] in system.source or name == "EU-TIRADS 2017"
    assert system.comparison == {"EU-TIRADS 2017": ">", "K-TIRADS 2021": ">", "Kwak 2011": None}.get(name, ">=")
    assert bool(system.not_confirmed) == (name != "ACR 2017")
