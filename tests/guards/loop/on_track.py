"""The eighth set, its healthy half: long, dull, repetitive work that gets somewhere."""

# ruff: noqa: E501 - what a tool prints stands in one line, as it does there

from __future__ import annotations

import json
import random

from tests.guards.loop.phrases import NAMES, SUBJECTS, facts, jest, mcp, say, snapshot, source
from tests.guards.loop.scenes import tools
from tests.guards.loop.trace import Call, Trace, choose


def forty_forms(rng: random.Random) -> Trace:
    """Data entry: a form for each row of a sheet; the page after it differs by a name and a number."""
    trace = Trace(rng)
    fields = ["textbox 'Name'", "textbox 'Email'", "combobox 'Country'", "button 'Save'"]
    for n in range(rng.randint(15, 40)):
        name = f"{choose(rng, NAMES).title()} {choose(rng, NAMES).title()}son"
        values = [
            {"ref": f"e{rng.randint(2, 900)}", "value": value} for value in (name, f"{name[:4]}{n}@acme.test", "DE")
        ]
        trace.turn(Call("mcp__playwright__browser_fill_form", {"fields": values}, mcp(trace,
            snapshot(rng, "https://crm.test/new", "New contact", fields))), text=f"Row {n + 1}: {name}.")  # fmt: skip
        trace.turn(Call("mcp__playwright__browser_click", {"element": "Save", "ref": f"e{rng.randint(2, 900)}"}, mcp(trace,
            snapshot(rng, "https://crm.test/new?saved=1", "New contact", [*fields, f"alert: Contact {4100 + n} was saved"]))))  # fmt: skip
    return trace.end()


def sixty_files(rng: random.Random) -> Trace:
    """Translation into Japanese: read, write, the same words to each, no check between."""
    trace = Trace(rng, tools(rng, Read="read", Write="write"))
    for n in range(rng.randint(20, 60)):
        path = f"docs/{choose(rng, NAMES)}-{n}.md"
        trace.turn(Call("Read", {"file_path": path}, "\n".join(facts(rng, 12))), text="次のファイルを翻訳します。")
        trace.turn(Call("Write", {"file_path": path.replace("docs", "docs/ja"), "content": f"# {n} {'翻訳' * rng.randint(9, 99)}"},
            f"File created successfully at: {path.replace('docs', 'docs/ja')}"), text="翻訳して保存します。")  # fmt: skip
    return trace.end()


def one_stubborn_test(rng: random.Random) -> Trace:
    """The same test fails in the same words while the code changes, up to twelve times; it reads now and then."""
    trace = Trace(rng, tools(rng, Read="read"))
    for _ in range(rng.randint(1, 3)):
        failing, why = [f"handles the {choose(rng, SUBJECTS)}"], f"TypeError: {choose(rng, NAMES)} is not a function"
        for n in range(rng.randint(4, 12)):
            if n % 4 == 1:
                trace.turn(Call("Read", {"file_path": f"src/{choose(rng, NAMES)}.ts"}, "\n".join(source(rng, 25))))
            trace.turn(Call("Edit", {"file_path": "src/cart.ts", "old_string": source(rng, 1)[0], "new_string": source(rng, 2)},
                "The file src/cart.ts has been updated."), text=say(rng, ("The cause may be", "Perhaps it is"), SUBJECTS))  # fmt: skip
            trace.turn(Call("Bash", {"command": "npx jest src/cart.test.ts"}, jest(rng, failing, 11, why), seconds=6))
        trace.turn(Call("Bash", {"command": "npx jest src/cart.test.ts"}, jest(rng, [], 12, "")))
    return trace.end()


def cursors(rng: random.Random) -> Trace:
    """Thirty pages of records that look alike, by cursor."""
    trace = Trace(rng, tools(rng, listCustomers="read"))
    cursor = ""
    for page in range(rng.randint(10, 40)):
        rows = [{"id": f"cus_{rng.getrandbits(60):015x}", "email": f"{choose(rng, NAMES)}{page * 20 + n}@acme.test",
            "status": "active", "balance": rng.randint(0, 900)} for n in range(20)]  # fmt: skip
        following = f"c_{rng.getrandbits(60):x}"
        trace.turn(Call("stripe.listCustomers", {"limit": 20, "starting_after": cursor}, json.dumps({"data": rows,
            "has_more": True, "next": following})))  # fmt: skip
        cursor = following
    return trace.end()


