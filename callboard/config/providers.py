"""Pure: who answers model calls: the entries of ``providers``, which of them a model means, and what is wrong there.

An entry has a name, and a kind: what it speaks. A model is written ``entry/model``. Inside, a choice has the kind as
its ``provider``, and the entry's name as its ``key_name`` where that is another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, cast, get_args

from callboard.config.chains import Where, models_of
from callboard.config.expectations import nearest
from callboard.config.file_format import ConfigFile, Kind, ModelEntry, ProviderEntry
from callboard.config.guards import Price, RateLimit
from callboard.config.nodes import Node, Place, Problem, Spot, locate, shown
from callboard.config.script import Script
from callboard.config.settings import ALLOWED
from callboard.config.spec import ModelChoice

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
KEPT_FOR_LATER: Final = re.compile(r"providers\.[^.]+\.(api_key|headers\..+)$")
"""Paths of what only workers look up."""
_REFERENCE: Final = re.compile(r"\$\{(?P<kind>env|file):(?P<name>[^}]+)\}")
_USUAL: Final[Mapping[Kind, str]] = {"anthropic": "ANTHROPIC", "openai": "OPENAI", "openai-chat": "OPENAI"}
"""How the usual variables of the environment begin."""
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"([!-~]([\t -~]*[!-~])?)?")
_OF_THE_REQUEST: Final = frozenset({"connection", "content-length", "content-type", "transfer-encoding"})
"""Headers of the request itself."""
_PORT: Final = re.compile(r"https?://[^/?#]*:(\d+)(?=[/?#]|$)")
_LAST_PORT: Final = 65_535
_LATER: Final = "expected '${env:NAME}' or '${file:path}': a key does not belong into this file"


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """An entry before its secrets are looked up: ``api_key`` and ``headers`` are as written. ``""``: it has no key."""

    name: str
    kind: Kind
    api_key: str
    base_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    stall_timeout: float = 60.0
    place: Place = Place("", 1, 1)
    path: str = ""
    stated: bool = True
    """Whether the file has it; else it is one of the usual ones."""

    @property
    def key_source(self) -> str:
        """Where its key is, for people: the name of a variable, ``file path``, or ``no key``."""
        found = _REFERENCE.fullmatch(self.api_key)
        if found is None:
            return "no key"
        return found["name"] if found["kind"] == "env" else f"file {found['name']}"


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that calls can be made to. ``stall_timeout`` in seconds; without a key, ``api_key`` is ``""``."""

    kind: Kind
    api_key: str = field(repr=False)
    base_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    stall_timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class Providers:
    """What a worker has, by the names of the entries; ``secrets`` are for the redactor of the logs.

    ``absent``: why it does not have those that later models of its agents name.
    """

    by_name: Mapping[str, Provider] = field(default_factory=dict[str, Provider])
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    absent: Mapping[str, str] = field(default_factory=dict[str, str])


NO_PROVIDERS: Final = Providers()


def provider_configs(file: ConfigFile, root: Node, env: Mapping[str, str]) -> Mapping[str, ProviderConfig]:
    """All entries by name: those of the file, and, of the kinds that it does not name, the usual ones."""
    found: dict[str, ProviderConfig] = {kind: _usual(kind, root.place, env) for kind in KINDS}
    for name, entry in file.providers.items():
        found[name] = _configured(name, entry, root, env)
    return MappingProxyType(found)


def provider_problems(file: ConfigFile, root: Node) -> Iterator[Problem]:
    """What is wrong with the entries, and with which entry models name."""
    for name, entry in file.providers.items():
        yield from _problems(name, entry, root)
    yield from _name_problems(file, root)
    for path, model in models_of(file):
        spot = locate(root, path if isinstance(model, str) else (*path, "provider"))
        yield from _model_problems(model, file, spot)
        if isinstance(model, ModelEntry):
            yield from _setting_problems(model, file, root, path)


def _name_problems(file: ConfigFile, root: Node) -> Iterator[Problem]:
    """Prices and limits of nobody hold for nothing."""
    known = sorted({*KINDS, "scripted", *file.providers})
    for section, names in (("prices", file.prices), ("rate_limits", file.rate_limits)):
        for name in names:
            owner, _, model = name.partition("/")
            spot = locate(root, (section, name))
            if owner not in known:
                yield Problem(spot.key, spot.path, f"there is no provider {owner!r}{nearest(owner, known)}")
            elif section == "prices" and "*" in model:
                yield Problem(
                    spot.key, spot.path, "a price is that of one model: expected 'provider/model' without '*'"
                )


def _model_problems(model: ModelEntry | str, file: ConfigFile, spot: Spot) -> Iterator[Problem]:
    owner, known = owner_of(model), sorted({*KINDS, "scripted", *file.providers})
    if isinstance(model, str) and owner == "scripted":
        hint = "expected 'model: {provider: scripted, turns: […]}': a script needs its turns"
        yield Problem(spot.value, spot.path, hint)
    elif owner not in known:
        message = f"there is no provider {owner!r}{nearest(owner, known)}"
        yield Problem(spot.value, spot.path, message)


def _setting_problems(model: ModelEntry, file: ConfigFile, root: Node, path: Where) -> Iterator[Problem]:
    kind = kind_of(model, file)
    if kind not in ALLOWED:
        return  # another complaint is about that
    for name, value in model.settings.items():
        spot = locate(root, (*path, "settings", name))
        assert spot.node is not None
        fits, expected = ALLOWED[kind].get(name, (None, ""))
        if fits is None:
            hint = nearest(name, ALLOWED[kind])
            yield Problem(spot.key, spot.path, f"there is no setting {name!r} for {kind!r}{hint}")
        elif not fits(value):
            yield Problem(spot.value, spot.path, f"got {shown(spot.node)}: expected {expected}")


