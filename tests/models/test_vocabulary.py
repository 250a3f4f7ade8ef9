"""Tokens by a model's own vocabulary, against counts of others; without the extra; with one that is broken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.config.providers import Provider, Providers
from callboard.config.spec import ModelChoice
from callboard.errors import ConfigError
from callboard.models import vocabulary
from callboard.models.registry import opened_models
from callboard.models.tokens import BYTES, TokenCounter
from callboard.models.vocabulary import counter_of, encoding_of
from tests.models.token_samples import SAMPLES, Sample

FRAME = 8
GPT, OLDER, CLAUDE, LOCAL = (
    ModelChoice(provider=provider, name=name)
    for provider, name in (
        ("openai", "gpt-5.5"),
        ("openai", "gpt-4-turbo"),
        ("anthropic", "claude-opus-5"),
        ("openai-chat", "mistral-small"),
    )
)


def estimated(counter: TokenCounter, text: str) -> int:
    return ceil(counter.most * counter.text(text))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind)
def test_models_of_openai_are_counted_as_they_count(sample: Sample) -> None:
    assert estimated(counter_of(GPT), sample.text) == sample.newer + FRAME
    assert estimated(counter_of(OLDER), sample.text) == sample.older + FRAME


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind)
def test_claude_is_never_taken_for_fewer_tokens_than_it_has(sample: Sample) -> None:
    most = max(sample.claude_46, sample.claude_48)
    found = estimated(counter_of(CLAUDE), sample.text)
    assert most <= found <= 2.2 * most + FRAME
    assert found >= estimated(BYTES, sample.text), "with the extra it is safer, never less"


def errors(counter: TokenCounter, truth: Callable[[Sample], int]) -> dict[str, float]:
    return {sample.kind: estimated(counter, sample.text) / truth(sample) for sample in SAMPLES}


def test_bytes_alone_are_wrong_by_far_in_both_directions() -> None:
    """Why one wants the extra."""
    by_bytes = errors(BYTES, lambda sample: sample.newer)
    assert by_bytes["Russian"] > 3
    assert by_bytes["English"] > 2
    assert by_bytes["code"] > 2
    assert by_bytes["base64"] < 0.75
    claude = errors(BYTES, lambda sample: sample.claude_48)
    assert claude["base64"] < 0.55
    assert claude["a log"] < 0.9
    counted = errors(counter_of(GPT), lambda sample: sample.newer + FRAME)
    assert set(counted.values()) == {1.0}


@pytest.mark.parametrize(
    ("provider", "name", "encoding"),
    [
        ("openai", "gpt-5", "o200k_base"),
        ("openai", "gpt-5.5-mini", "o200k_base"),
        ("openai", "gpt-4o-2024-08-06", "o200k_base"),
        ("openai", "gpt-4.1", "o200k_base"),
        ("openai", "o3", "o200k_base"),
        ("openai", "o4-mini", "o200k_base"),
        ("openai-chat", "openai/GPT-4o", "o200k_base"),
        ("openai-chat", "gpt-oss:20b", "o200k_base"),
        ("openai", "gpt-4", "cl100k_base"),
        ("openai", "gpt-4-0613", "cl100k_base"),
        ("openai", "gpt-3.5-turbo", "cl100k_base"),
        ("anthropic", "claude-haiku-4-5", "o200k_base"),
        ("openai-chat", "anthropic/claude-opus-4.5", "o200k_base"),
        ("openai", "gpt-50", ""),
        ("openai", "gpt-6", ""),
        ("openai-chat", "o100", ""),
        ("openai-chat", "qwen3", ""),
        ("openai-chat", "claudette", ""),
        ("anthropic", "", ""),
        ("scripted", "gpt-5", ""),
    ],
)
def test_a_vocabulary_is_chosen_by_the_models_family(provider: str, name: str, encoding: str) -> None:
    choice = ModelChoice(provider=provider, name=name)
    assert encoding_of(choice) == encoding
    assert (counter_of(choice) is BYTES) == (not encoding)


def test_who_counts_has_a_name() -> None:
    assert counter_of(GPT).name == "o200k_base"
    assert counter_of(CLAUDE).name == "1.6 times o200k_base, or more"
    assert counter_of(LOCAL).name == "half a token for a byte"
    assert counter_of(GPT) is counter_of(GPT)


def test_a_result_counts_as_adapters_write_it() -> None:
    counter = counter_of(GPT)
    assert counter.json("a\nb") == counter.text("a\nb")
    assert counter.json({"a": [1, 2]}) == counter.text('{"a": [1, 2]}')
    assert counter.json({"ü": "ß"}) == counter.text('{"ü": "ß"}')
    assert counter.unread(1_000) == 500 + FRAME


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=200), st.sampled_from([GPT, OLDER, CLAUDE]))
def test_any_text_can_be_counted_half_surrogates_too(text: str, choice: ModelChoice) -> None:
    size = len(text.encode("utf-8", "replace"))
    most = max(ceil(1.6 * size), size) if choice is CLAUDE else size
    assert FRAME <= counter_of(choice).text(text) <= most + FRAME, "no token is shorter than a byte"


def test_half_a_surrogate_counts_as_what_stands_for_it() -> None:
    assert counter_of(GPT).text("a\ud800b") == counter_of(GPT).text("a?b")


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_text_has_no_more_tokens_than_its_parts(one: str, two: str) -> None:
    counter = counter_of(GPT)
    assert counter.text(one + two) <= counter.text(one) + counter.text(two)


ALONE = """
import sys
sys.path.insert(0, {folder!r})
{first}
from callboard.config.spec import ModelChoice
from callboard.errors import ConfigError
from callboard.models.tokens import BYTES
from callboard.models.vocabulary import check_counter, counter_of
for name in ("gpt-5.5", "claude-opus-5"):
    choice = ModelChoice(provider="openai-chat", name=name)
    assert counter_of(choice) is BYTES
    assert BYTES.text("x" * 100) * BYTES.most == 50
    try:
        check_counter(choice)
    except ConfigError as error:
        print(error)
