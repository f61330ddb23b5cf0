"""What the terms of the data sets let pass: which of them may leave the building, and which models with them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.collections.collection import Card, card_of
from workflow_scripts.tables.table import stream_rows

FREE_ENCODERS = ("none: trained from nothing", "imagenet")


def cards_of(datasets: Path, kinds: Mapping[str, str]) -> dict[str, Card]:
    """Return the card of each data set of a run, by its name; of phantoms, which are nobody's, that of phantoms."""
    return {
        name: card_of(kind, stream_rows(datasets / name / "cases.parquet", ["label_source"]))
        for name, kind in sorted(kinds.items())
    }


def may_pass(card: Card) -> bool:
    """Tell whether a data set may be passed on: what is not clearly allowed is forbidden."""
    return card.redistribution == "allowed"


def public_names(cards: Mapping[str, Card]) -> dict[str, str]:
    """Return what each data set is called in a release: its kind, for its user's name may tell a place.

    Of several of one kind the second is `<kind>-2`, and so on.
    """
    names: dict[str, str] = {}
    for name, card in cards.items():
        before = sum(cards[other].name == card.name for other in names)
        names[name] = f"{card.name}-{before + 1}" if before else card.name
    return names


def slug(card: Card) -> str:
    """Return the name of the folder of all that stands under the same terms: their first words."""
    first = re.split(r"[;:,(]|\.\s", card.terms, maxsplit=1)[0]
    return re.sub(r"[^a-z0-9]+", "-", first.lower()).strip("-")


def free_models(models: Path, cards: Mapping[str, Card]) -> list[Path]:
    """Return the cards (JSON files) of the models that learnt from nothing but what may be passed on."""
    found = []
    for path in sorted(models.glob("*/fold-*.json")):
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        learnt_from = [cards.get(name) for name in about.get("trained_on", {})]
        if (
            learnt_from
            and all(card is not None and may_pass(card) for card in learnt_from)
            and about["redistribution"] == "allowed"
            and about["encoder_weights"] in FREE_ENCODERS
            and path.with_suffix(".safetensors").is_file()
        ):
            found.append(path)
    return found
