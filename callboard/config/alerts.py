"""Pure: who is told, and of what, when guards act: the settings of alerts."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr

from callboard.config.base import Name, Seconds, Strict

DEFAULT_ON: Final = ("*.kill", "*.pause", "budget.deny", "breaker.warn")
_URL: Final = re.compile(r"https?://[^\s/?#@]+([/?#]\S*)?")
_KIND: Final = re.compile(r"(\*|[A-Za-z0-9_-]{1,64})\.(\*|observe|warn|nudge|throttle|deny|pause|kill)")


def _url(url: str) -> str:
    if not _URL.fullmatch(url):
        raise ValueError("expected an address such as 'https://example.com/hook', without user and password")
    return url


def _secret(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value():
        raise ValueError("expected a secret that is not empty: the receiver checks the signature with it")
    return secret


def _kind(kind: str) -> str:
    if not _KIND.fullmatch(kind):
        raise ValueError("expected 'guard.action', '*' for any of them, such as 'budget.deny' or '*.kill'")
    return kind


class Webhook(Strict):
    """Where alerts are posted, signed, and which."""

    url: Annotated[str, AfterValidator(_url), Field(repr=False, description="An http or https address to post to.")]
    secret: Annotated[
        SecretStr, AfterValidator(_secret), Field(description="Signs each post, e.g. ${env:ALERTS_SECRET}.")
    ]
    on: Annotated[
        tuple[Annotated[str, AfterValidator(_kind)], ...],
        Field(description="'guard.action', '*' for any: 'budget.deny', '*.kill'. Only what was done in earnest."),
    ] = DEFAULT_ON
    every: Annotated[
        Seconds, Field(description="At most one post in this time; what comes meanwhile is told together.")
    ] = 60.0
    timeout: Annotated[Seconds, Field(description="For one post, from the connection to the answer.")] = 10.0


class Alerts(Strict):
    """Who is told when guards act."""

    webhooks: Annotated[dict[Name, Webhook], Field(description="By name.")] = Field(default_factory=dict)
