"""Deal the cases that go through into chunks, the unit of work: a new case lands in one and leaves the others alone."""

from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from workflow_scripts import command
from workflow_scripts.files import write_folder_beside
from workflow_scripts.provenance import chunk_of
from workflow_scripts.tables import candidates, cases
from workflow_scripts.tables.table import read_table, write_table


def plan_chunks(ids: list[str], n_chunks: int) -> dict[str, list[int]]:
    """Return the places of the cases `ids` by chunk name, in their order; no chunk is empty."""
    chunks = defaultdict(list)
    for place, case_id in enumerate(ids):
        chunks[chunk_of(case_id, n_chunks)].append(place)
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
    found = read_table(args.cases, cases.SCHEMA)
    if args.spec["extract"] == "candidates":
        asked = pa.concat_tables([read_table(path, candidates.SCHEMA) for path in args.candidates])
        own = asked.filter(pc.field("dataset") == args.dataset)
        found = found.filter(pc.is_in(found["case_id"], own["case_id"].combine_chunks()))
    plan = plan_chunks(found["case_id"].to_pylist(), args.spec["n_chunks"])
    forget(args.out.parent, set(plan))
    # Taken once, not chunk by chunk: each time it goes through the whole table.
    found = found.take(pa.array([place for places in plan.values() for place in places], pa.int64()))
    start = 0
    with write_folder_beside(args.out) as chunks:
        for name, places in plan.items():
            write_table(chunks / f"{name}.parquet", found.slice(start, len(places)))
            start += len(places)
            log.info("chunk %s: %d cases", name, len(places))


if __name__ == "__main__":
    main()