def night_watch(rng: random.Random) -> Trace:
    """A declared poll that is quiet for some minutes, alarms, and what is done about them."""
    trace = Trace(rng, {"get_alerts": "poll", "runbook": "read"})
    for _ in range(rng.randint(2, 5)):
        for _ in range(rng.randint(3, 8)):
            trace.turn(Call("get_alerts", {"severity": "high"}, {"alerts": [], "at": trace.stamp()}, seconds=25))
        alert = choose(rng, SUBJECTS)
        trace.turn(Call("get_alerts", {"severity": "high"}, {"alerts": [{"about": alert, "id": trace.uid()}]}))
        trace.turn(Call("runbook", {"topic": alert}, "\n".join(facts(rng, 5))))
        trace.turn(Call("restart", {"service": alert}, f"restarted {alert}"))
    return trace.end()


def help_desk(rng: random.Random) -> Trace:
    """Many people ask much the same; some answers are the same to the letter."""
    trace, pages = Trace(rng, tools(rng, kb_search="read")), [" ".join(facts(rng, 4)) for _ in range(6)]
    for _ in range(rng.randint(15, 50)):
        topic = choose(rng, SUBJECTS)
        trace.person(
            say(
                rng,
                ("Hi,", "Hello,", ""),
                ("how do I change", "where do I find", "why does it not show"),
                f"the {topic}?",
            )
        )
        if rng.random() < 0.8:
            trace.turn(Call("kb_search", {"query": topic}, rng.sample(pages, 2)))
            trace.says(f"You find the {topic} in the settings. {facts(rng, 1)[0]}")
        else:
            trace.says("I am sorry, I cannot help with that. Please write to support@acme.test.")
    return trace.end()


def flaky_backend(rng: random.Random) -> Trace:
    """Up to five refusals before each answer, and waiting between them."""
    trace = Trace(rng, tools(rng, fetchReport="read"))
    for n in range(rng.randint(4, 12)):
        for _ in range(rng.randint(0, 5)):
            trace.turn(
                Call("fetchReport", {"month": n}, problem=f"HTTP 503 Service Unavailable (request {trace.uid()})")
            )
            trace.turn(Call("Bash", {"command": f"sleep {rng.choice((5, 10, 30))}"}, "", seconds=9))
        trace.turn(Call("fetchReport", {"month": n}, {"rows": facts(rng, 6)}))
    return trace.end()


def literature(rng: random.Random) -> Trace:
    """Sixty turns of research: hits that overlap, pages with the same frame, and much to read on each."""
    trace = Trace(rng, tools(rng, web_search="read", web_fetch="read"))
    seen = [{"url": f"https://papers.test/{n}", "title": fact} for n, fact in enumerate(facts(rng, 30))]
    frame = "Skip to main content\nSign in\nHelp\nSubmit\nAbout\n"
    for _ in range(rng.randint(12, 35)):
        hits = [*rng.sample(seen, 6), {"url": f"https://papers.test/{rng.getrandbits(30)}", "title": facts(rng, 1)[0]}]
        trace.turn(Call("web_search", {"query": say(rng, SUBJECTS, ("survey", "benchmark", "limits"))}, hits))
        trace.turn(Call("web_fetch", {"url": choose(rng, hits)["url"]}, frame + "\n".join(facts(rng, 20))),
            text=say(rng, ("This looks relevant.", "Let me read this one.", "Opening the paper.")))  # fmt: skip
    return trace.end()


def pull_request(rng: random.Random) -> Trace:
    """A review: many files at once, a comment on most of them."""
    trace = Trace(rng, tools(rng, get_file="read", add_review_comment="write"))
    for n in range(rng.randint(5, 15)):
        calls = [
            Call("github.getFile", {"path": f"src/{choose(rng, NAMES)}{n}{k}.ts"}, "\n".join(source(rng, 30)))
            for k in range(rng.randint(1, 5))
        ]
        trace.turn(*calls, text="Reading the next files.")
        for _ in range(rng.randint(0, 4)):
            body = {"id": rng.getrandbits(31), "url": f"https://git.test/c/{rng.getrandbits(31)}", "state": "COMMENTED"}
            trace.turn(
                Call(
                    "github.addReviewComment",
                    {"path": f"src/{n}.ts", "line": rng.randint(1, 90), "body": facts(rng, 1)[0]},
                    body,
                )
            )
    return trace.end()


def rollout(rng: random.Random) -> Trace:
    """A rollout watched without sleeps: one more is ready every few looks."""
    trace = Trace(rng)
    trace.turn(
        Call("run_in_terminal", {"command": "kubectl rollout restart deploy/api"}, "deployment.apps/api restarted")
    )
    for ready in range(rng.randint(3, 8)):
        for _ in range(rng.randint(1, 4)):
            trace.turn(Call("run_in_terminal", {"command": "kubectl get deploy api"},
                f"NAME   READY   UP-TO-DATE   AVAILABLE   AGE\napi    {ready}/8     {ready}            {ready}           41d"), think=8)  # fmt: skip
    return trace.turn(
        Call("run_in_terminal", {"command": "kubectl rollout status deploy/api"}, "successfully rolled out")
    ).end()


