"""Fill the scenarios with real pictures, or refuse them with the reason.

Each template goes down its candidates in their order, in turns with the others. A case is used once, and one case of a
group, over all templates.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa

from workflow_scripts import command
from workflow_scripts.configuration import load_templates, scenario_ids
from workflow_scripts.files import natural, write_beside, write_folder_beside
from workflow_scripts.imaging.text import available
from workflow_scripts.provenance import pixel_sha256
from workflow_scripts.scenarios.data_set import DataSet
from workflow_scripts.scenarios.pictures import as_srgb_png, draw, tile_hashes
from workflow_scripts.scenarios.queries import fits
from workflow_scripts.scenarios.reader_format import make_entry, make_metadata, texts_sha256, write_entries
from workflow_scripts.scenarios.taken import Taken
from workflow_scripts.scenarios.wording import Unfit, fill_texts
from workflow_scripts.tables import candidates, cases, grades, matches, scenarios
from workflow_scripts.tables.table import read_rows, write_rows

IMAGES = "images"
"""The folder of the pictures as scenarios.json names it: beside the file."""


@dataclass(frozen=True)
class Writing:
    """Where pictures go, and whether words are looked for in them (the option `scenarios.text`)."""

    images: Path
    text: str


def fill_scenario(
    template: dict[str, Any], scenario_id: str, case: Mapping[str, Any], dataset: DataSet, taken: Taken, spec: Writing
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fill one scenario from one case: write its picture, and return its entry and its row of `scenarios`.

    Raises
    ------
    Unfit
        When the case cannot take the scenario; nothing is written then.
    """
    patient = (case["dataset"], case["group_id"])
    if taken.patients[patient] >= template.get("per_patient", 1):
        raise Unfit("the case, or one of its group, is in another scenario")
    grade = grade_of(template, case, dataset)
    texts = fill_texts(template, case, grade)
    drawn = draw(dataset.chunk_of(case["case_id"]), case["case_id"], template, spec.text)
    taken.take(patient, drawn.picture)
    written = {"image": drawn.picture} | ({} if drawn.overlay is None else {"overlay": drawn.overlay})
    files = {name: f"{scenario_id}{'' if name == 'image' else '_overlay'}.png" for name in written}
    for name, picture in written.items():
        (spec.images / files[name]).write_bytes(as_srgb_png(picture))
    paths = {name: f"{IMAGES}/{file}" for name, file in files.items()}
    image_sha256 = pixel_sha256(drawn.picture)
    metadata = make_metadata(template, case, grade, dataset.card, image_sha256, paths.get("overlay"))
    entry = make_entry(template, texts, scenario_id, paths["image"], metadata)
    return entry, {
        **known_of(template, scenario_id),
        "status": "filled",
        "dataset": case["dataset"],
        "case_id": case["case_id"],
        "frame_id": drawn.shot.frame_id,
        "frame_index": drawn.shot.frame_index,
        "ground_truth": texts["ground_truth"],
        **{name: {"bytes": None, "path": path} for name, path in paths.items()},
        "image_sha256": image_sha256,
        "source_sha256": drawn.shot.source_sha256,
        "text_sha256": texts_sha256(entry),
        "tile_sha256": tile_hashes(drawn.picture),
    }


def grade_of(template: Mapping[str, Any], case: Mapping[str, Any], dataset: DataSet) -> Mapping[str, Any]:
    """Return the row of `grades` of a case, of nulls where its data set is not graded.

    Raises
    ------
    Unfit
        When it is not graded though others of its data set are, or the advice is not the one that the template needs.
    """
    grade = dict.fromkeys(grades.SCHEMA.names) if dataset.grades is None else dataset.grades.get(case["case_id"])
    if grade is None:
        raise Unfit("in quarantine: not graded")
    if template.get("advice", grade["advice"]) != grade["advice"]:
        raise Unfit(f"the advice by {grade['system']} is {grade['advice']!r}, not {template['advice']!r}")
    return grade


def known_of(template: Mapping[str, Any], scenario_id: str) -> dict[str, Any]:
    """Return what a row of `scenarios` says before a case is looked for."""
    return {"template": template["name"], "scenario_id": scenario_id, "kind": template["kind"]}


def fill_template(
    template: dict[str, Any],
    fitting: Sequence[dict[str, Any]],
    locked: Mapping[str, Sequence[dict[str, Any]]],
    match: Mapping[str, Any],
    datasets: Mapping[str, DataSet],
    taken: Taken,
    spec: Writing,
) -> Iterator[tuple[dict[str, Any] | None, dict[str, Any]]]:
    """Yield an entry (None where refused) and a row of `scenarios` for each scenario that a template asks for.

    `locked` has the cases with the frame that a release took for a scenario: they are tried first, and their patients
    are kept for it.
    """
    kept = {(row["dataset"], row["group_id"]) for rows in locked.values() for row in rows}
    waiting = (row for row in fitting if (row["dataset"], row["group_id"]) not in kept)
    filled, passed = 0, Counter[str]()
    for scenario_id in scenario_ids(template):
        for candidate in chain(locked.get(scenario_id, ()), waiting):
            dataset = datasets[candidate["dataset"]]
            try:
                case = dataset.cases[candidate["case_id"]]
                entry, row = fill_scenario(template, scenario_id, case, dataset, taken, spec)
            except Unfit as reason:
                passed[str(reason)] += 1
                continue
            filled += 1
            yield entry, {**row, "reason": f"passed over: {_tally(passed)}" if passed else None}
            break
        else:
            could = template.get("cannot", {}).get("could")
            why = why_refused(template, match, filled, passed, datasets)
            yield None, {**known_of(template, scenario_id), "status": "refused", "reason": why, "could": could}


