"""Options declared once: the fields of a frozen dataclass are the click flags and the API keywords.

    @dataclass(frozen=True)
    class PcapOptions:
        port: tuple[int, ...] = option((), help="Keep only this server port.", metavar="PORT")
        max_body: int = option(1 << 20, help="Keep at most this much of a body.", type=SIZE)

    @click.command()
    @options_of(PcapOptions)
    def pcap(options: PcapOptions) -> None: ...

`max_body` becomes `--max-body`; a bool becomes a flag; a tuple default may be given repeatedly.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .errors import WiretapeError

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:  # not every version of click that is supported has it generic
    ParamType = click.ParamType

F = TypeVar("F", bound=Callable[..., Any])


def option(
    default: Any,
    *,
    help: str,
    names: tuple[str, ...] = (),
    type: Any = None,
    **click_options: Any,
) -> Any:
    """A dataclass field that is also a click option.

    `names` are further spellings (`-i`), or instead of the field's own name (`--for`).
    """
    spec = {"help": help, "names": names, "type": type, **click_options}
    return dataclasses.field(default=default, metadata={"option": spec})


def options_of(declared: type, into: str = "options") -> Callable[[F], F]:
    """Add the options of a dataclass to a command, which gets them as its argument `into`.

    What a class adds stands in the help before what it inherits; its `section` is the headline of
    that, where the command is `Sectioned`.
    """
    fields = [field for field, _ in _by_class(declared)]

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def command(*args: Any, **values: Any) -> Any:
            chosen = {field.name: values.pop(field.name) for field in fields}
            return function(*args, **{into: declared(**chosen)}, **values)

        wrapped: Any = command
        for field, section in reversed(list(_by_class(declared))):
            wrapped = _click_option(field, section)(wrapped)
        return wrapped  # type: ignore[no-any-return]

    return decorate


class Sectioned(click.Command):
    """A command whose many options stand under headlines in its help."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                sections.setdefault(getattr(param, "section", ""), []).append(record)
        for name, rows in sections.items():
            with formatter.section(name or "Options"):
                formatter.write_dl(rows)


class _Option(click.Option):
    """An option that knows under which headline it stands."""

    def __init__(self, *args: Any, section: str = "", **more: Any) -> None:
        super().__init__(*args, **more)
        self.section = section


def _by_class(declared: type) -> Iterator[tuple[dataclasses.Field[Any], str]]:
    """The fields that are options and their sections, those of the class itself first."""
    known = {field.name: field for field in dataclasses.fields(declared)}
    for family in declared.__mro__:
        own = [name for name in vars(family).get("__annotations__", {}) if name in known]
        for field in map(known.pop, own):
            if "option" in field.metadata:
                yield field, vars(family).get("section", "")


def _click_option(field: dataclasses.Field[Any], section: str) -> Callable[[Any], Any]:
    spec = dict(field.metadata["option"])
    own = "--" + field.name.replace("_", "-")
    names = (*spec.pop("names"), field.name)
    if not any(name.startswith("--") for name in names):
        names = (own, *names)
    if isinstance(field.default, bool):
        spec.setdefault("is_flag", True)
        spec.pop("type")
    if isinstance(field.default, tuple):
        spec.setdefault("multiple", True)
    kind = spec.pop("type", None)
    if kind is not None:
        spec["type"] = kind
    if field.default not in (None, (), False, ""):
        spec.setdefault("show_default", True)
    return click.option(*names, default=field.default, cls=_Option, section=section, **spec)


class _Measure(ParamType):
    """A number with a unit, as people write them; the value is in the smallest unit."""

    def __init__(self, name: str, units: dict[str, float], example: str, least: int = 0) -> None:
        self.name = name
        self._units = units
        self._example = example
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Zµ]*)\s*", str(value))
        if match is None or match[2].lower() not in self._units:
            self.fail(f"{value!r} is not a {self.name}; write it like {self._example}.", param, ctx)
        found = round(float(match[1]) * self._units[match[2].lower()])
        if not self._least <= found <= _MOST:
            told = "more than nothing" if found < self._least else "less than that"
            self.fail(f"{value!r} will not do: write {told}, like {self._example}.", param, ctx)
        return found


class Share(ParamType):
    """A share, `10%` or `0.1`: more than nothing, at most `most`."""

    name = "share"

    def __init__(self, most: float = 1.0, of: str = "share", example: str = "10% or 0.1") -> None:
        self._most = most
        self._told = f"is no {of}; write it like {example}."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        text = str(value)
        try:
            share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            share = -1.0
        if not 0 < share <= self._most:
            self.fail(f"{text!r} {self._told}", param, ctx)
        return share


class Factor(ParamType):
    """A factor from `least` to `most`; `words` are further spellings of certain values."""

    name = "factor"

    def __init__(
        self, least: float = 1e-6, most: float = 1e6, words: dict[str, float] | None = None
    ) -> None:
        self._least, self._most = least, most
        self._words = words or {}

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        text = str(value)
        if text in self._words:
            return self._words[text]
        try:
            factor = float(text)
        except ValueError:
            factor = -1.0
        if not self._least <= factor <= self._most:
            bounds = f"a number from {self._least:g} to {self._most:g}"
            told = " or ".join([bounds, *self._words])
            self.fail(f"{text!r} is no factor; write {told}.", param, ctx)
        return factor


class _Address(ParamType):
    """Where to serve, without a host on loopback."""

    name = "address"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int] | None:
        if not isinstance(value, str):
            return None if value is None else (str(value[0]), int(value[1]))
        host, _, port = value.rpartition(":")
        if not port.isdigit() or int(port) > 65535:
            self.fail(f"{value!r} is no address; write it like :9464.", param, ctx)
        return host.strip("[]") or "127.0.0.1", int(port)


class Checked(ParamType):
    """Text that a function reads, which says in one sentence what is wrong with it."""

    def __init__(self, name: str, read: Callable[[str], object]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == "" and param is not None and param.default == "":
            return ""  # not given
        try:
            self._read(str(value))
        except WiretapeError as wrong:
            self.fail(str(wrong), param, ctx)
        return str(value)


_KB = 1 << 10
_MOST = 1 << 62
ADDRESS = _Address()
"""Where to serve, a host and a port: `:9464`, `9464` or `127.0.0.1:9464`."""
SHARE = Share()
_SIZES: dict[str, float] = {"": 1, "b": 1} | {
    unit + end: _KB**power for power, unit in enumerate("kmgt", 1) for end in ("", "b", "ib")
}
SIZE = _Measure("size", _SIZES, "64KB, 256MB or 2GB")
"""A size in bytes: `512`, `64KB`, `256MB`, `2GB` (powers of 1024)."""
ROOM = _Measure("size", _SIZES, "64KB, 256MB or 2GB", least=1)
"""The same, where none makes no sense."""

_TIMES = {
    "": 1e9, "ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9,
    "m": 60e9, "min": 60e9, "h": 3600e9, "d": 86400e9,
}  # fmt: skip
DURATION = _Measure("duration", _TIMES, "500ms, 60s, 10m or 2h")
"""A duration in ns: `250us`, `500ms`, `60s`, `10m`, `72h`; a bare number is seconds."""
SPAN = _Measure("duration", _TIMES, "500ms, 60s, 10m or 2h", least=1)
"""The same, where none makes no sense."""
