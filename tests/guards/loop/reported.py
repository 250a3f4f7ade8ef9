"""The sixth set: runs as public bug reports and trajectories tell them, written before the guard had seen one.

Most degenerate ones are 10 to 60 turns long. What differs by itself in real results differs here: times, durations,
ids, addresses, colours, orders.
"""

from __future__ import annotations

import random

from tests.guards.loop.scenes import explore, hits, shell, thought, tools, trace_back
from tests.guards.loop.trace import Call, Trace, choose, words


def _base64(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") for _ in range(count))


def _begun(rng: random.Random, **kinds: str) -> Trace:
    return explore(Trace(rng, tools(rng, **kinds)), rng.randint(0, 6))


# ---- degenerate ---------------------------------------------------------------------------------------------------
def clock_watcher(rng: random.Random) -> Trace:
    """NorthlandPositronics/Cogtrix#473: told to wait until five past eleven, it asks for the time, again and again."""
    trace = _begun(rng, get_current_datetime="read", checkpoint="write")
    for n in range(rng.randint(14, 40)):
        now = {"utc": trace.stamp(), "timezone": "UTC", "weekday": "Friday"}
        trace.turn(Call("get_current_datetime", {}, now), text="" if n % 3 else thought(rng))
        if rng.random() < 0.15:
            trace.turn(Call("checkpoint", {"note": "waiting"}, {"saved": True, "id": trace.uid()}))
    return trace


def reused_input(rng: random.Random) -> Trace:
    """crewAI#518: the framework answers that the input was used before, and the agent uses it again."""
    trace = _begun(rng, search="read")
    query = words(rng, 5)
    known = "\n".join(str(hit) for hit in hits(rng, 5))
    again = (
        "I tried reusing the same input, I must stop using this action input. I'll try something else instead.\n\n"
        "You ONLY have access to the following tools, and should NEVER make up tools that are not listed here:\n"
        "Tool Name: search\nTool Description: Search the internet with Serper\nTool Arguments: {'search_query': str}"
    )
    for n in range(rng.randint(10, 25)):
        asked = choose(rng, (query, query, f'"{query}"', f"{query} "))
        trace.turn(Call("search", {"search_query": asked}, again if n % 3 else known), text=thought(rng))
    return trace


def coworker_missing(rng: random.Random) -> Trace:
    """crewAI#6: it delegates in ever new words to somebody who does not exist."""
    trace = _begun(rng, delegate_work="write")
    for _ in range(rng.randint(10, 22)):
        name = choose(rng, ("Researcher", "Senior Researcher", "researcher", "The Researcher"))
        refused = (
            f"\nError executing tool. Co-worker mentioned not found, it must be one of the following options:\n"
            f"- data analyst\n- writer\n(asked for {name!r})"
        )
        task = {"coworker": name, "task": words(rng, 12), "context": words(rng, 20)}
        trace.turn(Call("delegate_work", task, refused), text=thought(rng))
    return trace


def same_bytes(rng: random.Random) -> Trace:
    """openclaw#79301: the same file with the same content, written and written; the plan before it is the same."""
    trace = _begun(rng, write="write", read="read")
    content, path = words(rng, 300), f"src/{words(rng, 1)}/route.ts"
    plan = f"The user wants to replace the mock data. Let me plan: {words(rng, 40)}."
    for _ in range(rng.randint(10, 20)):
        said = f"Successfully wrote {len(content)} bytes to {path} in {rng.randint(2, 40)}ms"
        trace.turn(Call("write", {"path": path, "content": content}, said), text=plan)
        if rng.random() < 0.3:
            trace.turn(Call("read", {"path": path}, content), text=plan)
    return trace


def refined_forever(rng: random.Random) -> Trace:
    """openclaw#122577: one document, replaced by another wording of itself, for ever."""
    trace = _begun(rng, write="write")
    for n in range(rng.randint(35, 60)):
        body = f"# Plan, version {n}\n{words(rng, 120)}"
        said = {"ok": True, "changed": True, "path": "docs/plan.md", "bytes": len(body)}
        trace.turn(Call("write", {"path": "docs/plan.md", "content": body}, said), text=thought(rng))
    return trace


def empty_shells(rng: random.Random) -> Trace:
    """AVADSA25/codec#230: pages that are drawn by scripts: each fetch brings the frame of the site, never the text."""
    trace = _begun(rng, web_fetch="read", web_search="read")
    frame = "\n".join(words(rng, 4) for _ in range(25))
    found = hits(rng, 6)
    for n in range(rng.randint(12, 35)):
        url = f"https://site.test/{words(rng, 1)}/{rng.randint(100, 9999)}"
        shut = f"You need to enable JavaScript to run this app. ({rng.randint(20, 900)} ms)"
        page = f"<title>{words(rng, 2)}</title>\n{frame}\n{shut}"
        trace.turn(Call("web_fetch", {"url": url}, page, seconds=2), text=thought(rng))
        if n % 4 == 3:
            rng.shuffle(found)
            trace.turn(Call("web_search", {"query": words(rng, 5)}, list(found)))
    return trace


def continuity(rng: random.Random) -> Trace:
    """openscience#176: it has what it needs, and writes summaries for its next session instead of the answer."""
    trace = _begun(rng, crossref="read", todo_read="read")
    trace.turn(Call("crossref", {"query": words(rng, 4)}, hits(rng, 5)))
    facts, todos = [f"{words(rng, 14)}." for _ in range(6)], [{"id": n, "text": words(rng, 5)} for n in range(4)]
    for n in range(rng.randint(14, 26)):
        rng.shuffle(facts)
        summary = "## Comprehensive Summary for Continuity in New Session\n" + "\n".join(facts) + f"\n{words(rng, 8)}?"
        if n % 4 == 3:
            trace.turn(Call("todo_read", {}, todos), text=summary)
        else:
            trace.says(summary)
    return trace


def stale_index(rng: random.Random) -> Trace:
    """browser-use#3615: it reloads the list of products, and the element that it clicks is never there."""
    trace = _begun(rng, navigate="write", click="write")
    url = f"https://shop.test/s?k={words(rng, 1)}"
    for _ in range(rng.randint(6, 20)):
        slow = f"Page readiness timeout (2.0s, {rng.randint(2000, 2999)}ms) for {url}\nNavigated to {url}"
        trace.turn(Call("navigate", {"url": url, "new_tab": False}, slow, seconds=3), text=thought(rng))
        index = rng.randint(1000, 199999)
        gone = f"Element index {index} not available - page may have changed. Try refreshing browser state."
        trace.turn(Call("click", {"index": index}, gone), text=thought(rng))
    return trace


def login_bounces(rng: random.Random) -> Trace:
    """mcp-use#220: user, password, button; the page comes back with other references and the same refusal."""
    trace = _begun(rng, browser_type="write", browser_click="write", browser_snapshot="read")
    for _ in range(rng.randint(4, 12)):
        refs = [f"e{rng.randint(10, 999)}" for _ in range(3)]
        page = (
            f"### Page state\n- Page URL: https://app.test/login?ts={rng.randint(10**12, 10**13)}\n- Page Snapshot:\n"
            f"- textbox 'User' [ref={refs[0]}]\n- textbox 'Password' [ref={refs[1]}]\n"
            f"- button 'Login' [ref={refs[2]}]\n"
            f"- alert: Epic sadface: Username and password do not match any user in this service"
        )
        for ref, text in zip(refs, ("standard_user", "******"), strict=False):
            done = f"### Ran Playwright code\nawait page.locator('aria-ref={ref}').fill('{text}');"
            trace.turn(Call("browser_type", {"ref": ref, "text": text}, done))
        trace.turn(Call("browser_click", {"ref": refs[2], "element": "button Login"}, page), text=thought(rng))
        if rng.random() < 0.4:
            trace.turn(Call("browser_snapshot", {}, page))
    return trace


def invalid_tool(rng: random.Random) -> Trace:
    """langchain#7440: a tool that does not exist, 10 to 15 turns, until the limit of iterations."""
    trace = Trace(rng)
    thinks = "I should look at the tables in the database to see what I can query. Then I should query the schema."
    for _ in range(rng.randint(10, 15)):
        name = choose(rng, ("list_tables_sql_db", "list_tables_sql_db", "list_tables", "sql_db_list"))
        trace.turn(Call(name, choose(rng, ({}, {"input": ""})), f"{name} is not a valid tool, try another one."),
            text=thinks)  # fmt: skip
    return trace


def column_missing(rng: random.Random) -> Trace:
    """A data agent: the column is not there, whatever it writes around it; now and then it reads the schema again."""
    trace = _begun(rng, sql_query="read", describe_table="read")
    schema = {"table": "orders", "columns": [{"name": words(rng, 1), "type": "text"} for _ in range(14)]}
    for n in range(rng.randint(12, 30)):
        query = f"SELECT {words(rng, 1)}, o.customer_segment, {rng.randint(1, 99)} FROM orders o WHERE {words(rng, 2)}"
        place = query.index("o.customer")
        refused = (
            f"(psycopg2.errors.UndefinedColumn) column o.customer_segment does not exist\nLINE 1: {query[:60]}...\n"
            f"{' ' * (8 + place)}^\n[SQL: {query}]\n(Background on this error at: https://sqlalche.me/e/20/f405)"
        )
        trace.turn(Call("sql_query", {"query": query}, refused), text=thought(rng))
        if n % 5 == 4:
            trace.turn(Call("describe_table", {"name": "orders"}, schema))
    return trace


def no_network(rng: random.Random) -> Trace:
    """A sandbox without a network: pip, with options, with another index, in another directory."""
    trace = _begun(rng)
    package = words(rng, 1)
    for _ in range(rng.randint(10, 28)):
        option = choose(rng, ("", " --no-cache-dir", " --user", " -v", " --timeout 100", " --default-timeout=200"))
        version = choose(rng, ("", "==1.2", ">=1.0", "==1.4.1"))
        lines = [
            f"WARNING: Retrying (Retry(total={left}, connect=None, read=None, redirect=None, status=None)) after "
            f"connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at "
            f"0x7f{rng.getrandbits(40):x}>: Failed to establish a new connection: [Errno -3] Temporary failure in name "
            f"resolution')': /simple/{package}/"
            for left in range(4, -1, -1)
        ]
        last = f"ERROR: No matching distribution found for {package}{version}"
        trace.turn(shell(f"pip install{option} '{package}{version}'", "\n".join([*lines, last]), 20), text=thought(rng))
    return trace


def build_again(rng: random.Random) -> Trace:
    """The same build, from clean, with force, with another cache: colours, times, and the same message."""
    trace = _begun(rng)
    file, line = f"src/{words(rng, 1)}.tsx", rng.randint(3, 200)
    for _ in range(rng.randint(12, 30)):
        command = choose(rng, ("npm run build", "npx vite build", "rm -rf node_modules/.vite && npm run build",
            "npm run build 2>&1 | tail -30", "npx vite build --force", "cd /app && npm run build"))  # fmt: skip
        output = (
            f"\x1b[36mvite v5.2.{rng.randint(8, 9)} \x1b[32mbuilding for production...\x1b[39m\n"
            f"transforming ({rng.randint(1, 9)}) \x1b[2msrc/main.tsx\x1b[22m\n"
            f"\x1b[32m\u2713\x1b[39m {rng.randint(30, 34)} modules transformed.\n"
            f"\x1b[31mx\x1b[39m Build failed in {rng.randint(300, 2900)}ms\n"
            f"\x1b[31merror during build:\n"
            f'[vite]: Rollup failed to resolve import "@/lib/api" from "{file}:{line}".\x1b[39m'
        )
        trace.turn(shell(command, output, 4), text=thought(rng))
    return trace


def handed_around(rng: random.Random) -> Trace:
    """A swarm in one run: billing hands to support, support to billing, and nobody answers."""
    trace = Trace(rng)
    trace.person(f"I was charged twice. {words(rng, 8)}.")
    for n in range(rng.randint(12, 40)):
        to = ("billing", "support", "billing", "triage")[n % 4]
        said = f"Transferred to {to}. Adopt persona immediately." if n % 2 else {"assistant": to}
        reason = {"reason": words(rng, 9)} if rng.random() < 0.6 else {}
        trace.turn(Call(f"transfer_to_{to}", reason, said), text=thought(rng) if rng.random() < 0.5 else "")
    return trace


def names_guessed(rng: random.Random) -> Trace:
    """tau-bench: it guesses names, ids and codes; each time there is no such user."""
    trace = _begun(rng, find_user="read", get_order="read")
    for _ in range(rng.randint(10, 25)):
        if rng.random() < 0.7:
            who = {"first": words(rng, 1), "last": words(rng, 1), "zip": f"{rng.randint(10**4, 10**5)}"}
            trace.turn(Call("find_user", who,
                "Error: user not found"), text=thought(rng))  # fmt: skip
        else:
            trace.turn(Call("get_order", {"id": f"#W{rng.randint(10**6, 10**7)}"}, "Error: order not found"))
    return trace


def answer_refused(rng: random.Random) -> Trace:
    """A structured answer that the schema refuses; it writes it anew, without the field that is asked for."""
    trace = _begun(rng, final_answer="write")
    for _ in range(rng.randint(10, 24)):
        answer = {"summary": words(rng, 40), "confidence": round(rng.random(), 2)}
        refused = (
            f"1 validation error for Report\ncitations\n"
            f"  Field required [type=missing, input_value={str(answer)[:48]}..., input_type=dict]\n"
            f"    For further information visit https://errors.pydantic.dev/2.9/v/missing"
        )
        trace.turn(Call("final_answer", answer, problem=refused))
    return trace


def same_chunks(rng: random.Random) -> Trace:
    """A knowledge base with six passages on it: whatever is asked, they come, with other scores and in other orders."""
    trace = _begun(rng, retrieve="read")
    chunks = [{"doc": f"handbook-{n}", "text": words(rng, 40)} for n in range(6)]
    for _ in range(rng.randint(12, 30)):
        got = [chunk | {"score": round(rng.uniform(0.4, 0.9), 4), "id": trace.uid()} for chunk in rng.sample(chunks, 5)]
        trace.turn(Call("retrieve", {"query": words(rng, rng.randint(3, 8)), "k": 5},
            {"took_ms": rng.randint(3, 90), "hits": got}),
            text=thought(rng))  # fmt: skip
    return trace


def misses_the_button(rng: random.Random) -> Trace:
    """A desktop: it clicks some pixels beside the button, looks, and the dialogue is still there."""
    trace = _begun(rng, computer="write")
    x, y = rng.randint(100, 900), rng.randint(100, 700)
    screen = f"window 'Save as' open; buttons: {words(rng, 6)}; behind it: {words(rng, 12)}"
    for _ in range(rng.randint(8, 22)):
        at = [x + rng.randint(-9, 9), y + rng.randint(-9, 9)]
        trace.turn(
            Call("computer", {"action": "left_click", "coordinate": at}, f"Clicked at {tuple(at)}"), text=thought(rng)
        )
        shown = f"{screen}\nclock {rng.randint(8, 18):02}:{rng.randint(0, 59):02}"
        trace.turn(Call("computer", {"action": "screenshot"}, shown))
    return trace


# ---- healthy ------------------------------------------------------------------------------------------------------
def desktop(rng: random.Random) -> Trace:
    """A desktop again, and this time it gets on; the screens are images, of which nothing can be read."""
    trace = Trace(rng, tools(rng, computer="write"))
    for _ in range(rng.randint(10, 40)):
        action = choose(rng, ("left_click", "left_click", "type", "key", "scroll"))
        call = {"action": action, "coordinate": [rng.randint(0, 1279), rng.randint(0, 799)]}
        if action in {"type", "key"}:
            call = {"action": action, "text": words(rng, 2)}
        trace.turn(Call("computer", call, "ok" if rng.random() < 0.5 else ""), text=thought(rng))
        image = {"type": "image", "source": {"media_type": "image/png", "data": _base64(rng, 900)}}
        trace.turn(Call("computer", {"action": "screenshot"}, [image]))
    return trace.end()


def notebook(rng: random.Random) -> Trace:
    """A data scientist's cells: frames, figures, assignments that print nothing, a name that is wrong."""
    trace = Trace(rng)
    for n in range(rng.randint(15, 45)):
        kind = rng.random()
        if kind < 0.3:
            shown = "<Figure size 640x480 with 1 Axes>"
        elif kind < 0.5:
            shown = ""
        elif kind < 0.6:
            shown = trace_back(rng, f"KeyError: '{words(rng, 1)}'")
        else:
            shown = "\n".join(f"{row}  {rng.uniform(0, 99):8.3f}  {words(rng, 2)}" for row in range(5))
        trace.turn(Call("execute_python", {"code": f"# {n}\n{words(rng, 10)}"}, shown, seconds=2), text=thought(rng))
    return trace.end()


def capture_the_flag(rng: random.Random) -> Trace:
    """Payload after payload: wrong, wrong, a crash; between them a look at the binary, and at the end the flag."""
    trace = explore(Trace(rng), 4)
    for _ in range(rng.randint(3, 8)):
        for _ in range(rng.randint(1, 6)):
            payload = _base64(rng, rng.randint(8, 60))
            said = choose(rng, ("Wrong password!", "Wrong password!", "Segmentation fault (core dumped)"))
            trace.turn(shell(f"echo {payload} | ./chall", said), text=thought(rng))
        asm = "\n".join(f"  {0x401000 + 4 * n:x}: {words(rng, 3)}" for n in range(20))
        trace.turn(shell(f"objdump -d chall | grep -A20 {words(rng, 1)}", asm), text=thought(rng))
    return trace.turn(shell("python solve.py", f"flag{{{words(rng, 2)}}}")).end()


def tests_get_fewer(rng: random.Random) -> Trace:
    """Edits and tests: from many failures to none, some rounds without any gain, in colours."""
    trace, failed = explore(Trace(rng), 3), rng.randint(6, 20)
    names = [f"test_{words(rng, 2).replace(' ', '_')}_{n}" for n in range(failed)]
    while failed:
        trace.turn(Call("edit_file", {"path": f"src/{words(rng, 1)}.py", "old": words(rng, 8), "new": words(rng, 9)},
            "The file has been updated."), text=thought(rng))  # fmt: skip
        if rng.random() < 0.6:
            failed -= rng.randint(1, min(3, failed))
        lines = [f"\x1b[31mFAILED\x1b[0m tests/test_all.py::{name} - AssertionError" for name in names[:failed]]
        count = f"{failed} failed, {60 - failed} passed in {rng.uniform(1, 9):.2f}s" if failed else "60 passed in 3.20s"
        trace.turn(shell("pytest -q --color=yes", "\n".join([*lines, count]), 6))
    return trace.end()


def translates(rng: random.Random) -> Trace:
    """Thirty to sixty files: read, written in another language, acknowledged in the same words."""
    trace = Trace(rng, tools(rng, read_file="read", write_file="write"))
    for n in range(rng.randint(15, 45)):
        trace.turn(Call("read_file", {"path": f"docs/en/{n}.md"}, f"# {words(rng, 3)}\n{words(rng, 80)}"))
        trace.turn(
            Call("write_file", {"path": f"docs/de/{n}.md", "content": words(rng, 80)}, "File created successfully.")
        )
    return trace.turn(shell("ls docs/de | wc -l", "45")).end()


def labels_issues(rng: random.Random) -> Trace:
    """Pages of issues, each gets a label; the answer to a label is the list of all labels, always the same."""
    trace = Trace(rng)
    every = [{"id": n, "name": words(rng, 1), "color": f"{rng.getrandbits(24):06x}"} for n in range(5)]
    for page in range(rng.randint(2, 6)):
        issues = [{"number": page * 10 + n, "title": words(rng, 6)} for n in range(10)]
        trace.turn(Call("list_issues", {"page": page}, issues))
        for issue in issues:
            trace.turn(
                Call("add_labels", {"number": issue["number"], "labels": [every[rng.randrange(5)]["name"]]}, every)
            )
    return trace.turn(Call("list_issues", {"page": 99}, [])).end()


def proves(rng: random.Random) -> Trace:
    """Lean: another tactic, another goal left, in an error of the same form; now and then a lemma is done."""
    trace = explore(Trace(rng), 2)
    for _ in range(rng.randint(3, 9)):
        for _ in range(rng.randint(1, 7)):
            line = rng.randint(10, 60)
            goal = f"{words(rng, 3)} : Nat\n\u22a2 {words(rng, 4)} \u2264 {words(rng, 2)}"
            left = f"Proof.lean:{line}:4: error: unsolved goals\n{goal}"
            trace.turn(Call("edit", {"path": "Proof.lean", "text": words(rng, 12)}, "ok"), text=thought(rng))
            trace.turn(shell("lake build", left, 15))
        trace.turn(shell("lake build", f"Build completed successfully. [{rng.randint(3, 99)}/{rng.randint(100, 999)}]"))
    return trace.end()


def pod_starts(rng: random.Random) -> Trace:
    """A rollout: the same pods for some looks, only their age grows, until one more is ready."""
    trace, name = explore(Trace(rng), 2), f"web-{rng.getrandbits(32):x}-x7k2p"
    trace.turn(shell("kubectl apply -f web.yaml", "deployment.apps/web configured"))
    age = 5
    for ready, state in enumerate(("ContainerCreating", "Running", "Running", "Running")):
        for _ in range(rng.randint(1, 6)):
            row = f"{name}   {min(ready, 3)}/3   {state}   0   {age // 60}m{age % 60}s"
            rows = f"NAME   READY   STATUS   RESTARTS   AGE\n{row}"
            trace.turn(shell(f"sleep {choose(rng, (10, 15, 20))}; kubectl get pods -l app=web", rows, 15))
            age += rng.randint(11, 29)
    return trace.turn(shell("curl -s -o /dev/null -w '%{http_code}' web/healthz", "200")).end()


def fills_a_form(rng: random.Random) -> Trace:
    """Field by field, with references that change; the answers are all of one kind."""
    trace = Trace(rng, tools(rng, browser_type="write", browser_click="write"))
    for page in range(rng.randint(1, 4)):
        for _ in range(rng.randint(4, 12)):
            text = words(rng, 2)
            trace.turn(Call("browser_type", {"ref": f"e{rng.randint(1, 400)}", "text": text}, "Typed the text."))
        shown = f"Page {page + 2}: {words(rng, 20)}"
        trace.turn(Call("browser_click", {"ref": f"e{rng.randint(1, 400)}", "element": "Next"}, shown))
    return trace.end()


def tunes(rng: random.Random) -> Trace:
    """Trainings with other rates: the same log each time, with other numbers."""
    trace = explore(Trace(rng), 2)
    for _ in range(rng.randint(10, 30)):
        rate, depth = 10 ** rng.uniform(-5, -1), rng.randint(2, 12)
        losses = [(rng.uniform(0.1, 2), rng.uniform(0.2, 2), rng.randint(9, 30)) for _ in range(8)]
        log = "\n".join(f"epoch {n} train {a:.4f} val {b:.4f} [{took}s]" for n, (a, b, took) in enumerate(losses))
        command = f"python train.py --lr {rate:.5f} --depth {depth}"
        trace.turn(
            shell(command, f"device cuda:0, 48213 samples\n{log}\nbest val_acc {rng.uniform(0.6, 0.9):.4f}", 120),
            text=thought(rng),
        )
    return trace.end()


def bisects(rng: random.Random) -> Trace:
    """git bisect, by hand: good, bad, good; the test fails in the same words each time that it fails."""
    trace, left = explore(Trace(rng), 2), rng.randint(200, 3000)
    failure = "FAILED tests/test_core.py::test_order - AssertionError: 3 != 4\n1 failed, 11 passed in"
    while left:
        bad = rng.random() < 0.5
        trace.turn(
            shell("pytest -q tests/test_core.py", f"{failure} {rng.uniform(1, 3):.2f}s" if bad else "12 passed in 1.2s")
        )
        left //= 2
        steps = f"{left} revisions left to test after this (roughly {left.bit_length()} steps)"
        said = f"Bisecting: {steps}\n[{rng.getrandbits(160):040x}] {words(rng, 5)}"
        trace.turn(shell(f"git bisect {'bad' if bad else 'good'}", said))
    return trace.end()


def watches_a_graph(rng: random.Random) -> Trace:
    """On call: every minute the same query, another number each time, until it falls below the line."""
    trace, value = explore(Trace(rng), 2), 900.0
    while value > 200:
        value *= rng.uniform(0.85, 1.02)
        result = {
            "status": "success",
            "data": {"metric": {"job": "api"}, "value": [rng.randint(10**9, 2 * 10**9), f"{value:.1f}"]},
        }
        trace.turn(Call("query_prometheus", {"query": "histogram_quantile(0.99, api)"}, result))
        trace.turn(Call("sleep", {"seconds": 60}, "slept", seconds=60))
    return trace.end()


def remembers(rng: random.Random) -> Trace:
    """A companion: a person writes, it keeps a memory, which is acknowledged, and answers; for an hour."""
    trace = Trace(rng, tools(rng, save_memory="write"))
    for _ in range(rng.randint(10, 40)):
        trace.person(words(rng, 12))
        if rng.random() < 0.7:
            trace.turn(Call("save_memory", {"text": words(rng, 8)}, "Memory saved."))
        trace.says(f"{words(rng, 25)}.")
    return trace.end()


DEGENERATE = (
    clock_watcher, reused_input, coworker_missing, same_bytes, refined_forever, empty_shells, continuity, stale_index,
    login_bounces, invalid_tool, column_missing, no_network, build_again, handed_around, names_guessed, answer_refused,
    same_chunks, misses_the_button,
)  # fmt: skip
HEALTHY = (
    desktop, notebook, capture_the_flag, tests_get_fewer, translates, labels_issues, proves, pod_starts, fills_a_form,
    tunes, bisects, watches_a_graph, remembers,
)  # fmt: skip