def cases_of_release(
    template: dict[str, Any],
    found: Mapping[str, Sequence[tuple[str, str]]],
    fitting: Sequence[Mapping[str, Any]],
    datasets: Mapping[str, DataSet],
) -> dict[str, list[dict[str, Any]]]:
    """Return, of the scenarios of a template, the cases that have the frame of a release's and fit by label.

    They need not be candidates: who has more cases than the release had draws others. Of several with the same frame
    the first candidate comes first, as it did there.
    """
    ranks = {(row["dataset"], row["case_id"]): row["rank"] for row in fitting}
    locked = {}
    for scenario_id in scenario_ids(template) if "where" in template else ():
        own = sorted(found.get(scenario_id, ()), key=lambda each: ranks.get((each[0], each[1]), len(ranks)))
        rows = pa.Table.from_pylist([datasets[name].cases[case_id] for name, case_id in own], cases.SCHEMA)
        locked[scenario_id] = rows.filter(fits(rows, template["where"])).to_pylist()
    return locked


def why_refused(
    template: dict[str, Any],
    match: Mapping[str, Any],
    filled: int,
    passed: Counter[str],
    datasets: Mapping[str, DataSet],
) -> str:
    """Say in words why a template finds too few cases: by what it is, by label, or what became of those that fit."""
    if "cannot" in template:
        return f"cannot be filled: {template['cannot']['reason']}"
    if match["eligible"]:
        fit = f"{match['eligible']} cases of {match['patients']} patients fit by label, {match['candidates']} tried"
        ends = [f"{filled} taken by this template"] if filled else []
        ends += [_tally(passed)] if passed else []
        return "; ".join([f"too few cases: {fit}, {template['count']} asked for", *ends])
    cards = [f"the card of {name} says: {datasets[name].card.truths}" for name in match["datasets"]]
    return "; ".join([f"no case fits by label: {match['unfit']}", *cards])


def _tally(passed: Counter[str]) -> str:
    return "; ".join(f"{count} x {reason}" for reason, count in sorted(passed.items()))


def main(argv: list[str] | None = None) -> None:
    """Write the scenarios of all data sets."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder with the data sets' tables")
    arguments.add_argument("--roots", type=command.json_argument, required=True, help="each data set's folder as JSON")
    arguments.add_argument("--candidates", type=command.existing, required=True, help="table of candidates")
    arguments.add_argument("--matches", type=command.existing, required=True, help="table of matches")
    arguments.add_argument(
        "--update", type=command.existing, nargs="*", help="an existing scenarios.json to carry over"
    )
    arguments.add_argument("--locked", type=command.existing, nargs="*", help="the cases with a release's frames")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="kinds, text as JSON")
    arguments.add_argument("--templates", nargs="+", required=True, help="files or folders of templates")
    arguments.add_argument("--scenarios", type=Path, required=True, help="scenarios.json to write")
    arguments.add_argument("--table", type=Path, required=True, help="table to write")
    arguments.add_argument("--images", type=Path, required=True, help="folder of pictures to write")
    args = arguments.parse_args(argv)
    log = command.start("write_scenarios")
    templates = load_templates(args.templates)
    if args.spec["text"] != "off" and available() is None:
        raise command.Refusal(
            "scenarios.text: the text detector is not installed; install the group `text` of pyproject.toml, or write "
            'text: "off"'
        )
    ranked = defaultdict[str, list[dict[str, Any]]](list)
    for row in sorted(read_rows(args.candidates, candidates.SCHEMA), key=lambda row: row["rank"]):
        ranked[row["template"]].append(row)
    wanted = defaultdict[str, set[str]](set)
    for row in (row for rows in ranked.values() for row in rows):
        wanted[row["dataset"]].add(row["case_id"])
    found = json.loads(args.locked[0].read_text(encoding="utf-8")) if args.locked else {}
    for name, case_id in chain.from_iterable(found.values()):
        wanted[name].add(case_id)
    datasets = {
        name: DataSet(args.datasets / name, Path(args.roots[name]), kind, frozenset(wanted[name]))
        for name, kind in args.spec["kinds"].items()
    }
    locked = {
        scenario_id: own
        for template in templates
        for scenario_id, own in cases_of_release(template, found, ranked[template["name"]], datasets).items()
    }
    matched = {row["template"]: row for row in read_rows(args.matches, matches.SCHEMA)}
    taken, entries, rows = Taken(), [], []
    with write_folder_beside(args.images) as images:
        spec = Writing(images, args.spec["text"])
        filling = [
            fill_template(template, ranked[template["name"]], locked, matched[template["name"]], datasets, taken, spec)
            for template in templates
        ]
        # In turns, one scenario each: where patients are few, no template takes them all.
        for entry, row in chain.from_iterable(zip_longest(*filling, fillvalue=(None, None))):
            if row:
                entries += [entry] if entry else []
                rows.append(row)
                log.info("%s: %s%s", row["scenario_id"], row["status"], f", {row['reason']}" if row["reason"] else "")
    rows.sort(key=lambda row: natural(row["scenario_id"]))
    existing = args.update[0] if args.update else None
    with write_beside(args.scenarios) as beside:
        beside.write_bytes(write_entries(entries, existing and existing.read_bytes(), str(existing)))
    write_rows(args.table, rows, scenarios.SCHEMA)


if __name__ == "__main__":
    main()
