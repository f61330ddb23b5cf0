"""Which cases a template may take: by labels alone, and never by a label that is not known."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from workflow_scripts.command import Refusal
from workflow_scripts.configuration import first_fault, load_templates, scenario_ids
from workflow_scripts.provenance import canonical_json
from workflow_scripts.scenarios.match_scenarios import check_templates, main, match_scenarios
from workflow_scripts.scenarios.queries import explain_no_fit, fits
from workflow_scripts.tables import candidates, cases, matches
from workflow_scripts.tables.table import read_rows, write_rows

SHIPPED = ["config/scenarios/thyroid.yaml"]


def case(case_id: str, **labels: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(cases.SCHEMA.names)
    return row | {"case_id": case_id, "dataset": "clinic", "group_id": case_id, "label_source": "none"} | labels


def template(**changes: Any) -> dict[str, Any]:
    return {**load_templates(SHIPPED)[0], "where": {"pathology": "benign"}, **changes}


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=cases.SCHEMA)


def match(rows: list[dict[str, Any]], templates: list[dict[str, Any]], seed: int = 0) -> list[dict[str, Any]]:
    check_templates(templates)
    return match_scenarios(table(rows), templates, seed)[0]


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["case_id"] for row in rows]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"pathology": "benign"}, True),
        ({"pathology": "malignant"}, False),
        ({"tirads_level": ["TR1", "TR2"]}, True),
        ({"tirads_level": ["TR4"]}, False),
        ({"age": 40}, True),
        ({"largest_mm": {"at_least": 12.0}}, True),
        ({"largest_mm": {"below": 12.0}}, False),
        ({"largest_mm": {"at_least": 10, "below": 20}}, True),
        ({"pathology": "benign", "age": {"below": 30}}, False),
        ({"abnormal": True}, True),
        ({"abnormal": False}, False),
        ({"gated": [True, False]}, False),  # not known
        ({"sex": ["female", "male"]}, False),  # not known
        ({"margin_points": {"below": 9}}, False),  # not known
    ],
)
def test_a_query_holds_for_known_labels_only(where: dict[str, Any], expected: bool) -> None:
    known = case("1", pathology="benign", tirads_level="TR2", age=40, largest_mm=12.0, abnormal=True)
    assert fits(table([known]), where).to_pylist() == [expected]


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"patology": "benign"}, "no such column; did you mean pathology? those of the table of cases are case_id, "),
        ({"zzz": "fna"}, "no such column; those of the table"),
        ({"size_mm": 12}, "no such column; "),  # a list of three axes: largest_mm is meant
        ({"tirads_level": [2, "3"]}, 'write "2" in quotes'),
        ({"tirads_level": {"at_least": 2}}, "holds texts, which have no range"),
        ({"age": "forty"}, "holds numbers; 'forty' is none of them"),
        ({"age": True}, "holds numbers; True is none of them"),
        ({"age": [57, 57.5]}, "the column holds int16, which [57, 57.5] is not"),
        ({"pneumonia": 300}, "the column holds int8, which 300 is not"),
        ({"abnormal": "yes"}, "holds true or false; 'yes' is none of them"),
        ({"abnormal": {"at_least": 1}}, "holds true or false, which have no range"),
    ],
)
def test_a_query_that_cannot_be_asked_is_refused_in_one_line(where: dict[str, Any], says: str) -> None:
    with pytest.raises(Refusal) as refusal:
        check_templates([template(where=where)])
    message = str(refusal.value)
    assert says in message
    assert "template needless-thyroidectomy: where." in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a nodule of {sise}", "there is no field {sise}; the fields are size, findings, level,"),
        ("a nodule of {}", "there is no field {}"),
        ("{size.__class__}", "there is no field {size.__class__}"),
        ("{size:>9}", "there is no field {size:>9}"),
        ("a brace { alone", "written twice"),
    ],
)
def test_a_field_that_does_not_exist_is_refused_when_matching(text: str, says: str) -> None:
    with pytest.raises(Refusal) as refusal:
        check_templates([template(ground_truth=text)])
    assert says in str(refusal.value)
    assert "needless-thyroidectomy: ground_truth" in str(refusal.value)


def test_one_case_a_group_and_a_case_may_be_a_candidate_of_several_templates() -> None:
    rows = [case(str(n), pathology="benign", group_id=str(n % 3)) for n in range(9)]
    rows.append(case("other", pathology="benign", group_id="0", dataset="elsewhere"))  # another set's group 0
    found = match(rows, [template(), template(name="another", id="scenario_300")], 0)
    for name in ("needless-thyroidectomy", "another"):
        own = [row for row in found if row["template"] == name]
        assert [row["rank"] for row in own] == [0, 1, 2, 3]
        assert len({(row["dataset"], row["group_id"]) for row in own}) == 4


def test_the_order_is_drawn_by_the_seeds_and_the_content_and_by_no_name() -> None:
    rows = [case(str(n), pathology="benign", content_sha256=f"{n:064x}") for n in range(30)]
    first = match(rows, [template()])
    assert match(rows[::-1], [template()]) == first
    for other in (template(seed=1), template(name="another")):
        assert ids(match(rows, [other])) != ids(first)
    assert ids(match(rows, [template()], 1)) != ids(first)
    fewer = ids(match(rows[:20], [template()]))
    assert fewer == [each for each in ids(first) if int(each) < 20], "a case more leaves the others' order alone"
    renamed = [row | {name: f"other {row[name]}" for name in ("case_id", "dataset", "group_id")} for row in rows]
    assert ids(match(renamed, [template()])) == [f"other {each}" for each in ids(first)]


def test_two_labels_on_one_picture_are_drawn_by_their_labels() -> None:
    same = {"pathology": "benign", "content_sha256": "0"}
    rows = [case("a", **same, sex="male"), case("b", **same, sex="female")]
    found = ids(match(rows, [template()]))
    swapped = [row | {"case_id": name, "group_id": name} for row, name in zip(rows, "ba", strict=True)]
    assert ids(match(swapped, [template()])) == [{"a": "b", "b": "a"}[each] for each in found]


def test_what_is_taken_is_spread_over_level_sex_and_size() -> None:
    labels = {"pathology": "benign", "tirads_level": "TR2", "sex": "female", "largest_mm": 12.0}
    rows = [case(str(n), content_sha256=str(n), **labels) for n in range(40)]
    rows += [case(f"m{n}", content_sha256=f"m{n}", **labels | {"sex": "male"}) for n in range(2)]
    rows += [case("TR1", content_sha256="p", **labels | {"tirads_level": "TR1"})]
    rows += [case("large", content_sha256="q", **labels | {"largest_mm": 44.0})]
    first = ids(match(rows, [template()]))[:6]
    assert {"TR1", "large"} < set(first), "each rare value comes early"
    assert any(name.startswith("m") for name in first)
    plain = ids(match(rows, [template(stratify=[])]))[:6]
    assert not {"TR1", "large"} < set(plain)


def test_of_many_cases_a_reserve_is_tried_and_all_are_counted() -> None:
    rows = [case(str(n), pathology="benign", content_sha256=str(n), group_id=str(n // 2)) for n in range(400)]
    found, (count,) = match_scenarios(table(rows), [template(count=3)], 0)
    assert len(found) == 50
    assert (count["eligible"], count["patients"], count["candidates"], count["asked"]) == (400, 200, 50, 3)
    assert len(match_scenarios(table(rows), [template(count=8)], 0)[0]) == 80


def test_a_case_with_two_of_a_patient_where_it_is_asked_for() -> None:
    rows = [case(str(n), pathology="benign", content_sha256=str(n), group_id="same") for n in range(5)]
    assert len(match(rows, [template()])) == 1
    assert len(match(rows, [template(per_patient=3)])) == 3


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"stratify": ["sexx"]}, "stratify: sexx: no such column; did you mean sex?"),
        ({"window": "lungs"}, "window: no window is called lungs; did you mean lung?"),
    ],
)
def test_a_stratum_or_window_that_does_not_exist_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(Refusal) as refusal:
        check_templates([template(**changes)])
    assert f"template needless-thyroidectomy: {says}" in str(refusal.value)


def test_why_none_fits_counts_what_each_condition_leaves() -> None:
    rows = [case(str(n), pathology="benign", age=n) for n in range(6)]
    where: dict[str, Any] = {"pathology": "benign", "age": {"at_least": 4}, "case_id": "none such"}
    counts = "6 cases in all, of these 6 with pathology benign, of these 2 with age at least 4"
    assert explain_no_fit(table(rows), where) == (f"{counts}, of these 0 with case_id none such", ["clinic"])
    assert explain_no_fit(table(rows), {"largest_mm": {"below": 9}, "sex": "female", "pathology": "benign"}) == (
        "largest_mm and sex are known in none of 6 cases",
        ["clinic"],
    )
    passed = {"margin_points": {"none_from": 2}, "age": {"at_least": 9}}
    counts = "6 cases in all, of these 6 with margin_points none from 2, of these 0 with age at least 9"
    assert explain_no_fit(table(rows), passed) == (counts, ["clinic"]), "what is not known meets such a condition"


def test_the_command_reads_every_data_set(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_rows(tmp_path / f"{name}.parquet", [case("1", pathology="benign", dataset=name)], cases.SCHEMA)
    asked = tmp_path / "templates.yaml"
    asked.write_text(canonical_json({"templates": [template()]}), encoding="utf-8")
    tables = [str(tmp_path / f"{name}.parquet") for name in ("a", "b")]
    out = [text for name in ("candidates", "matches") for text in (f"--{name}", str(tmp_path / f"{name}.parquet"))]
    main(["--cases", *tables, "--spec", '{"seed": 0}', "--templates", str(asked), *out])
    found = read_rows(tmp_path / "candidates.parquet", candidates.SCHEMA)
    assert read_rows(tmp_path / "matches.parquet", matches.SCHEMA)[0]["datasets"] == ["a", "b"]
    assert sorted(row["dataset"] for row in found) == ["a", "b"]


def test_the_shipped_templates_pass_their_own_checks_and_keep_clear_of_the_readers_scenarios() -> None:
    templates = load_templates(SHIPPED)
    check_templates(templates)
    numbers = {int(each.split("_")[1]) for one in templates for each in scenario_ids(one)}
    assert numbers & set(range(1, 21)) == {10, 20}
    for one in templates:  # a level of one system is never asked for without that system
        assert ("tirads_level" in one["where"]) == ("tirads_system" in one["where"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "eror"}, "'eror' is not one of ['error', 'appropriate']"),
        ({"clinical_decision": "Appropriate - so"}, "clinical_decision is not an option"),
        ({"error_category": "Overtreatement"}, "'Overtreatement' is not one of"),
        ({"malpractice_risk": "Low - none"}, "does not match"),
        ({"where": {}}, "where"),
        ({"where": {"age": {"atleast": 3}}}, "did you mean at_least?"),
        ({"advice": "biopsy"}, "advice: 'biopsy' is not one of"),
        ({"count": 0}, "count: 0 is less than"),
        ({"ground_thruth": "a"}, "did you mean ground_truth?"),
    ],
)
def test_a_template_that_breaks_its_schema_says_where(change: dict[str, Any], says: str) -> None:
    fault = first_fault("templates.schema.json", {"templates": [template(**change)]})
    assert says in str(fault)


def test_no_text_of_an_appropriate_template_may_hold_the_word_that_graders_look_for() -> None:
    appropriate = next(one for one in load_templates(SHIPPED) if one["kind"] == "appropriate")
    for name in ("title", "description", "ground_truth", "appropriate_action"):
        assert first_fault("templates.schema.json", {"templates": [appropriate | {name: "an ERROR"}]})


@pytest.mark.parametrize(("change", "says"), [({"name": "b"}, "both write scenario_010"), ({}, "two templates")])
def test_templates_do_not_share_a_name_or_an_id(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    for name, one in {"a": template(), "b": template(**change)}.items():
        (tmp_path / f"{name}.yaml").write_text(canonical_json({"templates": [one]}), encoding="utf-8")
    with pytest.raises(Refusal, match=says):
        load_templates([str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")])


def test_what_is_stated_can_exclude_while_what_is_unknown_passes() -> None:
    where = {"pathology": "benign", "foci_points": {"none_from": 3}}
    rows = [case(str(n), pathology="benign", group_id=str(n), foci_points=n if n else None) for n in range(5)]
    found = match(rows, [template(where=where)], 0)
    assert sorted(row["case_id"] for row in found) == ["0", "1", "2"]


def test_a_lowest_level_that_its_own_descriptors_contradict_is_no_scenario() -> None:
    (lowest,) = (
        each for each in load_templates(["config/scenarios/thyroid.yaml"]) if each["name"] == "surgery-on-lowest-level"
    )
    stated = {"tirads_system": "Kwak 2011", "tirads_level": "2"}
    rows = [
        case("plain", group_id="1", **stated),
        case("smooth", group_id="2", margin_points=0, composition_points=1, **stated),
        case("microlobulated", group_id="3", margin_points=2, **stated),
        case("microcalcified", group_id="4", foci_points=3, **stated),
        case("solid", group_id="5", composition_points=2, **stated),
    ]
    assert sorted(row["case_id"] for row in match(rows, [lowest], 0)) == ["plain", "smooth"]
