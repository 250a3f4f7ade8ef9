"""Harnesses of many makers, and what their tools print: the tenth set is made of this. All texts are made up."""

# What a tool prints stands in one line, as it does there.
# ruff: noqa: E501, RUF001 - and Japanese has its own brackets
# fmt: off

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

from tests.guards.loop.trace import Call, Trace, choose

SUBJECT = (
    "the cold chain", "a tram depot", "the harbour authority", "our greenhouse", "the opera's box office", "a dental lab", "the ferry operator", "the seed bank",
    "the municipal archive", "a bicycle courier", "the observatory", "a vineyard cooperative", "the blood bank", "the quarry", "a chess federation", "the lighthouse trust",
    "the school kitchen", "a drone survey", "the cable landing", "the glass works", "the choir office", "a salt mine", "the avalanche service", "the rowing club",
)
ACT = (
    "reported", "refused", "doubled", "postponed", "measured", "published", "corrected", "outsourced", "insured", "recalled", "audited", "rebuilt", "lost", "inherited", "priced", "merged", "translated", "closed",
)
THING = (
    "its humidity series", "forty kilometres of fibre", "a tender for pumps", "the winter timetable", "all crate labels", "the fee for visitors", "a map of leaks", "the donor register",
    "seven pilot licences", "the turbidity sensor", "its pension plan", "a batch of lenses", "the night shift", "the catalogue of echoes", "half of the moorings", "an open data portal",
    "the gravel contract", "a warning threshold", "the subtitles", "its rope inventory", "the parking deck", "a spare transformer", "the bell schedule", "the yeast culture",
)
TAIL = (
    "after the flood of {y}", "for {n} thousand euros", "within {n} days", "against the advice of two experts", "with a margin of {n} percent", "because the lease ended in {y}", "on a Tuesday in {y}",
    "although {n} residents objected", "as article {n} requires", "and told nobody for {n} weeks", "under a grant from {y}", "in {n} of its branches", "at level {n} of the scale",
)
STEM = ("anchor", "basalt", "cedar", "delta", "ember", "fjord", "glyph", "harbor", "indigo", "jasper", "kelp", "lumen", "mortar", "nectar", "onyx", "pollen", "quartz", "rivet", "saddle", "timber", "umber", "valve", "willow", "xylem", "yarrow", "zephyr")
ROLE = ("Store", "Codec", "Router", "Policy", "Visitor", "Mapper", "Reader", "Planner", "Cache", "Probe", "Writer", "Merger")
DE_WER = ("Die Spedition", "Der Kunde", "Das Lager in Kassel", "Die Buchhaltung", "Der Lieferant", "Die Filiale", "Das Hauptamt", "Der Prüfer", "Die Hausverwaltung", "Der Fahrer")
DE_TUT = ("meldet", "bestreitet", "ersetzt", "verlangt", "storniert", "verschiebt", "bestätigt", "vermisst", "bezahlt", "prüft")
DE_WAS = ("zwei Paletten Fliesen", "die Rechnung vom Vormonat", "den Liefertermin", "einen defekten Zähler", "die Gutschrift", "das Ersatzteil", "den Mietvertrag", "die Kaution", "eine falsche Adresse", "den Wartungstermin")
ES_QUIEN = ("El almacén", "La clínica", "El ayuntamiento", "La tienda del puerto", "El proveedor", "La aseguradora", "El taller", "La biblioteca", "El hotel", "La cooperativa")
ES_HACE = ("confirma", "rechaza", "retrasa", "necesita", "devuelve", "revisa", "cambia", "ha perdido", "publica", "cobra")
ES_QUE = ("el pedido de sillas", "la factura de marzo", "las llaves del garaje", "el horario de verano", "una muestra de tela", "los datos del contador", "la póliza", "el catálogo nuevo", "tres facturas", "la reserva del grupo")
JA_WHO = ("倉庫", "お客様", "仕入先", "経理部", "配送業者", "店舗", "工場", "本社")
JA_WHAT = ("在庫表", "請求書", "納品日", "返品", "見積書", "部品", "契約書", "送り状")
JA_DOES = ("を確認しました", "を変更しました", "を取り消しました", "を受け取りました", "を修正しました", "を探しています")


def fact(rng: random.Random, count: int = 1) -> str:
    """So many sentences, none of which was said before."""
    return " ".join(
        f"{(who := choose(rng, SUBJECT))[0].upper()}{who[1:]} {choose(rng, ACT)} {choose(rng, THING)} {choose(rng, TAIL).format(y=rng.randint(1961, 2026), n=rng.randint(2, 98))}."
        for _ in range(count)
    )


