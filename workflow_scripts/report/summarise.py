"""The figures of the report: what came in, what came out, what became of the rest, and what the labels say."""

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workflow_scripts.collections.collection import card_of
from workflow_scripts.files import natural
from workflow_scripts.report.follow_cases import IMPORT, STAGES, Tables, follow_cases

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
LISTED = 200
"""Rows of a list that the page holds; its table holds all."""


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


def summarise_grades(tables: Tables, through: np.ndarray) -> dict[str, Any]:
    """Count levels as stated and as computed, the advice, and the reasons where there is none."""
    rows = {row["case_id"]: row for row in tables.cases.filter(pa.array(through)).to_pylist()}
    graded = [(tables.grades[case_id], row) for case_id, row in rows.items()]
    reasons = Counter(
        why_undetermined(grade, row["size_mm"]) for grade, row in graded if grade["advice"] == UNDETERMINED
    )
    return {
        "cases": len(rows),
        "with_histology": sum(row["pathology"] is not None for row in rows.values()),
        "stated": count_levels((row["tirads_system"], row["tirads_level"], row["pathology"]) for row in rows.values()),
        "computed": count_levels(
            (grade["system"], grade["level"], rows[grade["case_id"]]["pathology"])
            for grade in tables.levels
            if grade["case_id"] in rows
        ),
        "advice": most_common(Counter(grade["advice"] for grade, _ in graded), "advice"),
        "undetermined": most_common(reasons, "reason"),
    }


def most_common(counts: Counter[str], what: str) -> list[dict[str, Any]]:
    """Return counts as rows, the largest first; equal ones by name."""
    return [{what: name, "cases": n} for name, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def group_problems(problems: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of `quarantine` by stage, status and reason; reasons that differ in figures only are one.

    Of each group the first `LISTED` rows are listed, by case and file; `more` is how many there are beside them.
    """
    stages = (*STAGES, IMPORT)
    groups: dict[tuple[int, int, str], _Group] = defaultdict(_Group)
    for row in problems:
        reason = re.sub(r"\d+(\.\d+)?", "…", row["reason"])
        groups[stages.index(row["stage"]), STATUSES.index(row["status"]), reason].add(row)
    return [
        {
            "stage": stages[stage],
            "status": STATUSES[status],
            "reason": reason if len(group.reasons) > 1 else group.reasons[0],
            "cases": len(group.cases),
            "rows": group.first(),
            "more": max(0, group.n - LISTED),
        }
        for (stage, status, reason), group in sorted(groups.items(), key=lambda item: item[0])
    ]


class _Group:
    """Problems with one reason: how many, of which cases, and the first of them."""

    def __init__(self) -> None:
        self.n, self.cases, self.reasons = 0, set[str](), list[str]()
        self._rows: list[dict[str, Any]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        self.n += 1
        self.cases.add(row["case_id"])
        if len(self.reasons) < 2 and row["reason"] not in self.reasons:
            self.reasons.append(row["reason"])
        self._rows.append({key: row[key] for key in ("case_id", "file", "reason", "mend")})
        if len(self._rows) > 40 * LISTED:
            self._rows = self.first()

    def first(self) -> list[dict[str, Any]]:
        return heapq.nsmallest(
            LISTED, self._rows, key=lambda row: (natural(row["case_id"]), natural(row["file"] or ""))
        )


def compare_counts(published: Mapping[str, int], tables: Tables, through: np.ndarray, n_found: int) -> list[dict]:
    """Return patients, cases and frames as published, as found, and as they got through; None is not known."""

    def patients(rows: pa.Table) -> int | None:
        known = rows["group_kind"].unique().to_pylist() == ["patient"]
        return int(pc.count_distinct(rows["group_id"]).as_py()) if known else None

    claimed = tables.cases["n_frames"]
    found = {
        "patients": (patients(tables.cases), patients(tables.cases.filter(pa.array(through)))),
        "cases": (n_found, int(through.sum())),
        "frames": (
            None if claimed.null_count else pc.sum(claimed).as_py() or 0,
            int(tables.counts["taken"][through].sum()),
        ),
    }
    return [
        {"what": what, "published": published.get(what), "found": n, "through": m} for what, (n, m) in found.items()
    ]


def summarise_dataset(name: str, kind: str, tables: Tables) -> tuple[dict[str, None], dict[str, Any]]:
    """Return the cases of a data set that got through, in the order of its table, and all its figures."""
    through, followed = follow_cases(name, tables)
    own = card_of(kind, tables.cases.select(["label_source"]).group_by("label_source").aggregate([]).to_pylist())
    return dict.fromkeys(tables.cases["case_id"].filter(pa.array(through)).to_pylist()), {
        "kind": kind,
        **followed,
        "frames": {key: int(tables.counts[key][through].sum()) for key in ("taken", "outlined", "ready", "cut")},
        "grades": summarise_grades(tables, through) if tables.graded else None,
        "quarantine": group_problems(tables.problems()),
        "card": {key: getattr(own, key) for key in CARD},
        "counts": compare_counts(own.counts, tables, through, followed["cases"]["in"]),
    }
