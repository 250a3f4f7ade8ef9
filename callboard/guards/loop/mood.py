"""Pure: how a result sounds. It only decides how patient the guard is; sameness is judged by hashes."""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

Mood: TypeAlias = Literal["good", "plain", "waiting", "transient", "void", "empty", "bad"]
_SHORT: Final = 400
_BEGINNING: Final = 80
_HARMLESS: Final = re.compile(
    r'"(?:\w*errors?|err|failed|failures|missing|invalid|warnings?|problems?|stderr)":(?:null|""|false|\[\]|\{\}|0)'
    r"|\b(?:did not produce|produced no|without) (?:any )?output\b"
    r"|\b(?:0|no|without(?: any)?) (?:errors?|failures?|failed|issues?|problems?|warnings?|conflicts?)\b"
)
_BAD: Final = re.compile(
    r"\b(?:\w*errors?|\w*exception|traceback|panic|fail(?:ed|ure|s)?|fatal|invalid|incorrect|wrong|denied|forbidden|unauthori[sz]ed"
    r"|rejected|refused|unable|unknown|unsupported|mismatch|cannot|can't|couldn't|doesn't|didn't|isn't|won't|could not"
    r"|does not|did not|is not|was not|no such|no effect|not (?:a|the|valid|allowed|permitted|possible)"
    r"|(?:past|beyond|behind) (?:the )?(?:end|last)|shorter than the|out of (?:range|bounds)"
    r"|no (?:existe|se (?:pudo|encontr\w+))|fall[oó]|inv[aá]lid[oa]|erro|não (?:existe|encontrad\w+|foi)|falh(?:a|ou)"
    r"|fehler\w*|fehlgeschlagen|ungültig\w*|nicht (?:gefunden|möglich|erlaubt)|erreur|échec|introuvable|impossible"
    r"|ошибка|не (?:найден\w*|удалось))\b|错误|失败|未找到|不存在|无法|エラー|失敗|見つかりません"
    r"|(?:status|code|http|error)\W{1,4}[45]\d\d\b"
)
_TRANSIENT: Final = re.compile(
    r"\b(?:time[sd]? ?out|tempora(?:ry|rily)|unavailable|rate.?limit\w*|too many requests|429|502|503|504|overload\w*"
    r"|connection (?:reset|refused|aborted|closed)|try again later|retry (?:later|after|in)|busy|locked|throttl\w+)\b"
)
_EMPTY: Final = re.compile(
    r"\b(?:no|0) (?:\w+ )?(?:match(?:es)?|results?|items?|data|files?|hits?|rows?|records?|entries|response|reply"
    r"|answer|output|changes?)\b|\bnot? ?(?:found|available|exist\w*|match\w*)\b"
    r"|\b(?:none|nothing|nope|no|false|null|empty|missing)\b|\[\]"
)
_VOID: Final = re.compile(r'[\s"(]*(?:null|none|no output)?[\s").]*')
_UNSET: Final = re.compile(
    r'"(\w+)":(?:null|""|\[\]|\{\})(?:,|(?=\}))|"((?:is|has)_?\w+|active|admin|archived|default|deleted|disabled|draft|enabled'
    r'|fork|hidden|locked|more|optional|private|public|read|required|starred|truncated|verified)":false(?:,|(?=\}))'
)
"""A field that has no value, or an attribute that does not hold."""
_FEWEST: Final = 2
"""Fields. What has so many others is a record."""
_FOUND: Final = frozenset(
    """
    answer available content data documents entries events exists files found hits issues items list matches messages
    ok output records response result results rows success users valid value values
    """.split()  # noqa: SIM905 - a list would take a line for each
)
"""Names of what was looked for: if that is empty, nothing was found."""
_SET: Final = re.compile(r'"(?!(?:count|limit|offset|ok|page|query|status|success|total|type)")\w+":(?!0[,}\]]|[\[{])')
"""A field that says something about a record."""
_WAITING: Final = re.compile(
    r"\b(?:pending|running|in.progress|queued|waiting|processing|building|starting|not (?:yet|ready|finished)|still)\b"
)
_UNDER_WAY: Final = re.compile(r"\b(?:in.progress|queued|pending)\b")
"""Some of it is not ready yet, whatever has failed so far."""
_GOOD: Final = re.compile(
    r"\b(?:ok|okay|success\w*|succeed\w*|done|created|updated|saved|inserted|deleted|removed|written|wrote|edited|applied"
    r"|replaced|added|sent|moved|copied|completed?|passed|valid|true|accepted|approved|clicked|typed|filled|stored"
    r"|imported|processed|recorded|logged|uploaded|submitted|modified|renamed|booked|appended|selected|assigned|closed"
    r"|configured|unchanged|screenshots?|installed|already|up.to.date|replacements?|rows? affected"
    r"|(?:insert 0|update|delete|copy) [1-9]\d*"
    r"|(?:alter|create|drop) (?:table|index|view)|(?:status|code|http)\W{1,4}2\d\d)\b"
)

_BARRED: Final = re.compile(
    r"enable javascript|javascript is (?:disabled|required)|verify (?:that )?you(?:'re| are) (?:a )?human|not a robot"
    r"|\bcaptcha\b|unusual traffic|checking your browser|(?:log|sign) ?in to (?:continue|view|see|read)"
)
_PAGE: Final = 3_000
"""Letters. What asks for a proof, or for a script, says little else."""
_DONE: Final = re.compile(r"\b(?:success\w*|succeeded|passed|done|has been \w+|edited|updated|created|written|saved)\b")
"""Of what is good: what a long text does not say by chance."""


def complains(text: str) -> bool:
    """Does a piece of a failure say what is wrong? The rest is where, and an excerpt."""
    return _BAD.search(text.lower()) is not None


def barred(text: str) -> bool:
    """Is it a page that stands before another one?"""
    return len(text) <= _PAGE and _BARRED.search(text.lower()) is not None


def mood_of(text: str, *, failed: bool) -> Mood:
    """``bad``: it failed; ``transient``: for now; ``empty``: nothing found; ``void``: not a word; ``waiting``: not yet.

    ``failed``: the call's outcome is a problem. A long text says about itself how it begins, and how it ends.
    """
    if len(text) > _SHORT and not failed:
        return _of_ends(text)
    words = _HARMLESS.sub("ok", _present(text[:_SHORT].lower()))
    if not failed and _VOID.fullmatch(words):
        return "void"
    if _TRANSIENT.search(words):
        return "transient"
    if not failed and _UNDER_WAY.search(words):
        return "waiting"
    if failed or _BAD.search(words):
        return "bad"
    if _WAITING.search(words):
        return "waiting"
    if _EMPTY.search(words):
        return "empty"
    return "good" if _GOOD.search(words) else "plain"


def _present(text: str) -> str:
    """Of a record what it has: a field without a value is no missing record, unless it is what was looked for."""
    if text[:1] not in {"{", "["}:
        return text
    rest = _UNSET.sub("", text)
    if rest == text or len(_SET.findall(rest)) < _FEWEST or any(name in _FOUND for name, _ in _UNSET.findall(text)):
        return text
    return rest


def _of_ends(text: str) -> Mood:
    beginning, end = (_HARMLESS.sub("ok", part.lower()) for part in (text[:_BEGINNING], text[-_BEGINNING:]))
    if _BAD.search(beginning) or _BAD.search(end):
        return "bad"
    return "good" if _DONE.search(beginning) or _DONE.search(end) else "plain"
