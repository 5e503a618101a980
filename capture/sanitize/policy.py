"""What is done with what: the rules of a policy, read from TOML and asked by place and name.

A name is matched by its words, so that `card number` is `card_number`, `card-number`, `cardNumber`
and `CARDNUMBER`. The first rule that matches decides. Decisions are remembered: the names in
traffic are few.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import PolicyError
from .detect import TABLE, Detector
from .pseudonym import KINDS
from .triggers import EMPTY, compiled

LEVELS = ("standard", "strict", "none")
PLACES = frozenset(
    ("header", "cookie", "query", "form", "json", "xml", "multipart", "graphql", "path", "body")
)
ACTIONS = ("keep", "pseudonym", "mask", "drop", "fixed")
SCAN = "scan"
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_REMEMBERED = 20_000
# Changing one of these would change where a message ends or what may be answered.
FRAMING = frozenset(
    (b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect", b"te",
     b"trailer", b"host", b"content-type", b"content-encoding", b"keep-alive", b"range",
     b"content-range")
)  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One rule: where it holds and what it does there."""

    number: int
    places: frozenset[str]
    names: re.Pattern[str] | None
    path: re.Pattern[str] | None
    types: tuple[str, ...]
    action: str
    value: bytes = b""


class Policy:
    """A list of rules, what happens without one, and which detectors look everywhere."""

    def __init__(
        self,
        level: str,
        rules: tuple[Rule, ...] = (),
        default: str = SCAN,
        detectors: tuple[Detector, ...] = TABLE,
        text: str = "",
    ) -> None:
        self.level = level
        self.rules = rules
        self.default = default
        self.detectors = detectors
        self.text = text
        self.by_type = any(rule.types for rule in rules)
        self.by_path = any(rule.path is not None for rule in rules)
        self.by_segment = any("path" in rule.places for rule in rules)
        self._decided: dict[tuple[str, str, str], Rule | None] = {}

    @classmethod
    def built_in(cls, level: str = "standard") -> Policy:
        """The policy that comes with the program; `none` keeps everything."""
        if level == "none":
            return cls("none", default="keep", detectors=())
        return cls.parse(built_in_text(level), f"the built-in {level} policy")

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """The policy in a TOML file."""
        try:
            text = Path(path).read_text("utf-8")
        except OSError as failure:
            raise PolicyError(f"{path}: the policy cannot be read ({failure.strerror}).") from None
        except UnicodeDecodeError:
            raise PolicyError(f"{path}: the policy is no text in UTF-8.") from None
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, where: str) -> Policy:
        """The policy that a TOML text tells."""
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as failure:
            raise PolicyError(f"{where}: no valid TOML ({failure}); mend it.") from None
        return _Reader(where).policy(data, text)

    def decide(self, place: str, name: str, path: str = "") -> Rule | None:
        """The rule for a place; None where no rule matches."""
        key = (place, name, path)
        try:
            return self._decided[key]
        except KeyError:
            rule = self._first(place, name, path)
            if len(self._decided) >= _REMEMBERED:
                self._decided.clear()
            self._decided[key] = rule
            return rule

    def action(self, place: str, name: str, path: str = "") -> str:
        """What is done at a place: an action, or `scan` where only detectors look."""
        rule = self.decide(place, name, path)
        return self.default if rule is None else rule.action

    def _first(self, place: str, name: str, path: str) -> Rule | None:
        spelt, packed = _words(name), re.sub(r"[^a-z0-9]", "", name.lower())
        for rule in self.rules:
            if place not in rule.places:
                continue
            if rule.names is not None and (
                rule.names.fullmatch(spelt) or rule.names.fullmatch(packed)
            ):
                return rule
            if rule.path is not None and rule.path.fullmatch(path.lower()):
                return rule
            if rule.types and name.split(";")[0].strip().lower() in rule.types:
                return rule
        return None


def _words(name: str) -> str:
    """The words of a name, lower case, apart: cardNumber, card-number, CARD_NUMBER: card number."""
    return " ".join(_WORD.findall(name)).lower()


def built_in_text(level: str) -> str:
    """The TOML of a built-in policy, comments and all."""
    return resources.files(__package__).joinpath(f"{level}.toml").read_text("utf-8")


def _name_pattern(names: list[str]) -> re.Pattern[str]:
    """One pattern of all names, each as words and, but for whole words beside a *, packed."""
    parts: list[str] = []
    for name in names:
        spelt = name.lower().replace("_", " ").replace("-", " ")
        # `* pin` takes any words and then pin, `*pin` anything that ends so: packed, the first
        # would be the second, and take `shipping`.
        forms = {spelt} if "* " in spelt or " *" in spelt else {spelt, spelt.replace(" ", "")}
        parts += (".*".join(re.escape(piece) for piece in form.split("*")) for form in forms)
    return re.compile("|".join(parts) or r"(?!)")


