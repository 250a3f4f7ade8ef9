"""Shell: what people test agents and guards with: a provider on loopback that fails as it is told, runs made up."""

from callboard.testing.billing import Line, Rate
from callboard.testing.cache import PromptCache
from callboard.testing.faults import Fault
from callboard.testing.limits import Limit
from callboard.testing.rehearsal import verdicts
from callboard.testing.script import Call, Reply, Request, Tokens, by_turn
from callboard.testing.server import FakeProvider, fake_provider

__all__ = (
    "Call",
    "FakeProvider",
    "Fault",
    "Limit",
    "Line",
    "PromptCache",
    "Rate",
    "Reply",
    "Request",
    "Tokens",
    "by_turn",
    "fake_provider",
    "verdicts",
)