def satz(rng: random.Random, count: int = 1) -> str:
    """German."""
    return " ".join(f"{choose(rng, DE_WER)} {choose(rng, DE_TUT)} {choose(rng, DE_WAS)} (Vorgang {rng.randint(10000, 99999)})." for _ in range(count))


def frase(rng: random.Random, count: int = 1) -> str:
    """Spanish."""
    return " ".join(f"{choose(rng, ES_QUIEN)} {choose(rng, ES_HACE)} {choose(rng, ES_QUE)} (expediente {rng.randint(100, 9999)})." for _ in range(count))


def bun(rng: random.Random, count: int = 1) -> str:
    """Japanese."""
    return "".join(f"{choose(rng, JA_WHO)}が{choose(rng, JA_WHAT)}{choose(rng, JA_DOES)}（{rng.randint(100, 9999)}番）。" for _ in range(count))


def ident(rng: random.Random) -> str:
    """A name in a program."""
    return f"{choose(rng, STEM)}{choose(rng, ROLE)}"


def file(rng: random.Random, ending: str = "ts") -> str:
    """A source file."""
    return f"packages/{choose(rng, STEM)}/src/{choose(rng, STEM)}{choose(rng, ROLE)}.{ending}"


def code(rng: random.Random, count: int) -> list[str]:
    """Lines of TypeScript."""
    forms = (
        "import {{ {A} }} from '../{a}/{A}';", "export class {A} implements {B} {{", "  private readonly {a} = new Map<string, {B}>();", "  constructor(private {a}: {B}, readonly {b} = {n}) {{}}",
        "    if (this.{a}.size > {n}) return this.{b}({m});", "    const {a} = await this.{b}.load({n}, '{c}');", "    for (const {a} of {b}.entries()) {{", "      throw new RangeError(`{c} ${{{a}}} over {n}`);",
        "    return {a}.map((it) => it.{b} * {n}).filter(Boolean);", "  }}", "  async {a}Of({b}: {B}): Promise<{A}> {{", "  // {w}", "    expect({a}({n})).toEqual({m});",
    )
    return [
        choose(rng, forms).format(A=ident(rng).title(), B=f"{choose(rng, STEM).title()}{choose(rng, ROLE)}", a=choose(rng, STEM), b=choose(rng, STEM), c=choose(rng, STEM), n=rng.randint(2, 4000), m=rng.randint(2, 400), w=fact(rng))
        for _ in range(count)
    ]


def lined(lines: Sequence[str], first: int = 1) -> str:
    """With numbers, as an editor shows them."""
    return "\n".join(f"{first + n}|{line}" for n, line in enumerate(lines))


def dom(rng: random.Random, url: str, items: Sequence[str], *, first: int | None = None) -> str:
    """What a browser agent is shown: a tree with the indices of today."""
    at = rng.randint(1, 90) if first is None else first
    body = "\n".join(f"\t*[{at + n}]<{item} />" for n, item in enumerate(items))
    return f"[Start of page]\n{body}\n[End of page]\nCurrent tab: {crc32(url[:14].encode()) % 65536:04X} {url}\npage_stats: {len(items)} interactive, {420 + rng.randint(0, 6)} total elements, built in {rng.uniform(20, 200):.0f}ms"


def log_lines(rng: random.Random, at: Trace, count: int, forms: Sequence[str]) -> str:
    """A log with times and ids."""
    return "\n".join(
        f"{at.stamp()} {choose(rng, ('INFO', 'INFO', 'WARN', 'DEBUG'))} [{choose(rng, STEM)}-{rng.randint(1, 9)}] trace={rng.getrandbits(48):012x} {choose(rng, forms).format(n=rng.randint(1, 9999), s=choose(rng, STEM), i=ident(rng))}"
        for _ in range(count)
    )