def owner_of(model: ModelEntry | str) -> str:
    """The entry that a model of the file names."""
    return model.partition("/")[0] if isinstance(model, str) else model.provider


def kind_of(model: ModelEntry | str, file: ConfigFile) -> str:
    """What the entry that a model of the file names speaks."""
    return _named(owner_of(model), file)[0]


def entry_of(choice: ModelChoice) -> str:
    """The entry that a choice is asked through."""
    return choice.key_name or choice.provider


def choice_of(model: ModelEntry | str, file: ConfigFile, script: Script | None) -> ModelChoice:
    """The choice that a model of the file comes to; ``script`` is that of a scripted one."""
    owner = owner_of(model)
    entry = ModelEntry(provider=owner, name=model.partition("/")[2]) if isinstance(model, str) else model
    kind, key_name = _named(owner, file)
    return ModelChoice(
        provider=kind,
        name=entry.name,
        key_name=key_name,
        price=entry.price or _price(file, (owner, kind), entry.name),
        max_output=entry.max_output,
        context=entry.context,
        context_source="" if entry.context is None else "config",
        warm=entry.warm,
        settings=entry.settings if script is None else script.model_dump(mode="json", exclude_defaults=True),
    )


def rate_limits_of(file: ConfigFile) -> Mapping[str, RateLimit]:
    """The limits by what guards call models: ``provider/model``, ``provider:entry/model``."""
    found: dict[str, RateLimit] = {}
    for name, limit in file.rate_limits.items():
        owner, _, models = name.partition("/")
        kind, key_name = _named(owner, file)
        found[f"{kind}:{key_name}/{models}" if key_name else name] = limit
    return MappingProxyType(found)


def _named(owner: str, file: ConfigFile) -> tuple[str, str | None]:
    """The kind of an entry, and its name if that is not the kind's."""
    entry = file.providers.get(owner)
    kind = owner if entry is None or entry.kind is None else entry.kind
    return kind, None if kind == owner else owner


def _price(file: ConfigFile, owners: tuple[str, str], name: str) -> Price | None:
    return next((file.prices[f"{owner}/{name}"] for owner in owners if f"{owner}/{name}" in file.prices), None)


def _usual(kind: Kind, place: Place, env: Mapping[str, str]) -> ProviderConfig:
    begin = _USUAL[kind]
    base_url = env.get(f"{begin}_BASE_URL") or None
    return ProviderConfig(kind, kind, f"${{env:{begin}_API_KEY}}", base_url, place=place, stated=False)


def _configured(name: str, entry: ProviderEntry, root: Node, env: Mapping[str, str]) -> ProviderConfig:
    kind = entry.kind or cast("Kind", name)
    spot = locate(root, ("providers", name))
    usual = _usual(kind, spot.key, env) if kind == name else None
    keyless = usual is None or kind == "openai-chat"  # a compatible server must not see a key that is not its own
    api_key = entry.api_key or ("" if keyless or usual is None else usual.api_key)
    base_url = entry.base_url or (usual.base_url if usual is not None else None)
    headers = MappingProxyType(entry.headers)
    return ProviderConfig(name, kind, api_key, base_url, headers, entry.stall_timeout, spot.key, spot.path)


def _problems(name: str, entry: ProviderEntry, root: Node) -> Iterator[Problem]:
    spot = locate(root, ("providers", name))
    if name == "scripted":
        yield Problem(spot.key, spot.path, "the name is 'scripted', which needs no entry: rename it")
        return
    if entry.kind is None and name not in KINDS:
        yield Problem(spot.key, f"{spot.path}.kind", f"missing: expected one of {', '.join(map(repr, KINDS))}")
        return
    kind = entry.kind or cast("Kind", name)
    if entry.api_key is not None and _REFERENCE.fullmatch(entry.api_key) is None:
        key = locate(root, ("providers", name, "api_key"))
        yield Problem(key.value, key.path, _LATER)  # what stands there may be a key: it is not shown
    if entry.api_key is None and kind not in {"openai-chat", name}:
        yield Problem(spot.key, f"{spot.path}.api_key", f"missing: {_LATER}")
    yield from _address_problems(kind, entry, root, name)
    for header, value in entry.headers.items():
        if not _HEADER.fullmatch(header) or header.lower() in _OF_THE_REQUEST or not _HEADER_VALUE.fullmatch(value):
            at = locate(root, ("providers", name, "headers", header))
            yield Problem(
                at.key, at.path, "it cannot be sent: expected 'Name: value' in ASCII, and none that HTTP needs"
            )
    if kind == "openai-chat" and entry.base_url is None and (entry.api_key is None or kind != name):
        yield Problem(spot.key, f"{spot.path}.base_url", "missing: say where it is, e.g. 'http://127.0.0.1:8000/v1'")


def _address_problems(kind: Kind, entry: ProviderEntry, root: Node, name: str) -> Iterator[Problem]:
    spot = locate(root, ("providers", name, "base_url"))
    port = _PORT.match(entry.base_url or "")
    if port is not None and int(port[1][:6]) > _LAST_PORT:
        yield Problem(spot.value, spot.path, f"there is no port {port[1][:6]}: expected one up to {_LAST_PORT}")
    if kind == "anthropic" and (entry.base_url or "").rstrip("/").endswith("/v1"):
        yield Problem(spot.value, spot.path, "expected it without '/v1', which is put behind it")
