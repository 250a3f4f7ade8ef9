"""Which provider a model names, what is wrong with the entries, and where their keys are looked up."""

from __future__ import annotations

from pathlib import Path

import pytest

from callboard.config.guards import Price, RateLimit
from callboard.config.keys import known_secrets, open_providers
from callboard.config.loader import load
from callboard.config.providers import Provider
from callboard.config.resolved import Config
from callboard.errors import ConfigError

PARTS = ("sk", "PLACEHOLDER")
KEY = "-".join((*PARTS, "1"))
OTHER = "-".join((*PARTS, "2"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(text: str, **env: str) -> Config:
    Path("agents.yaml").write_text(text)
    return load(Path("agents.yaml"), env=env)


def errors(text: str, **env: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(text, **env)
    return str(caught.value).splitlines()


def test_one_line_names_a_model_and_the_long_form_says_more() -> None:
    config = loaded(
        """
agents:
  short: {model: anthropic/claude-sonnet-5}
  long:
    model: {provider: openai, name: org/gpt-x, max_output: 9, price: {input: 1, output: 2}, warm: true,
      settings: {verbosity: low}}
  other: {}
defaults: {model: openai-chat/org/qwen3}
"""
    )
    short, long, other = (config.agents[name].model for name in ("short", "long", "other"))
    assert (short.provider, short.name, short.key_name, short.settings) == ("anthropic", "claude-sonnet-5", None, {})
    assert (long.provider, long.name, long.max_output, long.price) == (
        "openai",
        "org/gpt-x",
        9,
        Price(input=1, output=2),
    )
    assert long.settings == {"verbosity": "low"}
    assert (short.warm, long.warm) == (False, True)
    assert (other.provider, other.name) == ("openai-chat", "org/qwen3")


def test_a_chain_has_its_models_in_their_order() -> None:
    config = loaded(
        """
agents:
  a: {models: [anthropic/x, openai/y, {provider: scripted, turns: [{text: hi}]}]}
"""
    )
    assert [(each.provider, each.name) for each in config.agents["a"].models] == [
        ("anthropic", "x"),
        ("openai", "y"),
        ("scripted", ""),
    ]
    (found,) = errors("agents: {a: {models: [anthropic/x, opnai/y]}}")
    assert found == "agents.yaml:1:36: agents.a.models.1: there is no provider 'opnai': did you mean 'openai'?"
    (found,) = errors("agents: {a: {models: [{provider: scripted, script: no.yaml}]}}")
    assert found.startswith("agents.yaml:1:52: agents.a.models.0.script: got 'no.yaml': there is no such file")


def test_an_agent_without_models_has_the_chain_of_defaults_and_its_order() -> None:
    config = loaded(
        """
defaults: {models: [anthropic/x, openai/y], prefer: price}
agents: {a: {}, b: {model: openai/z}, c: {models: [openai/z, openai/y], prefer: order}}
"""
    )
    found = {name: ([each.name for each in agent.models], agent.prefer) for name, agent in config.agents.items()}
    assert found == {"a": (["x", "y"], "price"), "b": (["z"], "price"), "c": (["z", "y"], "order")}
    one = loaded("defaults: {model: openai/y}\nagents: {a: {models: [openai/z, openai/x]}}").agents["a"]
    assert [each.name for each in one.models] == ["z", "x"]


CHAIN = "keep one of them ('models: [first, second]' is a chain)"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "agents: {a: {model: openai/x, models: [openai/y]}}",
            f"1:31: agents.a.models: there is a 'model' too: {CHAIN}",
        ),
        (
            "agents: {a: {}}\ndefaults: {model: openai/x, models: [openai/y]}",
            f"2:29: defaults.models: there is a 'model' too: {CHAIN}",
        ),
        ("agents: {a: {models: []}}", "1:22: agents.a.models: got a list: expected a list of 1 to 9"),
        (
            f"agents: {{a: {{models: [{', '.join(['openai/x'] * 10)}]}}}}",
            "1:22: agents.a.models: got a list: expected a list of 1 to 9",
        ),
        ("agents: {a: {models: openai/x}}", "1:22: agents.a.models: got 'openai/x': expected a list of 1 to 9"),
        (
            "agents: {a: {model: openai/x, prefer: speed}}",
            "1:39: agents.a.prefer: got 'speed': expected one of 'order', 'price'",
        ),
        (
            "agents: {a: {model: openai/x, fallbacks: [openai/y]}}",
            "1:31: agents.a.fallbacks: unknown key 'fallbacks': put all of them into one list, 'models: [",
        ),
        ("agents: {a: {}}", "1:10: agents.a.model: missing: add a 'model' here or under 'defaults'"),
    ],
)
def test_a_chain_that_is_said_wrong_is_refused_with_what_to_do(text: str, error: str) -> None:
    (found,) = errors(text)
    assert found.startswith(f"agents.yaml:{error}")


