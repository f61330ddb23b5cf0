"""The figures of the report: what came in, what came out, what became of the rest, and what the labels say."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.collections.collection import card_of
from workflow_scripts.files import natural
from workflow_scripts.tables import cases, grades, quarantine
from workflow_scripts.tables.table import planned, read_many, read_rows, stream_rows

STAGES = ("index_cases", "extract_frames", "preprocess_frames", "grade_nodules")
IMPORT = "import_masks"  # beside the way of a case: what was wrong with a mask that the user gave
STATUSES = ("quarantined", "excluded", "partial", "noticed")
CARD = (
    "name",
    "title",
    "version",
    "doi",
    "homepage",
    "citation",
    "acknowledgement",
    "terms",
    "redistribution",
    "truths",
)
UNDETERMINED = "cannot be determined"


@dataclass(frozen=True)
class Tables:
    """The tables of one data set without their pictures."""

    cases: dict[str, dict[str, Any]]  # by case_id
    planned: set[str]  # the cases that the plan names
    graded: bool  # whether the data set's cases get a grade
    frames: dict[str, Counter[str]]  # by case_id: taken, outlined, ready, cut
    grades: dict[str, Mapping[str, Any]]  # by case_id, by the system that every case is graded by
    levels: list[dict[str, Any]]  # of every case, by every system
    problems: list[dict[str, Any]]  # rows of quarantine


def read_tables(folder: Path, scored_with: Collection[str]) -> Tables:
    """Read the tables of the data set under `folder`, scored with these models; pictures are not read."""
    imported = [f"{IMPORT}/{model}" for model in scored_with if (folder / "quarantine" / IMPORT / model).is_dir()]
    stages = [*STAGES[1:3], *imported]
    graded = (folder / "grades.parquet").is_file()
    levels = read_rows(folder / "grades.parquet", grades.SCHEMA) if graded else []
    by_chunk = [path for stage in stages for path in planned(folder, f"quarantine/{stage}")]
    whole = [folder / "quarantine" / f"{stage}.parquet" for stage in (STAGES[0], *STAGES[3:][:graded])]
    return Tables(
        cases={row["case_id"]: row for row in read_rows(folder / "cases.parquet", cases.SCHEMA)},
        graded=graded,
        planned={row["case_id"] for path in planned(folder, "chunks") for row in stream_rows(path, ["case_id"])},
        frames=count_frames(folder),
        grades=grades.by_main(levels),
        levels=levels,
        problems=read_many([*whole, *by_chunk], quarantine.SCHEMA),
    )


def count_frames(folder: Path) -> dict[str, Counter[str]]:
    """Count the frames of every case: taken, outlined by an expert, ready for a model, with a cut outline."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for path in planned(folder, "frames"):
        for row in stream_rows(path, ["case_id", "mask.path"]):  # whether there is a mask, without its pixels
            counts[row["case_id"]].update(taken=1, outlined=row["mask"] is not None)
    for path in planned(folder, "inputs"):
        for row in stream_rows(path, ["case_id", "mask_kept"]):
            counts[row["case_id"]].update(ready=1, cut=row["mask_kept"] is not None and row["mask_kept"] < 1)
    return counts


def follow_cases(name: str, tables: Tables) -> tuple[set[str], dict[str, Any]]:
    """Return the cases that got through, and how many went where.

    A case got through when it has a frame that is ready, and a grade, and no stage quarantined it; one that the plan
    does not name was not asked for.

    Raises
    ------
    RuntimeError
        When the cases in are not the cases out, those in quarantine, excluded, and not asked for: one went astray.
    """
    left_at: dict[str, str] = {}
    excluded = {row["case_id"] for row in tables.problems if row["status"] == "excluded"}
    on_the_way = [row for row in tables.problems if row["stage"] in STAGES]
    for row in sorted(on_the_way, key=lambda row: STAGES.index(row["stage"])):
        if row["status"] == "quarantined":
            left_at.setdefault(row["case_id"], row["stage"])
    found = tables.cases.keys() | excluded | {case for case, stage in left_at.items() if stage == STAGES[0]}
    not_asked = tables.cases.keys() - tables.planned - left_at.keys()
    ready = {case for case, counts in tables.frames.items() if counts["ready"]}
    through = (ready & tables.grades.keys() if tables.graded else ready) - left_at.keys()
    if astray := sorted(found ^ (through | not_asked | excluded | left_at.keys()), key=natural):
        raise RuntimeError(
            f"{name}: {len(found)} cases in are not {len(through)} out + {len(left_at)} quarantined"
            f" + {len(excluded)} excluded + {len(not_asked)} not asked for; astray: {', '.join(astray[:5])}"
        )
    left = len(found)
    flow = []
    for stage in STAGES if tables.graded else STAGES[:-1]:
        lost = sum(at == stage for at in left_at.values())
        left -= lost
        flow.append({"stage": stage, "quarantined": lost, "left": left})
        if stage == STAGES[0]:
            left -= len(excluded)
            flow[-1] |= {"excluded": len(excluded), "left": left}
            left -= len(not_asked)
            flow.append({"stage": "plan_chunks", "not_asked_for": len(not_asked), "left": left})
    counts = {
        "in": len(found),
        "out": len(through),
        "quarantined": len(left_at),
        "excluded": len(excluded),
        "not_asked_for": len(not_asked),
        "partial": len({row["case_id"] for row in on_the_way if row["status"] == "partial"} & through),
    }
    return through, {"cases": counts, "flow": flow}


