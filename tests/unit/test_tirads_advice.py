"""What a case says as choices of a table, and the advice in words, in both languages."""

import re
from string import Formatter
from typing import Any

import pytest

from workflow_scripts.tables import cases
from workflow_scripts.tirads.advise_in_words import LANGUAGES, advise_in_words, templates
from workflow_scripts.tirads.engine import grade_nodule, grade_points
from workflow_scripts.tirads.findings import lexicon, possible_findings
from workflow_scripts.tirads.systems import SYSTEMS, Choice, load_system

EMPTY: dict[str, Any] = dict.fromkeys(cases.SCHEMA.names)
KOREAN, CHINESE = load_system("k_2021"), load_system("c_2020")
COMET, PUNCTATE = "large comet-tail artifacts", "punctate echogenic foci"


def choices(*terms: str) -> set[Choice]:
    return {Choice(part for part in term.split("; ") if part) for term in terms}


def test_points_that_stand_for_several_terms_stay_a_doubt() -> None:
    points = {"composition": 0, "echogenicity": 1, "shape": 3, "margin": 0, "foci": 3}
    found = possible_findings(KOREAN, EMPTY | {f"{name}_points": value for name, value in points.items()})
    assert found["composition"] == choices("cystic", "almost completely cystic", "spongiform")
    assert found["echogenicity"] == choices("hyperechoic", "isoechoic")
    assert found["shape"] == choices("taller-than-wide")
    assert found["margin"] == choices("smooth", "ill-defined")
    rims = "macrocalcifications; peripheral (rim) calcifications"
    assert found["foci"] == choices(PUNCTATE, f"{PUNCTATE}; {COMET}", rims, f"{rims}; {COMET}")


@pytest.mark.parametrize(
    ("descriptor", "word", "points", "expected"),
    [
        ("echogenicity", "isoechogenicity", 1, choices("isoechoic")),  # a word says more than its points
        ("echogenicity", "cannot be determined", 1, None),  # and may say that nothing is known
        ("composition", "dense", None, None),
        ("composition", "predominantly cystic", 1, choices("mixed cystic and solid")),
        ("margin", "well defined", None, choices("smooth", "lobulated or irregular")),
        ("margin", "something new", 2, choices("lobulated or irregular")),
        ("foci", "none", 0, choices("")),
        ("foci", "non", 0, choices("", COMET)),
        ("foci", f"macrocalcifications; {PUNCTATE}", 4, choices(f"macrocalcifications; {PUNCTATE}")),
        ("shape", None, None, None),
    ],
)
def test_words_of_data_sets(
    descriptor: str, word: str | None, points: int | None, expected: set[Choice] | None
) -> None:
    case = EMPTY | {descriptor: word, f"{descriptor}_points": points}
    assert possible_findings(KOREAN, case).get(descriptor) == expected


def test_the_lexicon_leads_to_terms_that_every_table_has() -> None:
    for stem in set(SYSTEMS.values()) - {"acr_2017"}:
        for descriptor, words in lexicon().items():
            terms = {term.strip() for readings in words.values() for one in readings for term in one.split(";")}
            assert terms <= load_system(stem).descriptors[descriptor].options.keys()


def test_every_word_of_every_table_has_its_chinese() -> None:
    chinese = templates()["words"]["zh"]
    for stem in SYSTEMS.values():
        system = load_system(stem)
        words = {system.unit} | {category.label for category in system.descriptors.values()}
        for row in system.levels:
            words |= {row.meaning, row.pattern, row.schedule or "", str(row.selective.get("when", ""))}
        assert words - {""} <= chinese.keys()
    for name, sentence in templates()["en"].items():
        fields = [{field for _, field, _, _ in Formatter().parse(text)} for text in (sentence, templates()["zh"][name])]
        assert fields[0] - {None} == fields[1] - {None}, name
    assert templates()["en"].keys() == templates()["zh"].keys()
    assert not re.search(r"[\u4e00-\u9fff][,;:(]", "".join(templates()["zh"].values()) + "".join(chinese.values()))


def test_advice_says_level_why_size_course_certainty_and_purpose() -> None:
    acr = load_system()
    points = dict.fromkeys(acr.descriptors, 0) | {"composition": 2, "echogenicity": 2}
    grade = grade_points(acr, points, [12, 9, 10])
    assert advise_in_words(acr, grade, "en", (3, 3)) == (
        "ACR 2017: level TR4, moderately suspicious (malignant, as published: 9.1 %). Why: composition 2 + "
        "echogenicity 2 + shape 0 + margin 0 + echogenic foci 0 = 4 points. Rule for the largest diameter: FNA if "
        "≥ 15 mm, follow-up if ≥ 10 mm; here 12 mm. Advised: follow-up by ultrasound at 1, 2, 3 and 5 years. Of the 3 "
        "nodules of this patient for which this is advised, it is number 3; the guideline takes at most 4, those with "
        "most points first. How sure: every descriptor is known from the radiologist's description or points. For "
        "research, not for diagnosis."
    )
    chinese = advise_in_words(acr, grade, "zh")
    for part in ("TR4", "中度可疑", "结构 2 + 回声 2", "= 4 分", "≥ 15 mm", "12 mm", "第 1、2、3、5 年复查"):
        assert part in chinese
    assert chinese.endswith("仅供研究\uff0c不用于诊断。")


def test_what_is_open_is_said_to_be() -> None:
    solid = {"composition": choices("solid"), "margin": choices("smooth"), "shape": choices("wider-than-tall")}
    grade = grade_nodule(KOREAN, solid | {"foci": choices("")}, [9, 9, 9])
    text = advise_in_words(KOREAN, grade, "en")
    assert "the level cannot be determined; possible are 3, 4. Why: not known well enough: echogenicity." in text
    assert "whichever of these levels it is: follow-up by ultrasound at 1, 3 and 5 years." in text
    sure = grade_nodule(KOREAN, solid | {"echogenicity": choices("hypoechoic"), "foci": choices("", COMET)}, None)
    text = advise_in_words(KOREAN, sure, "en")
    assert "level 4, intermediate suspicion" in text
    assert "it depends on a diameter that is not known" in text
    assert "not every descriptor is known (echogenic foci), but the level is the same in any case" in text
    assert "could not be held against the guideline's own text" in text


@pytest.mark.parametrize("name", SYSTEMS)
def test_no_sentence_is_left_with_a_hole(name: str) -> None:
    """Whatever is known: every point of a descriptor or none, at several sizes."""
    system = load_system(SYSTEMS[name])
    every = [{}, *({key: {choice}} for key, category in system.descriptors.items() for choice in category.choices)]
    full = {key: {min(category.choices, key=sorted)} for key, category in system.descriptors.items()}
    for some in every:
        for findings in (some, full | some):
            for size in (None, [7, None, 7], [7, 7, 7], [12, 12, 12], [30, 30, 30]):
                grade = grade_nodule(system, findings, size)
                for language in LANGUAGES:
                    text = advise_in_words(system, grade, language)
                    assert not re.search(r"[{}]|None|not stated|  ", text), text
                    assert text.startswith(name)