def test_no_secret_goes_into_the_journal_through_a_chain() -> None:
    entry = "{provider: anthropic, name: x, settings: {metadata: {user_id: '${env:X}'}}}"
    for text in (
        f"agents: {{a: {{models: [openai/y, {entry}]}}}}",
        f"agents: {{a: {{}}}}\ndefaults: {{models: [{entry}]}}",
    ):
        (found,) = errors(text, X=KEY)
        assert "journals of runs keep this text" in found
        assert KEY not in found


def test_an_entry_of_your_own_has_limits_and_prices_of_its_own() -> None:
    config = loaded(
        """
providers:
  local: {kind: openai-chat, base_url: "http://127.0.0.1:8000/v1"}
  batch: {kind: anthropic, api_key: "${env:BATCH}"}
agents: {a: {model: local/qwen3}, b: {model: batch/claude-x}, c: {model: batch/claude-y}}
prices:
  local/qwen3: {input: 0, output: 0}
  anthropic/claude-x: {input: 1, output: 2}
  batch/claude-y: {input: 3, output: 4}
rate_limits: {local/*: {concurrency: 2}, batch/claude-*: {requests: 5}, anthropic/claude-*: {requests: 6}}
"""
    )
    a, b, c = (config.agents[name].model for name in "abc")
    assert [(each.provider, each.key_name, each.name) for each in (a, b, c)] == [
        ("openai-chat", "local", "qwen3"),
        ("anthropic", "batch", "claude-x"),
        ("anthropic", "batch", "claude-y"),
    ]
    assert [each.price for each in (a, b, c)] == [
        Price(input=0, output=0),
        Price(input=1, output=2),
        Price(input=3, output=4),
    ]
    assert config.rate_limits == {
        "openai-chat:local/*": RateLimit(concurrency=2),
        "anthropic:batch/claude-*": RateLimit(requests=5),
        "anthropic/claude-*": RateLimit(requests=6),
    }


