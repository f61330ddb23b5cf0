"""Write docs/reference/ from what it describes: options, tables and rules."""

import importlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from workflow_scripts import command
from workflow_scripts.files import write_beside
from workflow_scripts.provenance import ROOT
from workflow_scripts.read_rules import Rule, read_rules
from workflow_scripts.tables.table import IMAGE

CONFIG = ROOT / "config"
TABLES = ROOT / "workflow_scripts" / "tables"
HEAD = "<!-- Written by `make docs` from {sources}: change those. -->\n\n# {title}\n\n{text}\n"
OPTIONS = """\
Your own file needs only what differs from the defaults; [config/README.md](../../config/README.md) says how
it is read. An option that does not exist, or a value that does not fit, stops the run with one line."""
TABLES_TEXT = """\
All tables are Parquet files. Any program that reads Parquet reads them, and each column carries its meaning
and its unit in its metadata. A column may be null, and null means "not known" or "does not apply", never zero or no,
unless its type says "never null". Pictures lie in a column as PNG bytes, or as the path of a file that already is the
picture. `chunks/` holds the rows of `cases`, dealt into files."""
RULES_TEXT = """\
A rule makes files from files; Snakemake runs those whose files are missing or out of date. `<results>` is
`results/` in the folder that the workflow runs in. Words in braces stand for many: `{dataset}` is your name of a data
set, `{chunk}` three digits, `{fold}` a number or `given`, any other word several files of one kind. What a rule reads
is what its text names; a run reads of it what its options ask for. An option that names a file stands by its own name,
as `datasets.<name>.groups`. The data sets themselves are not listed. Memory is what a job reserves at its first
attempt; each further attempt reserves as much more."""
ROW = re.compile(r"^#   (\w+) +(\S.*)")


