"""Get a data set: what there is, how one gets it, and whether what arrived is whole.

  --list                          every data set that Casebook reads: size, counts, terms, how one gets it
  --info NAME                     all that is known of one: steps, terms, layout, what to cite
  --dataset NAME --prepare        make a folder for it with these steps in a README, and print the configuration
  --dataset NAME --download       fetch it: what is open at once; what is Stanford's through your own link (below)
  --dataset NAME --check          is it whole? Lists files and reads tables, no pixel; ends with 1 if not

A restricted data set is never fetched without a link of your own. Accept the terms on its page (--info names it), then
give the link that the page shows you, which is like a password, in the environment:

  read -rs CASEBOOK_SAS_URL && export CASEBOOK_SAS_URL      # paste the link, press Enter; it is not shown
  python -m workflow_scripts.download_aimi_samples --dataset thyroid-cineclip --download --to /data/thyroid-cineclip

The link is not logged and not written anywhere. A download that was interrupted goes on where it was when you give the
same command again; half files are called NAME.part, and only what arrived whole (MD5, or length) gets its name. No file
that is there already is overwritten.

What comes from The Cancer Imaging Archive is open and needs no link. The rest (`by hand`) you download yourself.
"""

import argparse
from pathlib import Path

from workflow_scripts import command
from workflow_scripts.collections.collection import card
from workflow_scripts.download import azure, tcia
from workflow_scripts.download.catalogue import COMMAND, configuration, describe, find_card, names, route, table
from workflow_scripts.download.check import check
from workflow_scripts.download.prepare import README, prepare


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    arguments = command.parser(__doc__)
    arguments.prog = COMMAND
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="every data set in a table")
    what.add_argument("--info", metavar="NAME", help="all that is known of one")
    what.add_argument("--dataset", metavar="NAME", help="the data set to prepare, download or check")
    then = arguments.add_mutually_exclusive_group()
    then.add_argument("--prepare", action="store_true", help="make its folder and a README")
    then.add_argument("--download", action="store_true", help="fetch it, or go on fetching it")
    then.add_argument("--check", action="store_true", help="say whether it is whole")
    arguments.add_argument(
        "--to", "--root", dest="folder", type=Path, metavar="FOLDER", help="its folder (default: data/NAME)"
    )
    return arguments


def main(argv: list[str] | None = None) -> None:
    """List, describe, prepare, download or check data sets.

    Raises
    ------
    Refusal
        With one line that says what is wrong and how to mend it.
    """
    arguments = parser()
    args = arguments.parse_args(argv)
    if bool(args.dataset) != (args.prepare or args.download or args.check):
        arguments.error("--dataset NAME goes with one of --prepare, --download and --check")
    if args.list:
        print(table([card(name) for name in names()]))
        return
    about = find_card(args.info or args.dataset)
    if args.info:
        print(describe(about), end="")
        return
    folder = args.folder or Path("data") / about.name
    if args.check:
        said, whole = check(about, folder)
        print(said)
        if not whole:
            raise SystemExit(1)
        return
    way = route(about)
    if args.download and way == "hand":
        raise command.Refusal(f"{about.name} cannot be fetched for you; do it by hand:\n{about.obtain}")
    print("\n".join(prepare(about, folder)))
    if args.download:
        try:
            count, others = tcia.download(about, folder) if way == "tcia" else (azure.download(about, folder), [])
        except KeyboardInterrupt:
            raise command.Refusal("interrupted; what arrived is kept: give the same command again to go on") from None
        except OSError as error:
            raise command.Refusal(f"{folder}: {error}; what arrived is kept") from None
        print(f"{count} files fetched; the others were there. {folder.resolve()} has all that can be fetched.")
        if others:
            print("These need a browser, or Aspera's client (ascli):", *others, sep="\n  ")
        if archives := sorted(path.name for path in folder.rglob("*.zip")):
            print(f"Unpack, in the same folder: {', '.join(archives)}")
        print(f"Then: {COMMAND} --dataset {about.name} --check --root {folder}")
    else:
        print(f"What to do next stands in {folder / README}.")
    print(f"\nThe configuration that names it:\n\n{configuration(about, folder)}", end="")


if __name__ == "__main__":
    main()