KINDS = "expected one of 'anthropic', 'openai', 'openai-chat'"
ADDRESS = "expected an address such as 'https://example.com/v1', without user and password"
HEADER = "it cannot be sent: expected 'Name: value' in ASCII, and none that HTTP needs"
UNSENDABLE = "its value cannot be sent: take out line ends, blanks around it, and what is no ASCII"
REFERENCE = "expected '${env:NAME}' or '${file:path}': a key does not belong into this file"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("agents: {a: {model: claude}}", "1:21: agents.a.model: got 'claude': expected 'provider/model' or a mapping"),
        ("agents: {a: {model: 5}}", "1:21: agents.a.model: got 5: expected 'provider/model' or a mapping"),
        (
            "agents: {a: {model: anthropc/x}}",
            "1:21: agents.a.model: there is no provider 'anthropc': did you mean 'anthropic'?",
        ),
        (
            (
                "agents: {a: {model: {provider: lokal, name: x}}}\n"
                "providers: {local: {kind: openai-chat, base_url: 'http://x'}}"
            ),
            "1:32: agents.a.model.provider: there is no provider 'lokal': did you mean 'local'?",
        ),
        (
            "agents: {a: {model: scripted/x}}",
            "1:21: agents.a.model: expected 'model: {provider: scripted, turns: […]}': a script needs its turns",
        ),
        (
            "agents: {a: {model: {provider: openai}}}",
            "1:21: agents.a.model: expected the model's 'name' as its provider has it, without spaces",
        ),
        (
            "agents: {a: {model: {provider: openai, name: x, turns: [{text: a}]}}}",
            "1:21: agents.a.model: 'script', 'turns' and 'loop' are for the provider 'scripted'",
        ),
        (
            "agents: {a: {model: {provider: scripted, turns: [{text: a}], settings: {x: 1}}}}",
            "1:21: agents.a.model: 'settings' are for real models: a script says everything in its turns",
        ),
        (
            "agents: {a: {model: {provider: scripted, turns: [{text: a}], warm: true}}}",
            "1:21: agents.a.model: 'warm' is for real models: a script has no prompt cache",
        ),
        ("providers: {local: {}}", f"1:13: providers.local.kind: missing: {KINDS}"),
        ("providers: {local: {kind: x}}", f"1:27: providers.local.kind: got 'x': {KINDS}"),
        (
            "providers: {scripted: {kind: openai}}",
            "1:13: providers.scripted: the name is 'scripted', which needs no entry: rename it",
        ),
        ("providers: {b: {kind: anthropic}}", f"1:13: providers.b.api_key: missing: {REFERENCE}"),
        (
            "providers: {b: {kind: openai-chat}}",
            "1:13: providers.b.base_url: missing: say where it is, e.g. 'http://127.0.0.1:8000/v1'",
        ),
        (
            "providers: {openai: {base_url: 'localhost:8000'}}",
            f"1:32: providers.openai.base_url: got 'localhost:8000': {ADDRESS}",
        ),
        (
            "providers: {openai: {base_url: 'https://me:and@example.com'}}",
            f"1:32: providers.openai.base_url: got 'https://me:and@example.com': {ADDRESS}",
        ),
        (
            "providers: {openai: {base_url: 'http://[::1]:65536/v1'}}",
            "1:32: providers.openai.base_url: there is no port 65536: expected one up to 65535",
        ),
        (
            "providers: {anthropic: {base_url: 'https://example.com/v1/'}}",
            "1:35: providers.anthropic.base_url: expected it without '/v1', which is put behind it",
        ),
        ("providers: {openai: {headers: {X A: b}}}", f"1:32: providers.openai.headers.X A: {HEADER}"),
        ("providers: {openai: {headers: {X: naïve}}}", f"1:32: providers.openai.headers.X: {HEADER}"),
        ('providers: {openai: {headers: {X: "a\\nB: c"}}}', f"1:32: providers.openai.headers.X: {HEADER}"),
        ("providers: {openai: {headers: {X: 'a '}}}", f"1:32: providers.openai.headers.X: {HEADER}"),
        (
            "providers: {openai: {headers: {Content-Length: '5'}}}",
            f"1:32: providers.openai.headers.Content-Length: {HEADER}",
        ),
        (
            "prices: {anthropc/x: {input: 1, output: 1}}",
            "1:10: prices.anthropc/x: there is no provider 'anthropc': did you mean 'anthropic'?",
        ),
        (
            "prices: {anthropic/claude-*: {input: 1, output: 1}}",
            "1:10: prices.anthropic/claude-*: a price is that of one model: expected 'provider/model' without '*'",
        ),
        (
            "rate_limits: {anthropc/*: {requests: 1}}",
            "1:15: rate_limits.anthropc/*: there is no provider 'anthropc': did you mean 'anthropic'?",
        ),
        (
            "providers: {anthropic: {stall: 1}}",
            "1:25: providers.anthropic.stall: unknown key 'stall': use api_key, base_url, headers, kind, stall_timeout",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, error: str) -> None:
    more = "" if text.startswith("agents") else "\nagents: {z: {model: anthropic/x}}"
    assert errors(text + more) == [f"agents.yaml:{error}"]


@pytest.mark.parametrize("written", [KEY, f"{KEY}${{env:A}}", "$ANTHROPIC_API_KEY", "${ANTHROPIC_API_KEY}"])
def test_a_key_in_the_file_is_refused_and_never_shown(written: str) -> None:
    text = f"agents: {{a: {{model: anthropic/x}}}}\nproviders: {{anthropic: {{api_key: '{written}'}}}}"
    assert errors(text, A="a") == [f"agents.yaml:2:34: providers.anthropic.api_key: {REFERENCE}"]


@pytest.mark.parametrize("where", ["https://example.com", "http://[::1]:65535/v1?a=b", "http://h:80", "http://h/v1/x"])
def test_an_address_is_taken_as_it_is(where: str) -> None:
    config = loaded(f"agents: {{a: {{model: anthropic/x}}}}\nproviders: {{anthropic: {{base_url: '{where}'}}}}")
    assert config.providers["anthropic"].base_url == where