def count_levels(rows: Iterable[tuple[str | None, str | None, str | None]]) -> list[dict[str, Any]]:
    """Count cases, and benign and malignant ones by histology, by system and level: `rows` of these and pathology."""
    counts: dict[tuple[str | None, str | None], Counter[str | None]] = defaultdict(Counter)
    for system, level, pathology in rows:
        counts[system, level][pathology] += 1
    return [
        {
            "system": system,
            "level": level,
            "cases": found.total(),
            "benign": found["benign"],
            "malignant": found["malignant"],
            "without_histology": found[None],
        }
        for (system, level), found in sorted(
            counts.items(), key=lambda item: [(text is None, natural(text or "")) for text in item[0]]
        )
    ]


def why_undetermined(grade: Mapping[str, Any], size_mm: list[float | None] | None) -> str:
    """Return the kind of reason for which a case has no advice, without the figures of the single case."""
    if grade["level"] is None:
        reason: str = grade["reason"].partition(";")[0]
        return reason.removeprefix(f"{grade['system']}: ")
    if not any(size_mm or []):
        return "the level is known, but no diameter"
    return "the level is known, but one of the diameters is not, and may be the largest"


def summarise_grades(tables: Tables, through: set[str]) -> dict[str, Any]:
    """Count levels as stated and as computed, the advice, and the reasons where there is none."""
    rows = [tables.cases[case] for case in through]
    graded = [(tables.grades[row["case_id"]], row) for row in rows]
    reasons = Counter(
        why_undetermined(grade, row["size_mm"]) for grade, row in graded if grade["advice"] == UNDETERMINED
    )
    return {
        "cases": len(rows),
        "with_histology": sum(row["pathology"] is not None for row in rows),
        "stated": count_levels((row["tirads_system"], row["tirads_level"], row["pathology"]) for row in rows),
        "computed": count_levels(
            (grade["system"], grade["level"], tables.cases[grade["case_id"]]["pathology"])
            for grade in tables.levels
            if grade["case_id"] in through
        ),
        "advice": most_common(Counter(grade["advice"] for grade, _ in graded), "advice"),
        "undetermined": most_common(reasons, "reason"),
    }


def most_common(counts: Counter[str], what: str) -> list[dict[str, Any]]:
    """Return counts as rows, the largest first; equal ones by name."""
    return [{what: name, "cases": n} for name, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def group_problems(problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of `quarantine` by stage, status and reason; reasons that differ in figures only are one."""
    stages = (*STAGES, IMPORT)
    groups: dict[tuple[int, int, str], list[dict[str, Any]]] = defaultdict(list)
    for row in problems:
        reason = re.sub(r"\d+(\.\d+)?", "…", row["reason"])
        groups[stages.index(row["stage"]), STATUSES.index(row["status"]), reason].append(row)
    return [
        {
            "stage": stages[stage],
            "status": STATUSES[status],
            "reason": reason if len({row["reason"] for row in rows}) > 1 else rows[0]["reason"],
            "cases": len({row["case_id"] for row in rows}),
            "rows": [
                {key: row[key] for key in ("case_id", "file", "reason", "mend")}
                for row in sorted(rows, key=lambda row: (natural(row["case_id"]), natural(row["file"] or "")))
            ],
        }
        for (stage, status, reason), rows in sorted(groups.items(), key=lambda item: item[0])
    ]


def compare_counts(published: Mapping[str, int], tables: Tables, through: set[str], n_found: int) -> list[dict]:
    """Return patients, cases and frames as published, as found, and as they got through; None is not known."""

    def patients(rows: Iterable[Mapping[str, Any]]) -> int | None:
        kinds = {(row["group_kind"], row["group_id"]) for row in rows}
        return len(kinds) if kinds and all(kind == "patient" for kind, _ in kinds) else None

    claimed = [row["n_frames"] for row in tables.cases.values()]
    found = {
        "patients": (patients(tables.cases.values()), patients(tables.cases[case] for case in through)),
        "cases": (n_found, len(through)),
        "frames": (None if None in claimed else sum(claimed), sum(tables.frames[case]["taken"] for case in through)),
    }
    return [
        {"what": what, "published": published.get(what), "found": n, "through": m} for what, (n, m) in found.items()
    ]


def summarise_dataset(name: str, kind: str, tables: Tables) -> tuple[set[str], dict[str, Any]]:
    """Return the cases of a data set that got through, and all its figures."""
    through, followed = follow_cases(name, tables)
    frames = sum((tables.frames[case] for case in through), Counter[str]())
    own = card_of(kind, tables.cases.values())
    return through, {
        "kind": kind,
        **followed,
        "frames": {key: frames[key] for key in ("taken", "outlined", "ready", "cut")},
        "grades": summarise_grades(tables, through) if tables.graded else None,
        "quarantine": group_problems(tables.problems),
        "card": {key: getattr(own, key) for key in CARD},
        "counts": compare_counts(own.counts, tables, through, followed["cases"]["in"]),
    }
