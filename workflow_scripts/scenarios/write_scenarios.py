"""Fill the scenarios with real pictures, or refuse them with the reason.

Each template goes down its candidates in their order. A case is used once, and one case of a group, over all templates.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from workflow_scripts import command
from workflow_scripts.collections.collection import Card, card_of
from workflow_scripts.configuration import scenario_ids
from workflow_scripts.files import write_beside
from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.provenance import pixel_sha256
from workflow_scripts.scenarios.pictures import check_picture, choose_shot, read_picture
from workflow_scripts.scenarios.queries import explain_no_fit
from workflow_scripts.scenarios.reader_format import make_entry, make_metadata, write_entries
from workflow_scripts.scenarios.wording import Unfit, fill_texts
from workflow_scripts.tables import candidates, cases, grades, scenarios
from workflow_scripts.tables.table import planned, read_rows, stream_rows, write_rows

IMAGES = "images"
"""The folder of the pictures as scenarios.json names it: beside the file."""


@dataclass(frozen=True)
class DataSet:
    """What the stages before have made of one data set: `folder` holds their tables, `root` the source files."""

    folder: Path
    root: Path
    kind: str

    @cached_property
    def card(self) -> Card:
        """What is known of the data set."""
        return card_of(self.kind, self.cases.values())

    @cached_property
    def cases(self) -> dict[str, dict[str, Any]]:
        """Every case by its id."""
        return {row["case_id"]: row for row in read_rows(self.folder / "cases.parquet", cases.SCHEMA)}

    @cached_property
    def grades(self) -> dict[str, Mapping[str, Any]]:
        """The grade of every case that is not in quarantine; none where the data set is not graded."""
        path = self.folder / "grades.parquet"
        return grades.by_main(read_rows(path, grades.SCHEMA)) if path.is_file() else {}

    @cached_property
    def chunks(self) -> dict[str, str]:
        """The name of the file that holds a case, in each of the chunked tables."""
        paths = planned(self.folder, "chunks")
        return {row["case_id"]: path.name for path in paths for row in stream_rows(path, ["case_id"])}


@dataclass
class Taken:
    """What the scenarios filled so far have used up."""

    groups: set[tuple[str, str]]
    pictures: set[str]


def fill_scenario(
    template: dict[str, Any], scenario_id: str, case: Mapping[str, Any], dataset: DataSet, taken: Taken, images: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fill one scenario from one case: write its picture, and return its entry and its row of `scenarios`.

    Raises
    ------
    Unfit
        When the case cannot take the scenario; nothing is written then.
    """
    group = (case["dataset"], case["group_id"])
    if group in taken.groups:
        raise Unfit("the case, or one of its group, is in another scenario")
    grade = dataset.grades.get(case["case_id"])
    if grade is None:
        raise Unfit("in quarantine: not graded")
    if template.get("advice", grade["advice"]) != grade["advice"]:
        raise Unfit(f"the advice by {grade['system']} is {grade['advice']!r}, not {template['advice']!r}")
    texts = fill_texts(template, case, grade)
    chunk = dataset.chunks[case["case_id"]]
    frames, inputs = dataset.folder / "frames" / chunk, dataset.folder / "inputs" / chunk
    shot = choose_shot(frames, inputs, case["case_id"])
    picture = read_picture(frames, inputs, dataset.root, shot.frame_id)
    check_picture(picture)
    image_sha256 = pixel_sha256(picture)
    if image_sha256 in taken.pictures:
        raise Unfit("its picture is already in another scenario")
    taken.groups.add(group)
    taken.pictures.add(image_sha256)
    (images / f"{scenario_id}.png").write_bytes(encode_png(picture))
    image_file = f"{IMAGES}/{scenario_id}.png"
    metadata = make_metadata(case, grade, dataset.card, image_sha256)
    return make_entry(template, texts, scenario_id, image_file, metadata), {
        "template": template["name"],
        "scenario_id": scenario_id,
        "status": "filled",
        "dataset": case["dataset"],
        "case_id": case["case_id"],
        "frame_id": shot.frame_id,
        "ground_truth": texts["ground_truth"],
        "image": {"bytes": None, "path": image_file},
        "image_sha256": image_sha256,
        "source_sha256": shot.source_sha256,
    }