@pytest.mark.parametrize("key", [f"{KEY}\r", f"{KEY}\n", f" {KEY}", "naïve", "a\nb", " "])
@pytest.mark.parametrize("kind", ["anthropic", "openai", "openai-chat"])
def test_a_key_that_cannot_be_sent_is_refused_at_the_start_without_telling_it(kind: str, key: str) -> None:
    text = f"""
providers:
  local: {{kind: {kind}, api_key: '${{env:K}}', base_url: 'http://x'}}
  other: {{kind: openai-chat, base_url: 'http://x', headers: {{X: 'a ${{env:H}}'}}}}
agents: {{a: {{model: local/x}}, b: {{model: other/x}}}}
"""
    with pytest.raises(ConfigError) as caught:
        open_providers(loaded(text), env={"K": key, "H": key})
    first, second = str(caught.value).splitlines()
    assert first == f"agents.yaml:3:3: providers.local.api_key: '${{env:K}}': {UNSENDABLE} (agent 'a' needs it)"
    assert "providers.other.headers.X: '${env:H}': " in second
    assert key not in first + second or not key.strip()


def test_a_secret_is_refused_in_the_settings_of_a_model() -> None:
    text = "agents: {a: {model: {provider: anthropic, name: x, settings: {metadata: {user_id: '${env:K}'}}}}}"
    (found,) = errors(text, K=KEY)
    assert "agents.a.model.settings.metadata.user_id" in found
    assert KEY not in found


def with_settings(settings: str, provider: str = "openai") -> str:
    entries = "providers: {batch: {kind: anthropic, api_key: '${env:K}'}}\n"
    return f"{entries}agents:\n  a: {{models: [openai/x, {{provider: {provider}, name: x, settings: {settings}}}]}}"


@pytest.mark.parametrize(
    ("provider", "settings", "error"),
    [
        ("openai", "{temprature: 1}", "there is no setting 'temprature' for 'openai': did you mean 'temperature'?"),
        ("openai", "{temperature: 3}", "got 3: expected a number from 0 to 2"),
        ("openai-chat", "{verbosity: low}", "there is no setting 'verbosity' for 'openai-chat'"),
        ("openai-chat", "{stop: [a, '']}", "got a list: expected a text, or a list of at most 4"),
        ("anthropic", "{thinking: adaptive}", "got 'adaptive': expected a mapping"),
        ("batch", "{temperature: 1}", "there is no setting 'temperature' for 'anthropic'"),
        ("batch", "{stop_sequences: [END, 1]}", "got a list: expected a list of texts"),
        ("batch", "{service_tier: priority}", "got 'priority': expected one of auto, standard_only"),
    ],
)
def test_a_wrong_setting_of_a_model_is_found_when_the_file_is_read(provider: str, settings: str, error: str) -> None:
    (found,) = errors(with_settings(settings, provider))
    name = settings.strip("{").partition(":")[0]
    assert f": agents.a.models.1.settings.{name}: {error}" in found
    assert found.startswith("agents.yaml:3:")


def test_right_settings_of_a_model_are_taken_as_they_are() -> None:
    config = loaded(with_settings("{thinking: {type: adaptive}, stop_sequences: [END]}", "batch"))
    assert config.agents["a"].models[1].settings == {"thinking": {"type": "adaptive"}, "stop_sequences": ["END"]}


def test_keys_come_from_the_usual_variables_and_no_other_provider_needs_one() -> None:
    config = loaded("agents: {a: {model: anthropic/claude-x}}", ANTHROPIC_BASE_URL="http://127.0.0.1:1")
    providers = open_providers(config, env={"ANTHROPIC_API_KEY": KEY})
    assert providers.by_name == {"anthropic": Provider("anthropic", KEY, "http://127.0.0.1:1")}
    assert providers.secrets == {KEY}
    assert {name: each.key_source for name, each in config.providers.items()} == {
        "anthropic": "ANTHROPIC_API_KEY",
        "openai": "OPENAI_API_KEY",
        "openai-chat": "OPENAI_API_KEY",
    }


def test_a_compatible_server_sees_no_key_that_is_not_its_own() -> None:
    for name in ("local", "openai-chat"):
        config = loaded(
            f"providers: {{{name}: {{kind: openai-chat, base_url: 'http://x/v1'}}}}\nagents: {{a: {{model: {name}/m}}}}"
        )
        provider = open_providers(config, env={"OPENAI_API_KEY": KEY}).by_name[name]
        assert (provider.api_key, provider.base_url, config.providers[name].key_source) == ("", "http://x/v1", "no key")


