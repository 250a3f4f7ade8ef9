"""The simulated cache reads and writes as the providers' do."""

from typing import Any

from callboard.testing.cache import PromptCache
from callboard.testing.script import Request, Tokens, Wire

MARK = {"type": "ephemeral"}
LONG = "x" * 400


def request(wire: Wire, body: dict[str, Any], fault: str = "") -> Request:
    return Request(1, wire, {"model": "m", **body}, {}, 0.0, fault=fault)


def texts(*said: str, marked: int = -1, ttl: str = "5m") -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"type": "text", "text": each} for each in said]
    if marked >= 0:
        blocks[marked]["cache_control"] = {**MARK, "ttl": ttl}
    return blocks


def asked(*said: str, marked: int = -1, ttl: str = "5m", **more: Any) -> Request:
    message = {"role": "user", "content": texts(*said, marked=marked, ttl=ttl)}
    return request("anthropic", {"messages": [message], **more})


def through(cache: PromptCache, each: Request, now: float = 0.0) -> Tokens:
    found = cache.look(each, now)
    cache.keep(found, now)
    return found.tokens


def test_without_a_mark_nothing_is_kept() -> None:
    cache = PromptCache(minimum=10)
    plain = asked(LONG, system=LONG)
    first = through(cache, plain)
    assert through(cache, plain) == first == Tokens(first.input)
    assert first.input > 200


def test_what_is_marked_is_written_and_then_read() -> None:
    cache = PromptCache(minimum=10)
    first = through(cache, asked(LONG, "q", marked=0))
    second = through(cache, asked(LONG, "another", marked=0))
    assert (first.cached, second.written) == (0, 0)
    assert first.written == second.cached > 100
    assert second.input > first.input > 0


def test_a_longer_history_reads_the_old_end_and_writes_only_what_is_new() -> None:
    cache = PromptCache(minimum=10)
    first = through(cache, asked(LONG, cache_control=MARK))
    longer = asked(LONG, LONG, cache_control=MARK)
    second = through(cache, longer)
    assert (first.input, second.cached) == (0, first.written)
    assert 100 < second.written < first.written + 20
    assert through(cache, longer) == Tokens(cached=second.prompt)


def test_a_change_before_the_mark_is_a_miss_and_so_is_another_model() -> None:
    cache = PromptCache(minimum=10)
    through(cache, asked(LONG, marked=0, tools=[{"name": "a"}]))
    assert through(cache, asked(LONG, marked=0, tools=[{"name": "b"}])).cached == 0
    assert through(cache, asked(LONG, marked=0, tools=[{"name": "a"}], model="other")).cached == 0
    assert through(cache, asked(LONG, marked=0, tools=[{"name": "a"}])).cached > 0


def test_a_choice_among_tools_leaves_claude_its_tools_and_system_prompt_and_gpt_everything() -> None:
    cache, last = PromptCache(minimum=10), {"type": "none"}
    system = texts(LONG, marked=0)
    through(cache, asked(LONG, marked=0, system=system))
    assert 100 < through(cache, asked(LONG, marked=0, system=system, tool_choice=last)).cached < 150
    assert through(cache, asked(LONG, marked=0, system=system)).cached > 200
    cache, body = PromptCache(minimum=50), {"instructions": LONG, "input": [{"role": "user", "content": LONG}]}
    through(cache, request("openai", body))
    assert through(cache, request("openai", {**body, "tool_choice": "none"})).cached == 128


def test_another_schema_of_the_answer_is_a_miss_behind_the_tools() -> None:
    says = {"output_config": lambda schema: {"format": schema}, "text": lambda schema: {"format": schema}}
    for wire, name in (("anthropic", "output_config"), ("openai", "text"), ("openai-chat", "response_format")):
        cache, tools = PromptCache(minimum=10), [{"name": LONG * 2, "cache_control": MARK}]
        body = {"tools": tools, "messages": texts(LONG)} | ({"system": texts(LONG, marked=0)} if name[0] == "o" else {})
        made = says.get(name, lambda schema: schema)
        first = through(cache, request(wire, {**body, name: made({"type": "a"})}))
        again = through(cache, request(wire, {**body, name: made({"type": "a"})}))
        other = through(cache, request(wire, {**body, name: made({"type": "b"})}))
        assert first.cached == 0 < other.cached < again.cached, wire


def test_below_the_minimum_silently_nothing_happens() -> None:
    cache = PromptCache(minimum=1000)
    assert through(cache, asked(LONG, marked=0)).written == 0
    assert not cache.entries


def test_an_entry_exists_only_when_the_answer_has_begun_and_lives_five_minutes_or_an_hour() -> None:
    cache = PromptCache(minimum=10)
    short, long = asked(LONG, marked=0), asked("y" + LONG, marked=0, ttl="1h")
    cache.look(short, 0.0)
    assert cache.look(short, 0.0).tokens.cached == 0
    through(cache, short)
    through(cache, long)
    assert cache.look(short, 299.0).tokens.cached > 0
    assert cache.look(short, 301.0).tokens.cached == 0
    assert cache.look(long, 3599.0).tokens.cached > 0
    assert cache.look(long, 3601.0).tokens.cached == 0


def test_an_entry_more_than_twenty_blocks_before_the_mark_is_not_found() -> None:
    cache = PromptCache(minimum=10)
    said = [LONG, *(str(each) for each in range(30))]
    through(cache, asked(*said[:1], marked=0))
    assert through(cache, asked(*said[:21], marked=20)).cached > 0
    cache = PromptCache(minimum=10)
    through(cache, asked(*said[:1], marked=0))
    assert through(cache, asked(*said[:23], marked=22)).cached == 0


def test_openai_caches_by_itself_in_steps_and_writes_for_nothing() -> None:
    cache = PromptCache(minimum=50)
    first = {"instructions": "be brief", "input": [{"role": "user", "content": LONG}]}
    longer = {**first, "input": [*first["input"], {"role": "user", "content": LONG}]}
    assert through(cache, request("openai", first)).cached == 0
    tokens = through(cache, request("openai", longer))
    assert (tokens.cached, tokens.written) == (0, 0)  # 106 tokens are no step of 128
    assert through(cache, request("openai", longer)).cached == 128
    assert through(cache, request("openai", {"input": LONG})).cached == 0


def test_a_forced_miss_finds_nothing() -> None:
    cache = PromptCache(minimum=10)
    body = {"messages": [{"role": "user", "content": texts(LONG, marked=0)}]}
    through(cache, request("anthropic", body))
    missed = through(cache, request("anthropic", body, fault="cache_miss"))
    assert (missed.cached, missed.written > 0) == (0, True)


def test_requests_of_another_shape_have_no_prefix() -> None:
    cache = PromptCache(minimum=1)
    assert through(cache, request("anthropic", {"messages": 1, "tools": "x"})) == Tokens()
    assert through(cache, request("anthropic", {"messages": ["odd"], "cache_control": MARK})).prompt >= 0
