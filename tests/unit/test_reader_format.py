"""scenarios.json in the reader's shape: what its texts state, and an update that leaves the rest alone."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.scenario_tables import benign, grade
from workflow_scripts.collections.collection import card
from workflow_scripts.command import Refusal
from workflow_scripts.configuration import load_templates
from workflow_scripts.scenarios.reader_format import KEYS, make_entry, make_metadata, write_entries
from workflow_scripts.scenarios.wording import Unfit, fill_texts

TEMPLATES = {template["name"]: template for template in load_templates(["config/scenarios/thyroid.yaml"])}
SURGERY = TEMPLATES["needless-thyroidectomy"]
READER = {  # medbilldozer 5887afb, benchmarks/clinical_images/scenarios.json, scenario_010 and scenario_020
    "error": "id title imaging_modality error_category severity_score description ground_truth erroneous_action "
    "image_file malpractice_risk expected_action detection_results metadata",
    "appropriate": "id title imaging_modality error_category severity_score description ground_truth "
    "appropriate_action image_file clinical_decision expected_detection detection_results metadata",
}


@pytest.mark.parametrize("kind", ["error", "appropriate"])
def test_both_shapes_have_the_readers_keys_in_its_order(kind: str) -> None:
    assert [*KEYS[kind], "metadata"] == READER[kind].split()


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_shipped_text_states_only_labels_with_the_system_beside_each_level(name: str) -> None:
    template = TEMPLATES[name]
    where = template["where"]
    level = where["tirads_level"] if isinstance(where["tirads_level"], str) else where["tirads_level"][-1]
    case = benign("7", pathology=where.get("pathology"), tirads_system=where["tirads_system"])
    case |= {"tirads_level": level, "largest_mm": 31.5 if "pathology" in where else None}
    graded = grade("7", reason="ACR 2017: 8 points, TR5; largest diameter 31.5 mm is above 10 mm")
    texts = fill_texts(template, case, graded)
    labels = json.dumps([case, graded])
    for text in texts.values():
        assert set(re.findall(r"\d+(?:\.\d+)?", text)) <= set(re.findall(r"\d+(?:\.\d+)?", labels)), text
        for stated in re.finditer(r"TI-RADS \d\w?", text):
            assert text[stated.end() :].startswith(f" ({case['tirads_system']})"), text
        assert "null" not in text
        assert "None" not in text
        if case["pathology"] is None:
            assert not re.search("benign|malignant|histolog|cancer|carcinoma| mm|diameter", text), text
    assert f"({case['tirads_system']})" in texts["ground_truth"]
    metadata = make_metadata(template, case, graded, card("ddti"), "0" * 64, None)
    entry = make_entry(template, texts, template["id"], f"images/{template['id']}.png", metadata)
    written = json.loads(write_entries([entry], None))  # checked against the schema on its way
    assert list(written[0]) == READER[template["kind"]].split()


@pytest.mark.parametrize(
    ("field", "case", "graded"),
    [
        ("size", {"largest_mm": None}, {}),
        ("side", {"laterality": None}, {}),
        ("level", {"tirads_level": None}, {}),
        ("level", {"tirads_system": None}, {}),  # a level without its system is none
        ("findings", {}, {"findings": None}),
        ("points", {"tirads_system": "Kwak 2011"}, {}),  # points are of ACR, the level is not
        ("age", {"age": None}, {}),
    ],
)
def test_a_label_that_is_not_known_is_never_worded(field: str, case: dict, graded: dict) -> None:
    with pytest.raises(Unfit, match="not known"):
        fill_texts(SURGERY | {"title": f"a {{{field}}}"}, benign("1", **case), grade("1", **graded))


def entry_of(number: int) -> dict[str, Any]:
    texts = fill_texts(SURGERY, benign("1"), grade("1"))
    name = f"scenario_{number:03d}"
    metadata = make_metadata(SURGERY, benign("1"), grade("1"), card("ddti"), "0" * 64, None)
    return make_entry(SURGERY, texts, name, f"images/{name}.png", metadata)


# The other engineers' entries: any keys in any order, any text, any nesting.
texts_of_others = st.text(st.characters(codec="utf-8"), max_size=12)
values = st.recursive(
    texts_of_others | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts_of_others, inner, max_size=3),
    max_leaves=6,
)
others = st.lists(st.dictionaries(texts_of_others.filter(lambda key: key != "id"), values, max_size=4), max_size=4)


@settings(max_examples=150, deadline=None)
@given(
    others,
    st.sampled_from([None, 0, 2, 4, "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(0, 4),
)
def test_an_update_keeps_every_other_byte(
    others: list[dict], indent: Any, newline: str, bom: bool, ascii_only: bool, final: bool, place: int
) -> None:
    old = [{**body, "id": f"scenario_{30 + n:03d}"} for n, body in enumerate(others)]
    old.insert(place, {"id": "scenario_010", "title": "before"})
    where = old.index({"id": "scenario_010", "title": "before"})
    text = json.dumps(old, indent=indent, ensure_ascii=ascii_only).replace("\n", newline) + newline * final
    before = text.encode("utf-8-sig" if bom else "utf-8")
    after = write_entries([entry_of(10), entry_of(200)], before, "scenarios.json")
    new = json.loads(after.decode("utf-8-sig"))
    assert new == [*old[:where], entry_of(10), *old[where + 1 :], entry_of(200)]
    assert after.startswith(b"\xef\xbb\xbf") == bom
    # The whole file is what the same writer would have made of the new list, so no byte of another entry moved.
    whole = json.dumps(new, indent=indent, ensure_ascii=False).replace("\n", newline) + newline * final
    if not ascii_only and indent is not None:
        assert after.decode("utf-8-sig") == whole
    for entry in old[:where] + old[where + 1 :]:
        written = json.dumps([entry], indent=indent, ensure_ascii=ascii_only).replace("\n", newline)
        assert written.strip("[]\r\n").encode() in after
    assert write_entries([entry_of(10), entry_of(200)], after, "scenarios.json") == after, (
        "a second update changes nothing"
    )


def test_an_update_of_nothing_changes_nothing_and_an_empty_list_is_filled() -> None:
    odd = b'\r\n [ {"id" : "a",\t"b":1.0e5} ,{"id":"b"}\r\n]  '
    assert write_entries([], odd, "f") == odd
    assert write_entries([], b"[ ]\n", "f") == b"[ ]\n"
    filled = write_entries([entry_of(10)], b"[\r\n]\r\n", "f")
    assert json.loads(filled) == [entry_of(10)]
    assert filled.count(b"\n") == filled.count(b"\r\n")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda text: text[: len(text) // 2], "broken or cut off"),
        (lambda text: text[:-1], "cut off?"),
        (lambda text: "", "not a JSON list"),
        (lambda text: text[1:-1], "not a JSON list"),
        (lambda text: f'{{"scenarios": {text}}}', "not a JSON list"),
        (lambda text: "[1, 2]", "entry 1 is no object with an id"),
        (lambda text: '[{"title": "a"}]', "entry 1 is no object with an id"),
        (lambda text: '[{"id": "a"}, {"id": "a"}]', "a stands there more than once"),
        (lambda text: '[{"id": "a"},]', "entry 2, which starts in line 1, is broken"),
        (lambda text: text + text, "does not end where it should"),
    ],
)
def test_an_existing_file_that_cannot_be_read_with_certainty_is_refused(spoil: Callable[[str], str], says: str) -> None:
    text = spoil(json.dumps([entry_of(10), entry_of(20)], indent=4))
    with pytest.raises(Refusal) as refusal:
        write_entries([entry_of(10)], text.encode(), "mine.json")
    assert str(refusal.value).startswith("casebook: mine.json: ")
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)
    with pytest.raises(Refusal, match="not UTF-8"):
        write_entries([entry_of(10)], "[é]".encode("latin-1"), "mine.json")