def fill_template(
    template: dict[str, Any], fitting: Sequence[dict], datasets: Mapping[str, DataSet], taken: Taken, images: Path
) -> Iterator[tuple[dict[str, Any] | None, dict[str, Any]]]:
    """Yield an entry (None where refused) and a row of `scenarios` for each scenario that a template asks for."""
    waiting, filled, passed = iter(fitting), 0, Counter[str]()
    for scenario_id in scenario_ids(template):
        for candidate in waiting:
            dataset = datasets[candidate["dataset"]]
            try:
                case = dataset.cases[candidate["case_id"]]
                entry, row = fill_scenario(template, scenario_id, case, dataset, taken, images)
            except Unfit as reason:
                passed[str(reason)] += 1
                continue
            filled += 1
            yield entry, {**row, "reason": f"passed over: {_tally(passed)}" if passed else None}
            break
        else:
            why = why_refused(template, len(fitting), filled, passed, datasets)
            yield (
                None,
                {"template": template["name"], "scenario_id": scenario_id, "status": "refused", "reason": why},
            )


def why_refused(
    template: dict[str, Any], fitting: int, filled: int, passed: Counter[str], datasets: Mapping[str, DataSet]
) -> str:
    """Say in words why a template finds too few cases: by label, or what became of those that fit."""
    if fitting:
        ends = [f"{filled} taken by this template"] if filled else []
        ends += [_tally(passed)] if passed else []
        return f"too few cases: {fitting} fit by label (one a group), {template['count']} asked for; {'; '.join(ends)}"
    every = [case for dataset in datasets.values() for case in dataset.cases.values()]
    cards = [
        f"the card of {name} says: {dataset.card.truths}"
        for name, dataset in datasets.items()
        if any(all(case[column] is None for case in dataset.cases.values()) for column in template["where"])
    ]
    return "; ".join([f"no case fits by label: {explain_no_fit(every, template['where'])}", *cards])


def _tally(passed: Counter[str]) -> str:
    return "; ".join(f"{count} x {reason}" for reason, count in sorted(passed.items()))


def main(argv: list[str] | None = None) -> None:
    """Write the scenarios of all data sets."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder with the data sets' tables")
    arguments.add_argument("--roots", type=command.json_argument, required=True, help="each data set's folder as JSON")
    arguments.add_argument("--candidates", type=command.existing, required=True, help="table of candidates")
    arguments.add_argument(
        "--update", type=command.existing, nargs="*", help="an existing scenarios.json to carry over"
    )
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="templates, kinds as JSON")
    arguments.add_argument("--scenarios", type=Path, required=True, help="scenarios.json to write")
    arguments.add_argument("--table", type=Path, required=True, help="table to write")
    arguments.add_argument("--images", type=Path, required=True, help="folder of pictures to write")
    args = arguments.parse_args(argv)
    log = command.start("write_scenarios")
    datasets = {
        name: DataSet(args.datasets / name, Path(args.roots[name]), kind) for name, kind in args.spec["kinds"].items()
    }
    ranked = sorted(read_rows(args.candidates, candidates.SCHEMA), key=lambda row: row["rank"])
    taken, entries, rows = Taken(set(), set()), [], []
    shutil.rmtree(args.images, ignore_errors=True)
    args.images.mkdir(parents=True)
    for template in args.spec["templates"]:
        fitting = [row for row in ranked if row["template"] == template["name"]]
        for entry, row in fill_template(template, fitting, datasets, taken, args.images):
            entries += [entry] if entry else []
            rows.append(row)
            log.info("%s: %s%s", row["scenario_id"], row["status"], f", {row['reason']}" if row["reason"] else "")
    existing = args.update[0] if args.update else None
    with write_beside(args.scenarios) as beside:
        beside.write_bytes(write_entries(entries, existing and existing.read_bytes(), str(existing)))
    write_rows(args.table, rows, scenarios.SCHEMA)


if __name__ == "__main__":
    main()
