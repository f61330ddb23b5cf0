"""The words of the page in English and Chinese, and where its figures come from."""

import re
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup, escape

HERE = Path(__file__).parent
WORDS, ORIGINS = "words.yaml", "origins.yaml"


class Words:
    """A label in two languages: it stands in English, and carries the Chinese that the page's switch puts there."""

    def __init__(self, english: Markup, chinese: Markup) -> None:
        """Hold the two, filled and escaped."""
        self.english, self.chinese = english, chinese

    def __html__(self) -> Markup:
        """Return the label as it stands within other text."""
        return self.element("span")

    def element(self, tag: str, **attributes: str) -> Markup:
        """Return the label as an element that holds nothing else, for SVG, which knows no span."""
        given = Markup().join(Markup(' {}="{}"').format(name, value) for name, value in attributes.items())
        text = escape(str(self.chinese))  # its markup as well: it stands in an attribute
        return Markup('<{0}{1} data-zh="{2}">{3}</{0}>').format(tag, given, text, self.english)

    def attribute(self, name: str) -> Markup:
        """Return the label as an attribute, such as aria-label."""
        texts = self.english.striptags(), self.chinese.striptags()
        return Markup('{0}="{1}" data-zh-{0}="{2}"').format(name, *texts)


class Count(int):
    """A number in a label: its thousands are grouped, and `{0:s}` is the s of an English plural."""

    def __format__(self, spec: str) -> str:
        """Return the number, or the ending of the word that it counts."""
        return ("" if self == 1 else "s") if spec == "s" else f"{int(self):,}"


class Wording:
    """What the templates say: a label without its Chinese raises KeyError."""

    def __init__(self) -> None:
        """Read the dictionary and the origins."""
        words, self.origins = (yaml.safe_load((HERE / name).read_text(encoding="utf-8")) for name in (WORDS, ORIGINS))
        self.labels: dict[str, str] = words["labels"]
        self.values: dict[str, str] = words["values"]
        self.used: dict[str, dict[str, None]] = {}  # of each origin that was named, the data sets

    def label(self, english: str, *values: Any) -> Words:
        """Return a label; {0} and {1} in it are the values, of which words stand in the label's language."""
        return self._fill(english, self.labels[english], *values)

    def told(self, text: Any) -> Any:
        """Return a word or a sentence of a table, with its Chinese where the dictionary has it."""
        return self._fill(Markup.escape(text), Markup.escape(self.values[text])) if text in self.values else text

    def _fill(self, english: str, chinese: str, *values: Any) -> Words:
        given = [Count(value) if type(value) is int else self.shown(value) for value in values]
        both = [(value.english, value.chinese) if isinstance(value, Words) else (value, value) for value in given]
        texts = zip(*both, strict=True) if both else ((), ())
        return Words(*(Markup(text).format(*own) for text, own in zip((english, chinese), texts, strict=True)))

    def shown(self, value: Any) -> Any:
        """Return how a value stands in the page: what is not known says so, thousands are grouped."""
        if value is None:
            return self.label("not known")
        if isinstance(value, float):
            return f"{value:g}"
        return f"{value:,}" if isinstance(value, int) else value

    def origin(self, *names: str, dataset: str | None = None) -> Markup:
        """Return the line that says which tables a figure is from, with links, and which rules made them."""
        told = Markup("; ").join(self._origin(name, dataset) for name in names)
        return Markup('<p class="from">{}</p>').format(told)

    def _origin(self, name: str, dataset: str | None) -> Words:
        self.used.setdefault(name, {})[dataset or ""] = None
        rules = Markup(", ").join(Markup("<code>{}</code>").format(rule) for rule in self.origins[name]["rules"])
        return self.label("from {0}, made by {1}", self.link(name, dataset), rules)

    def link(self, name: str, dataset: str | None = None, text: str = "") -> Markup:
        """Return a link to a table, or to the folder of its parts, from where the report lies."""
        path = self.origins[name]["path"].replace("{dataset}", dataset or "{dataset}")
        named = re.sub(r"\{[^{}]*\}", "*", re.sub(r"(\{(model|fold|chunk)\}.*)", "", path))
        return Markup('<a href="../{0}">{1}</a>').format(path.partition("{")[0], text or named)