class Log:
    """A run as its harness wrote it down: its wrapper and its manner of speaking stay the same."""

    def __init__(self, rng: random.Random, kinds: Mapping[str, str] | None = None, *, wraps: str = "bare mcp json blocks", talk: float | None = None) -> None:
        self.rng = rng
        self.trace = Trace(rng, kinds if kinds and (rng.random() < 0.6 or "spawn" in kinds.values()) else {})
        self.wrap = choose(rng, wraps.split())
        self.talk = choose(rng, (0.0, 0.3, 1.0)) if talk is None else talk
        self.raises = rng.random() < 0.5

    def ok(self, tool: str, arguments: Any = None, result: Any = None, *, secs: float = 0.5) -> Call:
        """It works."""
        return Call(tool, {} if arguments is None else arguments, self._wrapped(result, failed=False), seconds=secs * self.rng.uniform(0.6, 1.7))

    def bad(self, tool: str, arguments: Any, message: str, *, secs: float = 0.5) -> Call:
        """It does not; half of the harnesses say so only in the text."""
        secs *= self.rng.uniform(0.6, 1.7)
        if self.raises:
            return Call(tool, arguments, problem=message, seconds=secs)
        return Call(tool, arguments, self._wrapped(message, failed=True), seconds=secs)

    def turn(self, *calls: Call, say: str = "", always: bool = False, think: float = 4.0) -> Log:
        """An answer; the words beside the calls are there as often as this model speaks."""
        self.trace.turn(*calls, text=say if always or not calls or self.rng.random() < self.talk else "", think=think)
        return self

    def done(self, text: str = "") -> Trace:
        """The end of it."""
        return self.trace.end(text or f"Finished. {fact(self.rng, 2)}")

    def _wrapped(self, value: Any, *, failed: bool) -> Any:
        rng, trace = self.rng, self.trace
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if self.wrap == "mcp":
            return {"content": [{"type": "text", "text": text}], "isError": failed}
        if self.wrap == "json":
            return trace.shuffled({"status": "error" if failed else "success", "result": value, "request_id": trace.uid(), "took_ms": rng.randint(3, 4000)})
        if self.wrap == "blocks":
            return [{"type": "text", "text": text}]
        if self.wrap == "observed":
            return f"OBSERVATION:\n{text}\n[The command completed with exit code {int(failed)}.]\n[Current working directory: /workspace]\n[Time: {trace.stamp()}]"
        if self.wrap == "prompt":
            return f"{text}\n(Open file: n/a)\n(Current directory: /testbed)\nbash-$"
        return value


def coding(rng: random.Random, turns: int) -> Log:
    """A coding agent that has found its way about."""
    log = Log(rng, {"execute_bash": "write", "str_replace_editor": "write", "search_files": "read"}, wraps="bare mcp observed prompt")
    for _ in range(turns):
        name = file(rng)
        if rng.random() < 0.6:
            log.turn(log.ok("str_replace_editor", {"command": "view", "path": name}, lined(code(rng, rng.randint(12, 40)))), say=f"Let me look at {name}.")
        else:
            log.turn(log.ok("search_files", {"regex": ident(rng), "path": "packages"}, "\n".join(f"{file(rng)}:{rng.randint(1, 500)}:{line}" for line in code(rng, rng.randint(2, 6)))), say="Where is it used?")
    return log


def view(log: Log, name: str, lines: Sequence[str], first: int = 1) -> Call:
    """A window of a file."""
    return log.ok("str_replace_editor", {"command": "view", "path": name, "view_range": [first, first + len(lines) - 1]}, lined(lines, first))


def edit(log: Log, name: str, old: str, new: str) -> Call:
    """A replacement that works, with the snippet that the editor shows."""
    return log.ok("str_replace_editor", {"command": "str_replace", "path": name, "old_str": old, "new_str": new}, f"The file {name} has been edited. Here's the result of running `cat -n` on a snippet:\n{lined([old, new][1:], log.rng.randint(2, 300))}\nReview the changes and make sure they are as expected.")


def sh(log: Log, command: str, out: str = "", *, failed: bool = False, secs: float = 1.0) -> Call:
    """The shell."""
    return (log.bad if failed else log.ok)("execute_bash", {"command": command}, out, secs=secs)


def jest(rng: random.Random, failing: Sequence[tuple[str, str]], passed: int) -> str:
    """A report of jest."""
    body = "\n".join(f"  ● {name}\n\n    {why}\n\n      at Object.<anonymous> (test/all.test.ts:{crc32(name.encode()) % 300}:{len(name)})\n" for name, why in failing)
    return f"{'FAIL' if failing else 'PASS'} test/all.test.ts ({rng.uniform(2, 30):.3f} s)\n{body}\nTests:       {f'{len(failing)} failed, ' if failing else ''}{passed} passed, {passed + len(failing)} total\nTime:        {rng.uniform(2, 30):.3f} s, estimated {rng.randint(3, 30)} s\nRan all test suites."


def astray(rng: random.Random) -> range:
    """So long it goes on after there is no hope."""
    return range(rng.randint(24, 48))