"""


def alone(folder: Path, first: str = "") -> list[str]:
    code = ALONE.format(folder=str(folder), first=first)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_without_the_extra_bytes_are_counted_and_nobody_complains(tmp_path: Path) -> None:
    assert alone(tmp_path, "sys.modules['toktok'] = None") == []


def test_an_extra_that_is_broken_says_how_to_mend_it_and_bytes_are_counted(tmp_path: Path) -> None:
    (tmp_path / "toktok.py").write_text("raise ImportError('libtoktok.so: wrong ELF class')")
    (line, _) = alone(tmp_path)
    assert line == (
        "callboard[tokens] is installed, and cannot count with 'o200k_base': ImportError: libtoktok.so: wrong ELF class"
        "; install it again (pip install --force-reinstall 'callboard[tokens]'), or remove it (pip uninstall toktok-rs)"
    )


def test_an_extra_that_lacks_what_it_needs_is_broken_and_not_absent(tmp_path: Path) -> None:
    (tmp_path / "toktok.py").write_text("import numpy_of_another_planet")
    (line, _) = alone(tmp_path)
    assert "ModuleNotFoundError: No module named 'numpy_of_another_planet'" in line


async def test_a_worker_with_a_broken_extra_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(texts: object, encoding: str, **_: object) -> list[int]:
        raise KeyError(encoding)

    monkeypatch.setattr("toktok.batch_count", broken)
    monkeypatch.setattr(vocabulary, "_load", vocabulary._load.__wrapped__)
    providers = Providers({"local": Provider("openai-chat", "", "http://127.0.0.1:1/v1")})
    gpt, other = (ModelChoice(provider="openai-chat", key_name="local", name=name) for name in ("gpt-oss", "mistral"))
    with pytest.raises(ConfigError, match=r"cannot count with 'o200k_base': KeyError: 'o200k_base'; install it again"):
        async with opened_models(providers, (gpt,)):
            pass
    async with opened_models(providers, (other,), (gpt,)) as models:
        assert models.open(gpt) is models.open(other), "one that only stands in for others is passed over with a word"