def cell(text: str) -> str:
    """Return a text as one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(map(cell, row))} |" for row in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]]) + "\n"


def comments(text: str) -> dict[str, str]:
    """Return the comment above each key of config.yaml by its dotted name; a list of names in it, each on its own."""
    found: dict[str, str] = {}
    parent, block = "", list[str]()
    for line in text.splitlines():
        key = re.match(r"( *)(\w+):(.*)", line)
        if line.lstrip().startswith("#"):
            block.append(line.strip())
        elif key:
            parent = "" if not key[1] else parent
            of_a_set, rest = _listed(block)
            found |= {f"datasets.<name>.{name}": said for name, said in of_a_set.items()}
            found[f"{parent}{key[2]}"] = rest
            parent = parent if key[1] or key[3].strip() else f"{key[2]}."
            block = []
        else:
            block = []
    return found


def _listed(block: list[str]) -> tuple[dict[str, str], str]:
    """Part a comment into the names that it lists and the rest."""
    listed: dict[str, str] = {}
    rest, name = list[str](), ""
    for line in block:
        if row := ROW.match(line):
            name = row[1]
            listed[name] = row[2]
        elif name:
            listed[name] += " " + line.removeprefix("#").strip()
        else:
            rest.append(line.removeprefix("#").strip())
    text = " ".join(rest)
    return listed, re.sub(r" [^.]*:$", "", text) if listed else text


def allowed(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Say in words which values a JSON schema allows."""
    if "$ref" in schema:
        return allowed(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "oneOf" in schema:
        return ", or ".join(allowed(one, definitions) for one in schema["oneOf"])
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value).strip(chr(34))}`" for value in schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return ", or ".join(_kind(kind, schema, definitions) for kind in kinds)


def _kind(kind: str, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Say one type of a JSON schema."""
    if kind in ("integer", "number"):
        bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
        said = [f"{word} {schema[name]}" for name, word in bounds.items() if name in schema]
        return " ".join(["whole number" if kind == "integer" else "number", *said])
    if kind == "array":
        of = allowed(schema["items"], definitions) if "items" in schema else "anything"
        return f"list of {schema['minItems']}: {of}" if schema.get("minItems", 0) > 1 else f"list: {of}"
    if kind == "object":
        keys = ", ".join(f"`{key}`" for key in schema.get("properties", {}))
        return f"keys {keys}" if keys else "names and values"
    return {"string": "text", "boolean": "`true`, `false`", "null": "`null`"}[kind]


def leaves(schema: Mapping[str, Any], parent: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each option of a schema under its dotted name; `datasets` is one, and has a table of its own."""
    for name, option in schema["properties"].items():
        if option.get("type") == "object" and "properties" in option:
            yield from leaves(option, f"{parent}{name}.")
        else:
            yield f"{parent}{name}", option


def options() -> str:
    """Return the page of options.

    Raises
    ------
    ValueError
        When an option of the schema has no comment in config.yaml: nothing would be said of it.
    """
    text = (CONFIG / "config.yaml").read_text(encoding="utf-8")
    schema = json.loads((CONFIG / "schemas" / "config.schema.json").read_text(encoding="utf-8"))
    defaults, said, definitions = yaml.safe_load(text), comments(text), schema["$defs"]
    sections: dict[str, list[tuple[str, ...]]] = {"": []}
    for name, option in leaves(schema):
        section, _, key = name.rpartition(".")
        meaning = said.get(name) or option.get("description")
        if not meaning:
            raise ValueError(f"config.yaml says nothing of {name}: write a comment above it")
        values = "one entry a data set, see below" if name == "datasets" else allowed(option, definitions)
        value = json.dumps((defaults[section] if section else defaults)[key])
        sections.setdefault(section, []).append((f"`{name}`", values, f"`{value}`", meaning))
    own = list[tuple[str, ...]]()
    for name, option in schema["properties"]["datasets"]["additionalProperties"]["properties"].items():
        if f"datasets.<name>.{name}" not in said:
            raise ValueError(f"config.yaml says nothing of {name} of a data set: list it above `datasets`")
        own.append((f"`{name}`", allowed(option, definitions), said[f"datasets.<name>.{name}"]))
    text = HEAD.format(
        sources="config/config.yaml and config/schemas/config.schema.json", title="Options", text=OPTIONS
    )
    for section, rows in sections.items():
        about = f"{said[section]}\n\n" if said.get(section) else ""
        text += f"\n## {section}\n\n{about}" if section else "\n## The run\n\n"
        text += table(("option", "values", "default", "meaning"), rows)
    return text + "\n## A data set\n\nUnder `datasets.<name>`:\n\n" + table(("option", "values", "meaning"), own)


def type_of(kind: pa.DataType) -> str:
    """Return an Arrow type in words."""
    if kind == IMAGE:
        return "picture"
    if pa.types.is_map(kind):
        return f"map of {type_of(kind.key_type)} to {type_of(kind.item_type)}"
    if pa.types.is_fixed_size_list(kind):
        return f"list of {kind.list_size} {type_of(kind.value_type)}"
    return f"list of {type_of(kind.value_type)}" if pa.types.is_list(kind) else str(kind)


def tables() -> str:
    """Return the page of tables: every module of `tables/` that has a schema, with who writes it where."""
    modules = {
        path.stem: importlib.import_module(f"workflow_scripts.tables.{path.stem}") for path in TABLES.glob("*.py")
    }
    found = {name: module for name, module in sorted(modules.items()) if hasattr(module, "SCHEMA")}
    text = HEAD.format(sources="workflow_scripts/tables/*.py", title="Tables", text=TABLES_TEXT)
    for name, module in found.items():
        about, _, more = (module.__doc__ or "").strip().partition("\n\n")
        about = about.removeprefix(f"{name}: ")
        rows = [
            (
                f"`{field.name}`",
                type_of(field.type) + ("" if field.nullable else ", never null"),
                (field.metadata or {}).get(b"unit", b"").decode(),
                (field.metadata or {}).get(b"meaning", b"").decode(),
            )
            for field in module.SCHEMA
        ]
        lies = ", ".join(f"`{path}` ([{rule}](rules.md#{rule}))" for rule, path in _written(name))
        lies = f"Where it lies: {lies}.\n\n" if lies else ""
        paragraphs = "\n\n".join(filter(None, (about[:1].upper() + about[1:], more)))
        text += f"\n## {name}\n\n{paragraphs}\n\n{lies}" + table(("column", "type", "unit", "meaning"), rows)
    return text


def _written(table: str) -> list[tuple[str, str]]:
    """Return the rules that write a table, and where: by the path, or else by the keyword of the output."""
    made = [(rule.name, key, path) for rule in read_rules() for key, path in rule.output]
    lies = re.compile(
        rf"<results>(/datasets/{{dataset}})?/{table}$|<results>/datasets/{{dataset}}/{table}/|/{table}\.parquet$"
    )
    by_path = [(rule, path) for rule, _, path in made if lies.search(path)]
    return by_path or [(rule, path) for rule, key, path in made if key == table]


def rules() -> str:
    """Return the page of rules: the targets that one can ask for, then what makes files, a file of rules a section."""
    found = read_rules()
    snakefile = (ROOT / "Snakefile").read_text(encoding="utf-8")
    about_all = re.findall(r'^rule all:\n    """(.*)"""', snakefile, re.MULTILINE)[0]
    text = HEAD.format(sources="Snakefile and rules/*.smk", title="Rules", text=RULES_TEXT)
    targets = [(f"`{rule.name}`", rule.about) for rule in found if not rule.output]
    also = ", ".join(f"`{rule.name}`" for rule in found if rule.output and not rule.wild)
    text += "\n## Targets\n\n`snakemake TARGET` makes what is missing for it.\n\n"
    text += table(("target", "what it gives"), [("none, or `all`", about_all), *targets])
    text += f"\nThese rules can be asked for by name as well: {also}.\n"
    for file in dict.fromkeys(rule.file for rule in found if rule.output):
        text += f"\n## {file.relative_to(ROOT).as_posix()}\n"
        for rule in found:
            if rule.file == file and rule.output:
                text += _section(rule)
    return text


def _section(rule: Rule) -> str:
    """Return what there is to say of one rule that makes files."""
    takes = f"{rule.threads} {'thread' if rule.threads == '1' else 'threads'}"
    takes += f", {rule.memory} GB" if rule.memory else ""
    made = list(dict.fromkeys(path for _, path in rule.output))
    lists = [
        f"{title}\n\n" + "".join(f"- `{path}`\n" for path in paths)
        for title, paths in (("Reads", rule.input), ("Writes", made))
        if paths
    ]
    where = "; runs where Snakemake was started, on a cluster too" if rule.local else ""
    return f"\n### {rule.name}\n\n{rule.about}\n\nTakes {takes}{where}.\n\n" + "\n".join(lists)


PAGES = {"options.md": options, "tables.md": tables, "rules.md": rules}


def main(argv: list[str] | None = None) -> None:
    """Write the pages."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--out", type=Path, required=True, help="folder to write them to")
    args = arguments.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        with write_beside(args.out / name) as beside:
            beside.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
