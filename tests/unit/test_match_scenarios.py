"""Which cases a template may take: by labels alone, and never by a label that is not known."""

from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.command import Refusal
from workflow_scripts.configuration import first_fault, load_templates, scenario_ids
from workflow_scripts.provenance import canonical_json
from workflow_scripts.scenarios.match_scenarios import main, match_scenarios
from workflow_scripts.scenarios.queries import explain_no_fit, fits
from workflow_scripts.tables import candidates, cases
from workflow_scripts.tables.table import read_rows, write_rows

SHIPPED = ["config/scenarios/thyroid.yaml"]


def case(case_id: str, **labels: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(cases.SCHEMA.names)
    return row | {"case_id": case_id, "dataset": "clinic", "group_id": case_id, "label_source": "none"} | labels


def template(**changes: Any) -> dict[str, Any]:
    return {**load_templates(SHIPPED)[0], "where": {"pathology": "benign"}, **changes}


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
        ({"sex": ["female", "male"]}, False),  # not known
        ({"margin_points": {"below": 9}}, False),  # not known
    ],
)
def test_a_query_holds_for_known_labels_only(where: dict[str, Any], expected: bool) -> None:
    known = case("1", pathology="benign", tirads_level="TR2", age=40, largest_mm=12.0)
    assert fits(known, where) is expected


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"patology": "benign"}, "no such column; did you mean pathology? those of the table of cases are case_id, "),
        ({"zzz": "fna"}, "no such column; those of the table"),
        ({"size_mm": 12}, "no such column; "),  # a list of three axes: largest_mm is meant
        ({"tirads_level": [2, "3"]}, 'write "2" in quotes'),
        ({"tirads_level": {"at_least": 2}}, "holds texts, which have no range"),
        ({"age": "forty"}, "'forty' is a text"),
    ],
)
def test_a_query_that_cannot_be_asked_is_refused_in_one_line(where: dict[str, Any], says: str) -> None:
    with pytest.raises(Refusal) as refusal:
        match_scenarios([case("1")], [template(where=where)], 0)
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
        match_scenarios([], [template(ground_truth=text)], 0)
    assert says in str(refusal.value)
    assert "needless-thyroidectomy: ground_truth" in str(refusal.value)


def test_one_case_a_group_and_a_case_may_be_a_candidate_of_several_templates() -> None:
    rows = [case(str(n), pathology="benign", group_id=str(n % 3)) for n in range(9)]
    rows.append(case("other", pathology="benign", group_id="0", dataset="elsewhere"))  # another set's group 0
    found = match_scenarios(rows, [template(), template(name="another", id="scenario_300")], 0)
    for name in ("needless-thyroidectomy", "another"):
        own = [row for row in found if row["template"] == name]
        assert [row["rank"] for row in own] == [0, 1, 2, 3]
        assert len({(row["dataset"], row["group_id"]) for row in own}) == 4


def test_the_order_is_drawn_by_the_seed_and_by_nothing_else() -> None:
    rows = [case(str(n), pathology="benign") for n in range(30)]
    first = match_scenarios(rows, [template()], 0)
    assert match_scenarios(rows[::-1], [template()], 0) == first
    assert ids(match_scenarios(rows, [template()], 1)) != ids(first)
    assert ids(match_scenarios(rows, [template(name="another")], 0)) != ids(first)
    fewer = ids(match_scenarios(rows[:20], [template()], 0))
    assert fewer == [each for each in ids(first) if int(each) < 20], "a case more leaves the others' order alone"


def test_why_none_fits_counts_what_each_condition_leaves() -> None:
    rows = [case(str(n), pathology="benign", age=n) for n in range(6)]
    where: dict[str, Any] = {"pathology": "benign", "age": {"at_least": 4}, "case_id": "none such"}
    counts = "6 cases in all, of these 6 with pathology benign, of these 2 with age at least 4"
    assert explain_no_fit(rows, where) == f"{counts}, of these 0 with case_id none such"
    assert explain_no_fit(rows, {"largest_mm": {"below": 9}, "sex": "female", "pathology": "benign"}) == (
        "largest_mm and sex are known in none of 6 cases"
    )


def test_the_command_reads_every_data_set(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_rows(tmp_path / f"{name}.parquet", [case("1", pathology="benign", dataset=name)], cases.SCHEMA)
    spec = canonical_json({"templates": [template()], "seed": 0})
    tables = [str(tmp_path / f"{name}.parquet") for name in ("a", "b")]
    main(["--cases", *tables, "--spec", spec, "--candidates", str(tmp_path / "out.parquet")])
    found = read_rows(tmp_path / "out.parquet", candidates.SCHEMA)
    assert sorted(row["dataset"] for row in found) == ["a", "b"]


def test_the_shipped_templates_pass_their_own_checks_and_keep_clear_of_the_readers_scenarios() -> None:
    templates = load_templates(SHIPPED)
    match_scenarios([], templates, 0)
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
    found = match_scenarios(rows, [template(where=where)], 0)
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
    assert sorted(row["case_id"] for row in match_scenarios(rows, [lowest], 0)) == ["plain", "smooth"]