def board_game(rng: random.Random) -> Trace:
    """A game: the board after each move; most of its lines were there before."""
    trace, board = Trace(rng), [["."] * 8 for _ in range(8)]
    for n in range(rng.randint(20, 60)):
        row, column = rng.randrange(8), rng.randrange(8)
        board[row][column] = "XO"[n % 2]
        shown = "\n".join(f"{8 - k} {' '.join(line)}" for k, line in enumerate(board))
        trace.turn(Call("make_move", {"move": f"{'abcdefgh'[column]}{8 - row}"}, f"{shown}\n  a b c d e f g h\nYour turn."),
            text=say(rng, ("This blocks the row.", "I build a fork.", "Centre first.", "A safe move."), NAMES))  # fmt: skip
    return trace.end()


def fifty_updates(rng: random.Random) -> Trace:
    """One record after the other is brought up to date; the answer is always the same."""
    trace = Trace(rng, tools(rng, updateRecord="write"))
    for n in range(rng.randint(20, 70)):
        trace.turn(Call("airtable.updateRecord", {"id": f"rec{rng.getrandbits(70):017x}", "fields": {"Status": "Done", "Order": n}},
            mcp(trace, {"status": "ok", "updated": 1})), text=f"Updating record {n + 1}.")  # fmt: skip
    return trace.end()


def checks_and_ends(rng: random.Random) -> Trace:
    """Work, and at its end five checks, some of them twice; then it says that it is done."""
    trace = Trace(rng)
    for _ in range(rng.randint(4, 14)):
        trace.turn(Call("Read", {"file_path": f"src/{choose(rng, NAMES)}.ts"}, "\n".join(source(rng, 20))))
        trace.turn(
            Call("Edit", {"file_path": "src/a.ts", "new_string": source(rng, 2)}, "The file src/a.ts has been updated.")
        )
    for command, result in (("npm test", "14 passed, 14 total"), ("git status", "modified: src/a.ts"), ("npm run lint", ""),
        ("git diff --stat", " src/a.ts | 9 +++"), ("npm test", "14 passed, 14 total"), ("git status", "modified: src/a.ts")):  # fmt: skip
        trace.turn(Call("Bash", {"command": command}, result), text="Final verification.")
    return trace.end()


def reads_after_compaction(rng: random.Random) -> Trace:
    """Its context is emptied twice; it reads its notes and four files again, and writes on."""
    trace = Trace(rng)
    files = {f"src/{name}.py": "\n".join(source(rng, 50)) for name in NAMES[:8]}
    for part in range(rng.randint(2, 4)):
        for path in [*files][: rng.randint(3, 5)]:
            trace.turn(Call("Read", {"file_path": path}, files[path]), text="Restoring what I need.")
        for n in range(rng.randint(5, 14)):
            trace.turn(Call("Edit", {"file_path": f"src/new_{part}.py", "old_string": source(rng, 1)[0], "new_string": source(rng, 3)},
                f"The file src/new_{part}.py has been updated. Here's the result:\n{chr(10).join(source(rng, 6))}"))  # fmt: skip
            if n % 4 == 3:
                trace.turn(Call("Bash", {"command": "pytest -q"}, f"{n + part * 9} passed in {rng.uniform(1, 4):.2f}s"))
    return trace.end()


def cools_down(rng: random.Random) -> Trace:
    """A value that is looked at each minute with a tool that nobody declared, until it is below the line."""
    trace, value = Trace(rng), rng.uniform(80, 99)
    while value > 60:
        value -= rng.uniform(0, 3)
        trace.turn(
            Call(
                "readSensor",
                {"id": "boiler-2"},
                {"sensor": "boiler-2", "celsius": round(value, 1), "ts": trace.stamp()},
            )
        )
        trace.turn(Call("sleep", {"ms": 60_000}, "ok", seconds=60))
    return trace.end()


def drafts(rng: random.Random) -> Trace:
    """A text in six to ten versions; each review finds something else."""
    trace = Trace(rng, tools(rng, saveDraft="write", review="read"))
    for n in range(rng.randint(6, 10)):
        trace.turn(
            Call("saveDraft", {"name": "article.md", "text": "\n".join(facts(rng, 25))}, f"saved version {n + 1}")
        )
        trace.turn(
            Call(
                "review",
                {"name": "article.md"},
                f"Score {min(9, 4 + n // 2)}/10\n" + "\n".join(f"- {fact}" for fact in facts(rng, 4)),
            )
        )
    return trace.end()