def _path_pattern(paths: list[str]) -> re.Pattern[str]:
    """One pattern of all paths: steps are apart by dots, or by slashes where one begins it."""
    parts = []
    for path in paths:
        step, apart = ("[^/]+", "/") if path.startswith("/") else ("[^.]+", r"\.")
        pattern = re.escape(path.lower()).replace(r"\*\*", "\0").replace(r"\*", step)
        pattern = pattern.replace("\0" + apart, f"(?:{step}{apart})*").replace("\0", ".*")
        parts.append(pattern)
    return re.compile("|".join(parts) or r"(?!)")


class _Reader:
    """Reads the tables of a policy, with the place of every mistake."""

    def __init__(self, where: str) -> None:
        self._where = where

    def _fail(self, what: str) -> PolicyError:
        return PolicyError(f"{self._where}: {what}.")

    def policy(self, data: dict[str, Any], text: str) -> Policy:
        unknown = set(data) - {"level", "default", "detectors", "rule", "detector"}
        if unknown:
            raise self._fail(f"unknown key {sorted(unknown)[0]!r}; see `wiretape sanitize policy`")
        level = data.get("level", "standard")
        if level not in LEVELS:
            raise self._fail(f"level is {level!r}; write standard, strict or none")
        default = data.get("default", SCAN)
        if default not in (SCAN, *ACTIONS[:3]):
            raise self._fail(f"default is {default!r}; write scan, keep, pseudonym or mask")
        tables = data.get("rule", [])
        self._are_tables(tables, "rule")
        rules = tuple(self._rule(number, table) for number, table in enumerate(tables, 1))
        return Policy(level, rules, default, self._detectors(data), text)

    def _are_tables(self, value: Any, key: str) -> None:
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self._fail(f"{key} is no list of tables; write [[{key}]]")

    def _strings(self, table: dict[str, Any], key: str, where: str) -> list[str]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._fail(f"{where}: {key} is no list of strings")
        return value

    def _rule(self, number: int, table: dict[str, Any]) -> Rule:
        where = f"rule {number}"
        unknown = set(table) - {"places", "names", "paths", "types", "action", "value"}
        if unknown:
            raise self._fail(f"{where}: unknown key {sorted(unknown)[0]!r}")
        places = self._strings(table, "places", where) or ["*"]
        wrong = set(places) - PLACES - {"*"}
        if wrong:
            raise self._fail(f"{where}: no such place as {sorted(wrong)[0]!r}")
        action = table.get("action", "pseudonym")
        if action not in ACTIONS:
            raise self._fail(f"{where}: action is {action!r}; write one of {', '.join(ACTIONS)}")
        if action == "fixed" and not isinstance(table.get("value"), str):
            raise self._fail(f'{where}: action fixed needs a value = "..."')
        names, paths = self._strings(table, "names", where), self._strings(table, "paths", where)
        types = self._strings(table, "types", where)
        if not (names or paths or types):
            raise self._fail(f"{where}: names, paths or types must say what it matches")
        return Rule(
            number,
            PLACES if "*" in places else frozenset(places),
            _name_pattern(names) if names else None,
            _path_pattern(paths) if paths else None,
            tuple(kind.lower() for kind in types),
            action,
            str(table.get("value", "")).encode(),
        )

    def _detectors(self, data: dict[str, Any]) -> tuple[Detector, ...]:
        chosen = self._strings(data, "detectors", "detectors") if "detectors" in data else ["*"]
        known = {detector.name: detector for detector in TABLE}
        wrong = set(chosen) - set(known) - {"*"}
        if wrong:
            raise self._fail(f"no such detector as {sorted(wrong)[0]!r}")
        rows = data.get("detector", [])
        self._are_tables(rows, "detector")
        own = tuple(self._detector(row) for row in rows)
        every = own + tuple(d for d in TABLE if "*" in chosen or d.name in chosen)
        names = [detector.name for detector in every]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise self._fail(
                f"detector {twice[0]}: two have this name; rename one, or leave the built-in one "
                "out of `detectors`"
            )
        return every

    def _detector(self, row: Any) -> Detector:
        if not isinstance(row, dict) or not {"name", "pattern"} <= set(row):
            raise self._fail("a [[detector]] needs a name and a pattern")
        kind = row.get("kind", "text")
        if kind not in KINDS:
            raise self._fail(f"detector {row['name']}: kind is one of {', '.join(sorted(KINDS))}")
        try:
            pattern = re.compile(str(row["pattern"]).encode(), re.S)
        except re.error as failure:
            raise self._fail(f"detector {row['name']}: bad pattern ({failure})") from None
        where = f"detector {row['name']}: bad"
        if pattern.search(b""):
            raise self._fail(f"{where} pattern ({EMPTY}); let it ask for a character at least")
        trigger = str(row.get("trigger", row["pattern"]))
        try:
            compiled((trigger,), (0,))
        except PolicyError as refused:
            key = "trigger" if "trigger" in row else "pattern"
            advice = "mend it" if "trigger" in row else "simplify it, or add a simpler `trigger`"
            raise self._fail(f"{where} {key} ({refused}); {advice}") from None
        return Detector(str(row["name"]), trigger, pattern, kind)
