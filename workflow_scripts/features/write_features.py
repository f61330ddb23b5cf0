"""Write the feature database: one de-identified row for each outlined nodule, a folder for each data set, a dictionary.

No file name, date, age, sex or picture goes in, and no identifier: keyed hashes stand for cases and groups.
"""

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts import command
from workflow_scripts.collections.collection import Source, card_of
from workflow_scripts.files import write_folder_beside
from workflow_scripts.tables import cases, features, nodules
from workflow_scripts.tables.cases import DESCRIPTORS
from workflow_scripts.tables.table import planned, read_many, stream_rows, write_rows

SCORES = {name: name for name in ("dice", "iou", "hd95", "surface_distance")}
QUALITY = {"estimate": "estimated_dice", "lower_bound": "dice_lower_bound", "review": "review"}
QUERY = (
    "SELECT dataset, tirads_system, tirads_level, count(*) AS nodules, median(echogenicity) AS echogenicity"
    " FROM read_parquet('results/features/*/*.parquet', hive_partitioning = true)"
    " WHERE outlined_by = 'expert' GROUP BY ALL ORDER BY ALL"
)
README = """\
# The feature database

One row is one outlined nodule on one frame: the expert's outline, and that of each model. A clip has many rows of one
nodule, and a patient may have several: count `case_id` and `group_id`, and split by `group_id`.

The files are Parquet, `dataset=NAME/part.parquet`. A question of one line, where the results lie:

```
python -c "import duckdb; print(duckdb.sql(\\"{query}\\"))"
```

Pseudonyms are hashes under a secret that lies in the run's cache: who has it and the data can undo them. Words that are
said of one group alone are left out. That does not make the rows anonymous: the column `redistribution` and the
NOTICE.txt beside each file say under which terms they stand. What is `forbidden` or `unclear` stays in the building.

| column | unit | meaning |
|---|---|---|
| `dataset` |  | the data set: the folder's name |
{rows}
"""

Row = Mapping[str, Any]


def rare_words(rows: Iterable[Row]) -> set[tuple[str, str]]:
    """Return (descriptor, words) that one group alone has: what is written freely may say of whom."""
    holders: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        for name in DESCRIPTORS:
            if row[name]:
                holders[name, row[name]].add(row["group_id"])
    return {words for words, groups in holders.items() if len(groups) == 1}


def of_predictions(dataset: Path, table: str, models: Iterable[Row], names: Mapping[str, str]) -> dict[Any, Row]:
    """Return some columns of a table of predictions under new names, by (frame_id, model, fold).

    `models` are the (model, fold) pairs that the data set has that table of.
    """
    return {
        (row["frame_id"], row["model"], row["fold"]): {new: row[name] for name, new in names.items()}
        for model, fold in models
        for path in planned(dataset, f"{table}/{model}/{fold}")
        for row in stream_rows(path, ["frame_id", "model", "fold", *names])
    }


def feature_rows(dataset: Path, kind: str, has: Row, cache: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of `features` of one data set.

    Parameters
    ----------
    dataset
        The folder <results>/datasets/<name>.
    kind
        The kind of the data set.
    has
        What there is beside the nodules: `grades` (bool), `scores` and `quality` (lists of [model, fold]).
    cache
        The run's cache, where the secret lies.
    """
    rows = {row["case_id"]: row for row in read_many(planned(dataset, "chunks"), cases.SCHEMA)}
    redistribution = card_of(kind, rows.values()).redistribution
    pseudonym = Source(dataset, cache).pseudonym
    rare = rare_words(rows.values())
    levels: dict[str, dict[str, str]] = defaultdict(dict)
    for grade in stream_rows(dataset / "grades.parquet") if has["grades"] else ():
        if grade["level"]:
            levels[grade["case_id"]][grade["system"]] = grade["level"]
    scores = of_predictions(dataset, "scores", has["scores"], SCORES)
    quality = of_predictions(dataset, "quality", has["quality"], QUALITY)
    for nodule in read_many(planned(dataset, "nodules"), nodules.SCHEMA):
        case = rows[nodule["case_id"]]
        prediction = nodule["frame_id"], nodule["outlined_by"], nodule["fold"]
        yield {
            "case_id": pseudonym(f"{dataset.name}/case/{case['case_id']}"),
            "group_id": pseudonym(f"{dataset.name}/group/{case['group_id']}"),
            "frame_index": int(nodule["frame_id"].rpartition("/")[2]),
            **{field.name: nodule[field.name] for field in features.MEASURED},
            **{name: case[name] for name in (*features.SAID, "largest_mm")},
            **{f"{name}_said": None if (name, case[name]) in rare else case[name] for name in DESCRIPTORS},
            **{f"{name}_points": case[f"{name}_points"] for name in DESCRIPTORS},
            "levels": sorted(levels[case["case_id"]].items()),
            **scores.get(prediction, {}),
            **quality.get(prediction, {}),
            "redistribution": redistribution,
        }


def place(row: Row) -> tuple[Any, ...]:
    """Return where a row stands: in the order of the pseudonyms, which tells nothing of that of the source."""
    return row["case_id"], row["frame_index"], row["outlined_by"], row["fold"] or "", row["nodule"]


def dictionary() -> str:
    """Return the data dictionary in Markdown, from the schema."""
    lines = []
    for field in features.SCHEMA:
        about = {key.decode(): value.decode() for key, value in field.metadata.items()}
        lines.append(f"| `{field.name}` | {about.get('unit', '')} | {about['meaning']} |")
    return README.format(query=QUERY, rows="\n".join(lines))


def write_features(datasets: Path, spec: Row, cache: Path, out: Path) -> dict[str, int]:
    """Write the database into the folder `out`, and return the rows of each data set.

    `spec` has `datasets`: for each name its `kind`, and `grades`, `scores`, `quality` as `feature_rows` reads them.
    """
    counts = {}
    for name, has in sorted(spec["datasets"].items()):
        rows = sorted(feature_rows(datasets / name, has["kind"], has, cache), key=place)
        folder = out / f"dataset={name}"
        write_rows(folder / "part.parquet", rows, features.SCHEMA)
        shutil.copyfile(datasets / name / "NOTICE.txt", folder / "NOTICE.txt")
        counts[name] = len(rows)
    (out / "README.md").write_text(dictionary(), encoding="utf-8")
    return counts


def main(argv: list[str] | None = None) -> None:
    """Write the feature database of a run."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder of the data sets' results")
    arguments.add_argument("--cache", type=Path, required=True, help="the run's cache, where the secret lies")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="what each data set has, as JSON")
    arguments.add_argument("--features", type=Path, required=True, help="folder to write")
    args = arguments.parse_args(argv)
    log = command.start("write_features")
    with write_folder_beside(args.features) as beside:
        counts = write_features(args.datasets, args.spec, args.cache, beside)
    for name, count in counts.items():
        log.info("%s: %d nodules", name, count)


if __name__ == "__main__":
    main()
