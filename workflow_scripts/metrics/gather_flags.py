"""Gather the flagged cases of all chunks, the worst first."""

from pathlib import Path

from workflow_scripts import command
from workflow_scripts.tables import flags
from workflow_scripts.tables.table import read_many, write_rows


def main(argv: list[str] | None = None) -> None:
    """Gather all tables of flags."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--chunks", type=command.existing, nargs="*", required=True, help="tables of flags")
    arguments.add_argument("--flags", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("gather_flags")
    flagged = read_many(args.chunks, flags.SCHEMA)
    flagged.sort(key=lambda row: (row["dice"], row["iou"], row["dataset"], row["case_id"], row["model"]))
    write_rows(args.flags, flagged, flags.SCHEMA)
    log.info("%d cases flagged", len(flagged))


if __name__ == "__main__":
    main()