def test_keys_and_headers_of_entries_are_looked_up_by_workers_only(folder: Path) -> None:
    (folder / "keys").mkdir()
    (folder / "keys" / "k").write_text(f"{OTHER}\n")
    text = """
providers:
  openai: {base_url: "${env:WHERE}"}
  batch: {kind: anthropic, api_key: "${file:keys/k}", headers: {X-Team: "a ${env:TEAM}", Y: "$${x}"}, stall_timeout: 5s}
agents: {a: {model: batch/x}, b: {model: openai/y}}
"""
    config = loaded(text, WHERE="https://proxy/v1")
    assert config.secrets == {"https://proxy/v1"}
    assert config.providers["batch"].key_source == "file keys/k"
    assert OTHER not in repr(config)
    providers = open_providers(config, env={"TEAM": "t-1", "OPENAI_API_KEY": KEY})
    assert providers.by_name["batch"] == Provider("anthropic", OTHER, None, {"X-Team": "a t-1", "Y": "${x}"}, 5.0)
    assert providers.by_name["openai"] == Provider("openai", KEY, "https://proxy/v1")
    assert providers.secrets == {OTHER, "t-1", KEY}
    assert KEY not in repr(providers)
    assert OTHER not in repr(providers)


def test_a_missing_key_is_said_with_who_needs_it_and_what_to_do() -> None:
    config = loaded("agents:\n  a: {model: anthropic/x}\n  b: {model: anthropic/y}\n  c: {model: openai/z}\n")
    with pytest.raises(ConfigError) as caught:
        open_providers(config, env={"OPENAI_API_KEY": ""})
    first, second = str(caught.value).splitlines()
    assert first == (
        "agents.yaml:2:3: agents.a.model: '${env:ANTHROPIC_API_KEY}': the environment of this process has no such "
        "variable: set it, or say where its key is, under 'providers: {anthropic: {api_key: …}}' (2 agents need it)"
    )
    assert second.startswith("agents.yaml:4:3: agents.c.model: '${env:OPENAI_API_KEY}': it is empty: give it a value")


def test_later_models_of_a_chain_may_lack_their_keys_and_the_first_may_not() -> None:
    config = loaded("agents: {a: {models: [anthropic/x, openai/y]}, b: {model: anthropic/z}}")
    providers = open_providers(config, env={"ANTHROPIC_API_KEY": KEY})
    assert set(providers.by_name) == {"anthropic"}
    assert set(providers.absent) == {"openai"}
    assert "'${env:OPENAI_API_KEY}': the environment of this process has no such variable" in providers.absent["openai"]
    with pytest.raises(ConfigError, match=r"agents\.a\.models: .*ANTHROPIC_API_KEY.*2 agents need it") as caught:
        open_providers(config, env={"OPENAI_API_KEY": KEY})
    assert "OPENAI" not in str(caught.value)


def test_secrets_are_those_of_the_file_of_its_providers_and_variables_that_are_named_like_one() -> None:
    config = loaded("agents: {a: {model: anthropic/x}}\nfiles: {root: '${env:WHERE}'}", WHERE="some-where")
    env = {"ANTHROPIC_API_KEY": KEY, "DB_PASSWORD": "a-long-one", "MY_TOKEN": "short", "EDITOR": "not-secret"}
    assert known_secrets(config, env=env) == {"some-where", KEY, "a-long-one"}


def test_a_missing_key_of_an_entry_is_said_at_the_entry_and_an_unused_one_is_no_error() -> None:
    text = "providers: {b: {kind: anthropic, api_key: '${env:NO}'}}\nagents: {a: {model: b/x}}"
    with pytest.raises(ConfigError) as caught:
        open_providers(loaded(text), env={})
    assert str(caught.value) == (
        "agents.yaml:1:13: providers.b.api_key: '${env:NO}': the environment of this process has no such variable: "
        "set it (agent 'a' needs it)"
    )
    unused = loaded(text.replace("b/x", "anthropic/x"))
    assert set(open_providers(unused, env={"ANTHROPIC_API_KEY": KEY}).by_name) == {"anthropic"}
