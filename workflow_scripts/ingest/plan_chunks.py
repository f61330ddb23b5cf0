"""Deal the cases that go through into chunks, the unit of work: a new case lands in one and leaves the others alone."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from workflow_scripts import command
from workflow_scripts.provenance import chunk_of
from workflow_scripts.tables import candidates, cases
from workflow_scripts.tables.table import read_many, read_rows, write_rows


def plan_chunks(rows: list[dict[str, Any]], n_chunks: int, wanted: set[str] | None = None) -> dict[str, list]:
    """Return the rows of `cases` by chunk name, those in `wanted` only when it is given; no chunk is empty."""
    chunks = defaultdict(list)
    for row in rows:
        if wanted is None or row["case_id"] in wanted:
            chunks[chunk_of(row["case_id"], n_chunks)].append(row)
    return dict(sorted(chunks.items()))


def forget(dataset: Path, planned: set[str]) -> None:
    """Remove the chunks of an earlier plan that this one does not name: pixels of cases that are gone do not stay."""
    for path in dataset.glob("**/[0-9][0-9][0-9].parquet"):
        if path.stem not in planned:
            path.unlink()


def main(argv: list[str] | None = None) -> None:
    """Plan one data set."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--dataset", required=True, help="the data set's name")
    arguments.add_argument("--cases", type=command.existing, required=True)
    arguments.add_argument(
        "--candidates", type=command.existing, nargs="*", help="only the cases that scenarios may take"
    )
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="n_chunks, extract as JSON")
    arguments.add_argument("--out", type=Path, required=True, help="folder for one table of cases a chunk")
    args = arguments.parse_args(argv)
    log = command.start("plan_chunks")
    rows = read_rows(args.cases, cases.SCHEMA)
    wanted = None
    if args.spec["extract"] == "candidates":
        wanted = {
            row["case_id"] for row in read_many(args.candidates, candidates.SCHEMA) if row["dataset"] == args.dataset
        }
    args.out.mkdir(parents=True, exist_ok=True)
    plan = plan_chunks(rows, args.spec["n_chunks"], wanted)
    forget(args.out.parent, set(plan))
    for name, chunk in plan.items():
        write_rows(args.out / f"{name}.parquet", chunk, cases.SCHEMA)
        log.info("chunk %s: %d cases", name, len(chunk))


if __name__ == "__main__":
    main()
