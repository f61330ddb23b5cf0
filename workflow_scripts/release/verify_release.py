"""Say of each scenario of a release whether one's own data gave the same; ends with 1 unless all are.

What is written and printed names no case and no file of a data set.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workflow_scripts import command
from workflow_scripts.configuration import load_templates
from workflow_scripts.files import natural, write_beside
from workflow_scripts.release.differences import OPTIONS, bearing_on
from workflow_scripts.release.lock import describe_run, lock_scenarios, read_lock
from workflow_scripts.release.locked_frames import Drawings, find_frames
from workflow_scripts.release.verdicts import MEND, SAME, Judge
from workflow_scripts.scenarios.data_set import DataSet
from workflow_scripts.tables import candidates, scenarios
from workflow_scripts.tables.table import read_rows


def verify_release(
    there: Mapping[str, Any], folder: Path, ranked: Path, datasets: Path, roots: Mapping[str, str], spec: dict[str, Any]
) -> dict[str, Any]:
    """Return what became of each scenario of a release, and what differs between the two runs.

    Parameters
    ----------
    there
        The release's lock.
    folder, ranked
        Own scenarios, and the table of candidates.
    datasets, roots
        Folder with the data sets' tables, and the folder of each data set.
    spec
        As the lock is made of.
    """
    kinds = {name: own["kind"] for name, own in spec["datasets"].items()}
    locked, changed = lock_scenarios(folder, kinds)
    here = {"scenarios": locked, "templates": spec["templates"], "run": describe_run(spec)}
    reasons = {row["scenario_id"]: row["reason"] for row in read_rows(folder / "scenarios.parquet", scenarios.SCHEMA)}
    sources = {name: each.get("source_sha256") for name, each in there["scenarios"].items()}
    others = {source for name, source in sources.items() if source != locked.get(name, {}).get("source_sha256")} - {
        None
    }
    found = {frame: own[0] for frame, own in find_frames({name: datasets / name for name in kinds}, others).items()}
    rows = read_rows(ranked, candidates.SCHEMA)
    wanted = {(row["dataset"], row["case_id"]) for row in rows} | set(found.values())
    read = {
        name: DataSet(datasets / name, Path(roots[name]), kind, frozenset(case for own, case in wanted if own == name))
        for name, kind in kinds.items()
    }
    judge = Judge(there, here, changed, reasons, found, Drawings(read, rows))
    verdicts = {name: judge.judge(name) for name in sorted(there["scenarios"], key=natural)}
    counts = Counter(verdict.verdict for verdict in verdicts.values())
    options = bearing_on(judge.differ, OPTIONS)
    return {
        "casebook_verify": 1,
        "same": not set(counts) - set(SAME),
        "counts": {verdict: counts[verdict] for verdict in MEND if verdict in counts},
        "options": options,
        "versions": [how for how in judge.differ.values() if how not in options],
        "scenarios": {name: asdict(verdict) for name, verdict in verdicts.items()},
    }


def summarise(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a report for people: counts first, what was set otherwise, each scenario, and what to do."""
    counts, told = report["counts"], report["scenarios"]
    same = sum(counts.get(verdict, 0) for verdict in SAME)
    yield f"{same} of {len(told)} scenarios are as the release has them: " + ", ".join(
        f"{count} {verdict}" for verdict, count in counts.items()
    )
    if report["options"]:
        yield "Your run used other options or templates: " + "; ".join(report["options"])
    if report["versions"]:
        yield "It ran with other versions: " + "; ".join(report["versions"])
    yield ""
    for name, one in told.items():
        tiles = f" ({one['tiles']} of 64 tiles)" if one["tiles"] else ""
        yield f"{name}  {one['verdict']}{tiles}{': ' + one['why'] if one['why'] else ''}"
    if not report["same"]:
        yield ""
        yield "What to do:"
        yield from (f"  {verdict}: {MEND[verdict]}" for verdict in counts if verdict not in SAME)


def main(argv: list[str] | None = None) -> None:
    """Verify a release; the report is written, and printed, before anything is refused."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--release", required=True, help="a release's folder, or its lock")
    arguments.add_argument("--scenarios", type=command.existing, required=True, help="folder of the scenarios")
    arguments.add_argument("--candidates", type=command.existing, required=True, help="table of candidates")
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder with the data sets' tables")
    arguments.add_argument("--roots", type=command.json_argument, required=True, help="each data set's folder as JSON")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="config, datasets, code as JSON")
    arguments.add_argument("--templates", nargs="+", required=True, help="files or folders of templates")
    arguments.add_argument("--report", type=Path, required=True, help="JSON to write")
    args = arguments.parse_args(argv)
    command.start("verify_release")
    if not args.release:
        raise command.Refusal("verify: no release is named; add --config verify=<its folder, or its lock>")
    there, spec = read_lock(Path(args.release)), args.spec | {"templates": load_templates(args.templates)}
    report = verify_release(there, args.scenarios, args.candidates, args.datasets, args.roots, spec)
    with write_beside(args.report) as beside:
        beside.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(*summarise(report), sep="\n")
    if not report["same"]:
        differ = len(report["scenarios"]) - sum(report["counts"].get(verdict, 0) for verdict in SAME)
        raise command.Refusal(f"{differ} of {len(report['scenarios'])} scenarios are not as the release has them")


if __name__ == "__main__":
    main()