def hook_and_work(rng: random.Random) -> Trace:
    """A hook that will not let it end asks in the same words, and each time it does some more."""
    trace = Trace(rng)
    for n in range(rng.randint(6, 16)):
        for _ in range(rng.randint(1, 4)):
            trace.turn(Call("Edit", {"file_path": f"src/{choose(rng, NAMES)}.ts", "new_string": source(rng, 3)}, "ok"))
        trace.turn(
            Call("Bash", {"command": "npm test"}, jest(rng, [f"case {k}" for k in range(16 - n)], n, "expected true"))
        )
        trace.says(say(rng, ("Fixed another case.", "One more is green."), f"{16 - n} are left."))
        trace.person("Stop hook feedback: tests are failing. Continue.")
    return trace.end()


def six_looks(rng: random.Random) -> Trace:
    """A log that stands still for some looks, with a tool that nobody declared, without a sleep, and goes on."""
    trace, lines = Trace(rng), source(rng, 10)
    for _ in range(rng.randint(3, 6)):
        for _ in range(rng.randint(2, 6)):
            trace.turn(
                Call("get_terminal_output", {"id": "term-1"}, "\n".join(lines[-8:])), think=20, text="Still building."
            )
        lines += source(rng, rng.randint(1, 5))
    return trace.end()


def twenty_rounds(rng: random.Random) -> Trace:
    """Twenty edits, the same failing test after each, nothing read; the twenty-first is right."""
    trace = Trace(rng)
    for _ in range(rng.randint(14, 20)):
        trace.turn(Call("Edit", {"file_path": "src/cart.ts", "old_string": source(rng, 1)[0], "new_string": source(rng, 2)},
            "The file src/cart.ts has been updated."), text=say(rng, ("Perhaps", "Maybe", "Then"), SUBJECTS))  # fmt: skip
        trace.turn(
            Call("Bash", {"command": "npm test"}, jest(rng, ["keeps the total"], 11, "Expected: 30\n    Received: 33"))
        )
    return trace.turn(Call("Bash", {"command": "npm test"}, jest(rng, [], 12, ""))).end()


def where_is_it(rng: random.Random) -> Trace:
    """Ten to fourteen searches that find nothing, then the place, and the work there."""
    trace = Trace(rng, tools(rng, Grep="read"))
    for _ in range(rng.randint(1, 3)):
        for _ in range(rng.randint(5, 12)):
            trace.turn(
                Call(
                    "Grep",
                    {"pattern": say(rng, SUBJECTS, NAMES), "path": choose(rng, ("src", "lib", "."))},
                    "No files found",
                )
            )
        trace.turn(Call("Grep", {"pattern": choose(rng, NAMES)}, "\n".join(source(rng, 4))))
        trace.turn(
            Call("Edit", {"file_path": "src/a.ts", "new_string": source(rng, 2)}, "The file src/a.ts has been updated.")
        )
    return trace.end()


def handovers(rng: random.Random) -> Trace:
    """A swarm in one run that serves a person: the right one takes over, does something, hands back."""
    trace = Trace(rng)
    for _ in range(rng.randint(4, 15)):
        to = choose(rng, ("billing", "support", "sales"))
        trace.person(
            say(
                rng,
                ("I have a question about", "There is a problem with", "Please look at"),
                f"the {choose(rng, SUBJECTS)}.",
            )
        )
        trace.turn(Call(f"transfer_to_{to}", {}, f"Transferred to {to}. Adopt persona immediately."))
        trace.turn(
            Call("lookup", {"about": choose(rng, SUBJECTS), "n": rng.randint(1, 999)}, {"answer": facts(rng, 1)})
        )
        trace.says(" ".join(facts(rng, 2)))
    return trace.end()


def crawl(rng: random.Random) -> Trace:
    """Products of a shop: all pages are one frame, and each has a name, a price and three sentences."""
    trace = Trace(rng, tools(rng, scrape="read"))
    head, foot = facts(rng, 8), facts(rng, 8)
    for n in range(rng.randint(15, 60)):
        body = [f"<h1>{choose(rng, NAMES)} {n}</h1>", f"<b>{rng.uniform(1, 900):.2f} €</b>", *facts(rng, 3)]
        trace.turn(Call("scrape", {"url": f"https://shop.test/p/{n}"}, "\n".join([*head, *body, *foot])))
        if n % 10 == 9:
            trace.turn(Call("appendRows", {"rows": [[m] for m in range(n - 9, n + 1)]}, {"appended": 10}))
    return trace.end()


HEALTHY = (
    forty_forms, sixty_files, one_stubborn_test, cursors, night_watch, help_desk, flaky_backend, literature,
    pull_request, rollout, board_game, fifty_updates, checks_and_ends, reads_after_compaction, cools_down, drafts,
    hook_and_work, six_looks, twenty_rounds, where_is_it, handovers, crawl,
)  # fmt: skip
