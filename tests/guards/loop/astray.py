"""The eighth set: loops as public reports tell them, of other harnesses, in other languages, with real wrappings."""

# ruff: noqa: E501 - what a tool prints stands in one line, as it does there

from __future__ import annotations

import json
import random

from tests.guards.loop.phrases import NAMES, SUBJECTS, facts, jest, mcp, say, snapshot, source
from tests.guards.loop.scenes import tools
from tests.guards.loop.trace import Call, Trace, choose


def _begun(rng: random.Random, **kinds: str) -> Trace:
    """Some steps that bring something."""
    trace = Trace(rng, tools(rng, **kinds))
    for _ in range(rng.randint(0, 4)):
        topic = choose(rng, SUBJECTS)
        trace.turn(Call("Grep", {"pattern": topic.split()[0], "path": "."}, "\n".join(source(rng, 6))),
            text=f"Let me look for the {topic}.")  # fmt: skip
    return trace


def cookie_reload(rng: random.Random) -> Trace:
    """kortix-ai/suna#135: it accepts the cookies, the page loads again, and asks about cookies."""
    trace = _begun(rng)
    items = ["dialog 'Vi bruker informasjonskapsler'", "button 'Godta alle'", "button 'Avvis'", "link 'Torget'",
        *(f"listitem: {fact}" for fact in facts(rng, 12))]  # fmt: skip
    for _ in range(rng.randint(14, 40)):
        page = snapshot(rng, f"https://www.finn.test/?t={rng.getrandbits(40):x}", "FINN", items)
        text = say(rng, ("I see a cookie dialog.", "The dialog is still there.", "The page has loaded again."),
            ("I will accept it.", "Let me click on 'Godta alle'.", "Accepting the cookies first."))  # fmt: skip
        trace.turn(Call("mcp__playwright__browser_click", {"element": "Godta alle", "ref": f"e{rng.randint(2, 900)}"},
            mcp(trace, page), seconds=2), text=text)  # fmt: skip
    return trace


def noop_groove(rng: random.Random) -> Trace:
    """earendil-works/pi#9637: 220 calls that echo noop; only the name that is shown counts on."""
    trace = _begun(rng)
    for n in range(rng.randint(25, 120)):
        call = {"title": f"noop{n}", "command": f"bash -lc 'echo noop'  # {n}"}
        trace.turn(Call("fabric_exec", call, {"exit": 0, "stdout": "noop\n", "ms": rng.randint(20, 900)}))
    return trace


def empty_listings(rng: random.Random) -> Trace:
    """superplanehq/superplane#4123: it lists resources, triggers, components, with other filters; mostly nothing."""
    trace = _begun(rng, listIntegrationResources="read", describeTrigger="read", listComponents="read")
    components = [{"name": name, "kind": "component"} for name in NAMES[:5]]
    for _ in range(rng.randint(18, 50)):
        kind = choose(rng, ("repository", "repo", "branch", "Repository", "project", ""))
        call = choose(rng, (
            Call("listIntegrationResources", {"type": kind, "integrationId": "gh-1"}, []),
            Call("listIntegrationResources", {"type": kind, "limit": rng.choice((10, 50, 100))}, {"items": [], "total": 0}),
            Call("describeTrigger", {"name": f"github.on_{choose(rng, ('push', 'pr'))}"}, {"configuration": [], "name": "on"}),
            Call("listComponents", {"filter": kind}, components),
        ))  # fmt: skip
        trace.turn(call, text=say(rng, ("Let me check", "I need to see"), ("the resources", "what is there"), "first."))
    return trace


def flake_count(rng: random.Random) -> Trace:
    """mistral-vibe#83: in Hungarian: it looks at the quality of the code, is told, and looks again."""
    trace = _begun(rng)
    errors = rng.randint(1, 9)
    for _ in range(rng.randint(12, 40)):
        command = choose(rng, ("flake8 src --count", "flake8 src | wc -l", 'echo "Flake8: $(flake8 src | wc -l)"',
            "python -m flake8 src --count -q"))  # fmt: skip
        trace.turn(Call("bash", {"command": command, "timeout": rng.choice((30, 60, 120))},
            f"Flake8 hibák száma: {errors}\n"), text="Most nézzük meg a kód minőséget:")  # fmt: skip
    return trace


def goal_hook(rng: random.Random) -> Trace:
    """claude-goal#1: a hook says that the goal is still active; the device is still offline, as it says each time."""
    trace = _begun(rng)
    for n in range(rng.randint(12, 60)):
        if rng.random() < 0.25:
            trace.turn(Call("Bash", {"command": choose(rng, ("adb devices", "adb devices -l"))},
                "List of devices attached\n\n"))  # fmt: skip
        trace.says(say(rng, ("Cannot continue:", "Still blocked:", "No change:", "I cannot make progress:"),
            ("the target device is offline.", "target device unavailable.", "the device is not reachable."),
            ("Please run /goal pause.", "The user can run /goal pause.", "Waiting for the device.", "")))  # fmt: skip
        trace.person(f"Stop hook error: An active /goal is still running ({n + 1} of 500).\n<objective>install the "
            f"component on the device and verify it</objective>\nElapsed: {n * 31} s. Continue working.")  # fmt: skip
    return trace


def search_and_reflect(rng: random.Random) -> Trace:
    """Deep research: search, reflect, search; the hits are known, and the gap is the same gap in other words."""
    trace = _begun(rng, web_search="read", reflection="read")
    topic, hits = choose(rng, SUBJECTS), [
        {"url": f"https://{choose(rng, NAMES)}.test/{n}", "title": fact, "content": " ".join(facts(rng, 2))}
        for n, fact in enumerate(facts(rng, 9))
    ]  # fmt: skip
    for _ in range(rng.randint(10, 25)):
        query = say(rng, ("recent", "official", "detailed", "2026"), ("data on", "statistics of", "report about"),
            f"the {topic}", ("in Europe", "worldwide", "by vendor", "per year"))  # fmt: skip
        found = rng.sample(hits, 5)
        trace.turn(Call("web_search", {"query": query, "max_results": 5}, {"query": query, "response_time":
            round(rng.uniform(0.4, 3), 2), "results": [hit | {"score": rng.random()} for hit in found]}))  # fmt: skip
        gap = say(rng, ("The summaries lack", "Missing are", "There is still no", "We do not have"), ("concrete", "solid",
            "recent"), ("figures", "numbers", "data"), f"for the {topic}.")  # fmt: skip
        trace.turn(Call("reflection", {"topic": topic}, {"is_sufficient": False, "knowledge_gap": gap}))
    return trace


def patch_spiral(rng: random.Random) -> Trace:
    """hermes#3194: the anchor is not found; the answer guesses what was meant; it reads, and misses again."""
    trace, lines = _begun(rng, patch="write", read_file="read"), source(rng, 80)
    for n in range(rng.randint(12, 30)):
        near = rng.randrange(70)
        refused = {"success": False, "error": "old_string not found", "attempt": n, "_hint":
            "re-read the file and copy the exact bytes", "closest": lines[near : near + 3],
            "score": round(rng.uniform(0.4, 0.93), 2)}  # fmt: skip
        old = "\n".join(line.replace(" ", "  ", rng.randint(1, 3)) for line in lines[near : near + 3])
        trace.turn(Call("patch", {"path": "src/ledger.py", "old_string": old, "new_string": source(rng, 2)}, refused),
            text=say(rng, ("The whitespace differs.", "I see the issue now.", "Let me use the exact text."),
            ("Trying again.", "This should match.", "")))  # fmt: skip
        if rng.random() < 0.35:
            trace.turn(Call("read_file", {"path": "src/ledger.py", "offset": near, "limit": 10},
                "\n".join(f"{near + k}|{line}" for k, line in enumerate(lines[near : near + 10]))))  # fmt: skip
    return trace


def compaction_spiral(rng: random.Random) -> Trace:
    """codex#13279: it reads the code, its context is emptied, it reads the code; nothing is ever written."""
    trace = _begun(rng)
    files = {f"crates/{choose(rng, NAMES)}/src/{name}.rs": "\n".join(source(rng, 60)) for name in NAMES[:11]}
    for _ in range(rng.randint(4, 9)):
        trace.turn(Call("shell", {"command": ["bash", "-lc", "rg --files crates"]}, "\n".join(sorted(files))),
            text="I have the roadmap. Reading the crates to get the full picture.")  # fmt: skip
        for path in rng.sample(sorted(files), rng.randint(7, 11)):
            trace.turn(Call("shell", {"command": ["bash", "-lc", f"sed -n '1,{rng.choice((200, 220, 240))}p' {path}"]},
                files[path]), text=say(rng, ("Next,", "Now"), f"{path.split('/')[-1]}."))  # fmt: skip
    return trace


def status_echo(rng: random.Random) -> Trace:
    """openclaw#37842: agents forward the same status to each other all night; each message gets a run id."""
    trace, counts = _begun(rng, sessions_send="write"), rng.randint(2, 9)
    for _ in range(rng.randint(15, 60)):
        sender, to = rng.sample(("atlas", "maven", "super", "scribe"), 2)
        said = say(rng, ("Status update:", "FYI:", "Forwarding:"), f"{counts} tasks open,", ("no blockers.",
            "nothing blocked.", "all green."), ("Please acknowledge.", "Pass it on.", "Over to you."))  # fmt: skip
        trace.person(f"[from agent:{sender} {trace.stamp()}] {said}")
        trace.turn(Call("sessions_send", {"sessionKey": f"agent:{to}:main", "message": said},
            {"runId": trace.uid(), "status": "accepted", "delivery": "pending"}))  # fmt: skip
        trace.says(say(rng, ("Acknowledged.", "Thanks, noted.", "Received."), f"Forwarded to {to}."))
    return trace


def zabbix_hosts(rng: random.Random) -> Trace:
    """claude-code-router#106: in Chinese: the list of hosts is complete, and is asked for with other filters."""
    trace = _begun(rng, get_hosts="read")
    hosts = [{"hostid": str(10080 + n), "name": f"北京-{name}-{n:02}", "status": "0"} for n, name in enumerate(NAMES)]
    for _ in range(rng.randint(12, 35)):
        asked = {"datacenter": choose(rng, ("北京", "beijing", "北京数据中心", "BJ")), "limit": rng.choice((50, 100, 500)),
            "output": choose(rng, ("extend", ["name"], "count"))}  # fmt: skip
        rng.shuffle(hosts)
        rows = [host | {"lastcheck": str(1_760_000_000 + rng.randint(0, 10**6))} for host in hosts]
        trace.turn(Call("zabbix.get_hosts", asked, mcp(trace, {"result": rows, "total": len(rows)})),
            text=say(rng, ("让我查询", "我来获取", "现在再次查询"), ("北京数据中心的主机。", "被监控的主机列表。")))  # fmt: skip
    return trace


def tool_search(rng: random.Random) -> Trace:
    """vscode#296123: it looks for a tool of a server that did not start, with one pattern after the other."""
    trace = _begun(rng, tool_search_tool_regex="read")
    for _ in range(rng.randint(15, 45)):
        pattern = say(rng, ("github", "mcp_github", "create", ".*issue"), (".*", "create_issue", "issues?", "_issue$"))
        trace.turn(Call("tool_search_tool_regex", {"pattern": pattern.replace(" ", ".*"), "limit": rng.randint(3, 20)},
            {"type": "tool_search_tool_search_result", "tool_references": []}),
            text=say(rng, ("Let me load", "I need to find"), ("the GitHub tool.", "the tool for issues.")))  # fmt: skip
    return trace


def hourly_patch(rng: random.Random) -> Trace:
    """holon#1490: at each tick of its timer: a patch of a file that is not there, a wait with wrong input."""
    trace = Trace(rng)
    for n in range(rng.randint(10, 40)):
        trace.signal("timer", {"tick": n, "at": trace.stamp()})
        patch = f"*** Begin Patch\n*** Update File: reports/testnet-{rng.randint(1, 28):02}.md\n+{facts(rng, 1)[0]}\n*** End Patch"
        trace.turn(Call("ApplyPatch", {"patch": patch}, problem=f"missing_file: reports/testnet.md ({trace.uid()})"),
            text="Hourly analysis: updating the report.")  # fmt: skip
        trace.turn(Call("WaitFor", {"event": "timer", "until": trace.stamp()},
            problem="invalid_tool_input: unknown variant `timer`, expected one of `inbox`, `task`"))  # fmt: skip
    return trace


def how_can_i_assist(rng: random.Random) -> Trace:
    """Flowise#2759: a supervisor has its workers greet each other."""
    trace = Trace(rng, {"delegate": "spawn"})
    for _ in range(rng.randint(12, 35)):
        who = choose(rng, ("support", "sales", "quality"))
        task = say(rng, ("Please respond to the user's greeting", "Please ask the user for more details",
            "Please correct the support representative", "Please wait for the customer's response"), ("and assist.",
            "and guide them.", "and ask how you can help."))  # fmt: skip
        answer = say(rng, "Hello! How can I assist you today?", ("", "Are you looking for any specific products?",
            "Please tell me more.", "The response is appropriate."))  # fmt: skip
        trace.turn(Call("delegate", {"agent": who, "task": task}, answer))
    return trace


def spanish_columns(rng: random.Random) -> Trace:
    """A data agent in Spanish: the relation is not there, whatever it writes around it."""
    trace = _begun(rng, consultarSQL="read")
    for _ in range(rng.randint(12, 32)):
        table = choose(rng, ("ventas_2025", "ventas", "venta", "public.ventas", "ventas_anuales"))
        query = f"SELECT {choose(rng, NAMES)}, SUM({choose(rng, NAMES)}) FROM {table} GROUP BY {rng.randint(1, 2)}"
        refused = (f"ERROR:  no existe la relación «{table}»\nLÍNEA 1: {query}\n{' ' * rng.randint(20, 50)}^\n"
            f"SQLSTATE 42P01, pid {rng.randint(100, 9999)}")  # fmt: skip
        trace.turn(
            Call("consultarSQL", {"consulta": query}, refused),
            text=say(rng, ("Voy a probar", "Intentaré", "Déjame corregir"), ("otra consulta.", "con otro nombre.")),
        )
    return trace


def rewritten_component(rng: random.Random) -> Trace:
    """Cline: it writes the whole file anew; the same three tests fail for the same reason, forty times."""
    trace = _begun(rng)
    failing, why = (
        ["adds an item", "applies a coupon", "keeps the total"],
        "expect(received).toBe(expected)\n    Expected: 30\n    Received: 33",
    )
    for _ in range(rng.randint(20, 45)):
        trace.turn(Call("write_to_file", {"path": "src/cart.ts", "content": "\n".join(source(rng, 40))},
            "The content was successfully saved to src/cart.ts."), text=say(rng, ("I found the issue!",
            "The rounding is wrong.", "Now I understand the problem."), ("Rewriting the file.", "Fixing it.")))  # fmt: skip
        trace.turn(Call("execute_command", {"command": "npm test"}, jest(rng, failing, 11, why), seconds=8))
    return trace


def holding(rng: random.Random) -> Trace:
    """claude-code#55754: the hook wants a result of agents in the background; it says that it waits."""
    trace = _begun(rng)
    for n in range(rng.randint(25, 90)):
        trace.person(f'Stop hook feedback: {{"ok": false, "reason": "only {n % 3 + 1} of 4 suites summarised"}}')
        trace.says(choose(rng, ("Holding.", "No change.", "Waiting for the background agents.", "Still waiting.",
            "Waiting for suite 4.", "Holding for completion notifications.")))  # fmt: skip
    return trace


def unusual_traffic(rng: random.Random) -> Trace:
    """A browser that is taken for a robot, by every engine, for every query."""
    trace = _begun(rng, navigate="write")
    for _ in range(rng.randint(12, 35)):
        engine = choose(rng, ("google", "bing", "duckduckgo"))
        query = say(rng, ("best", "cheap", "compare"), SUBJECTS, ("2026", "review", "price")).replace(" ", "+")
        page = (f"<html><title>Just a moment...</title><h1>Our systems have detected unusual traffic</h1>"
            f"<p>Verify you are human by completing the action below.</p><p>Ray ID: {rng.getrandbits(64):016x}</p>"
            f"<p>IP: 203.0.113.{rng.randint(1, 254)}</p><p>Time: {trace.stamp()}</p></html>")  # fmt: skip
        trace.turn(
            Call("navigate", {"url": f"https://{engine}.test/search?q={query}"}, page, seconds=2),
            text=say(rng, ("I hit a captcha.", "Blocked again."), (f"Trying {engine}.", "Another query.")),
        )
    return trace


def heartbeats(rng: random.Random) -> Trace:
    """Letta: it keeps what it has kept, in other words, and asks for another heartbeat."""
    trace = Trace(rng, tools(rng, core_memory_append="write"))
    for _ in range(rng.randint(25, 80)):
        note = say(rng, ("User", "The user", "They"), ("likes", "enjoys", "prefers", "is fond of"), ("quiet", "calm"),
            ("places", "cafés"), ("for work.", "to work in.", "when working."))  # fmt: skip
        trace.turn(Call("core_memory_append", {"label": "human", "content": note, "request_heartbeat": True},
            json.dumps({"status": "OK", "message": None, "time": trace.stamp()})), text=say(rng,
            ("I should remember this.", "Storing the preference.", "Keeping this in mind.")))  # fmt: skip
    return trace


def double_checks(rng: random.Random) -> Trace:
    """All is done, and it checks: git, files, tests, git, in any order, with other flags."""
    trace = _begun(rng)
    listing, diff = (
        "\n".join(f"-rw-r--r-- 1 dev dev {n * 71} {name}.ts" for n, name in enumerate(NAMES)),
        "\n".join(source(rng, 20)),
    )
    for _ in range(rng.randint(18, 50)):
        command, result = choose(rng, (
            ("git status", "On branch fix\nnothing to commit, working tree clean"), ("git status -sb", "## fix"),
            ("git log -1 --stat", diff), ("git show --stat HEAD", diff), ("ls -la src", listing), ("ls -l src/", listing),
            ("npm test -- --silent", f"Tests: 14 passed, 14 total\nTime: {rng.uniform(1, 5):.2f} s"),
        ))  # fmt: skip
        trace.turn(Call("Bash", {"command": command, "description": say(rng, ("Verify", "Check", "Confirm"), SUBJECTS)},
            result), text=say(rng, ("Let me double check", "Let me verify", "One final look at"), ("everything.", "the state.")))  # fmt: skip
    return trace


def numbered_thoughts(rng: random.Random) -> Trace:
    """A server for thoughts: branches, revisions, and the same idea."""
    trace, topic = Trace(rng), choose(rng, SUBJECTS)
    for n in range(rng.randint(18, 50)):
        idea = say(rng, ("Let me reconsider", "I need to think about", "Maybe I should revise"), f"how the {topic}",
            ("works", "is built", "should behave"), ("before I act.", "once more.", "from another angle."))  # fmt: skip
        trace.turn(Call("mcp__sequential-thinking__sequentialthinking", {"thought": idea, "thoughtNumber": n + 1,
            "totalThoughts": n + 5, "isRevision": rng.random() < 0.4, "nextThoughtNeeded": True}, mcp(trace,
            {"thoughtNumber": n + 1, "totalThoughts": n + 5, "branches": [], "thoughtHistoryLength": n + 1})))  # fmt: skip
    return trace


def page_ignored(rng: random.Random) -> Trace:
    """An API that does not know the parameter: page 2 to 60 are page 1."""
    trace = _begun(rng, list_issues="read")
    issues = [{"number": 900 - n, "title": fact, "state": "open"} for n, fact in enumerate(facts(rng, 10))]
    name = choose(rng, ("page", "offset", "cursor"))
    for n in range(rng.randint(15, 60)):
        place = {"page": n + 1, "offset": n * 10, "cursor": f"c_{rng.getrandbits(60):x}"}[name]
        answer = {
            "request_id": trace.uid(),
            "fetched_at": trace.stamp(),
            "items": issues,
            "has_more": True,
            name: place,
        }
        trace.turn(Call("github.listIssues", {"repo": "acme/shop", name: place}, json.dumps(answer)),
            text=say(rng, ("Next page.", "There is more.", "Fetching on.")))  # fmt: skip
    return trace


def beyond_the_end(rng: random.Random) -> Trace:
    """It reads on behind the end of a file."""
    trace, last = _begun(rng, Read="read"), rng.randint(90, 300)
    for n in range(rng.randint(12, 30)):
        offset = last + 100 * (n + 1)
        trace.turn(Call("Read", {"file_path": "/repo/app.log", "offset": offset, "limit": 100},
            f"<system-reminder>Warning: the file exists but is shorter than the provided offset ({offset}). "
            f"The file has {last} lines.</system-reminder>"), text=say(rng, ("Reading on.", "Next part.", "Continuing.")))  # fmt: skip
    return trace


def planning_again(rng: random.Random) -> Trace:
    """In Portuguese: it plans, says that it begins, plans; the list is written anew and nothing is done."""
    trace = _begun(rng)
    steps = ["analisar o código", "corrigir o cálculo", "escrever testes", "atualizar a documentação"]
    for _ in range(rng.randint(15, 40)):
        plan = [say(rng, ("", "primeiro", "depois"), step, ("", "com cuidado", "agora")).strip() for step in steps]
        todos = [{"content": step, "status": "in_progress" if n == 0 else "pending", "id": trace.uid()[:8]}
            for n, step in enumerate(plan)]  # fmt: skip
        trace.turn(Call("TodoWrite", {"todos": todos}, "Todos have been modified successfully. Ensure that you continue "
            "to use the todo list to track your progress."), text=say(rng, ("Vou começar", "Agora vou"), ("pelo plano.",
            "organizar as tarefas.", "definir os passos.")))  # fmt: skip
    return trace


def swipes(rng: random.Random) -> Trace:
    """A phone: it swipes and taps in a list that has ended; the screen is the same tree with another clock."""
    trace = Trace(rng)
    rows = [f"<node text='{fact}' bounds='[0,{90 * n}][1080,{90 * n + 88}]'/>" for n, fact in enumerate(facts(rng, 14))]
    for _ in range(rng.randint(15, 40)):
        clock = f"<node id='clock' text='{rng.randint(0, 23)}:{rng.randint(0, 59):02}'/><node id='battery' text='{rng.randint(20, 90)}%'/>"
        action = choose(
            rng,
            (
                {"action": "swipe", "from": [540, rng.randint(1500, 1900)], "to": [540, rng.randint(200, 600)]},
                {"action": "tap", "x": rng.randint(100, 900), "y": rng.randint(300, 1700)},
                {"action": "wait", "ms": 1000},
            ),
        )
        trace.turn(Call("mobile_use", action, "\n".join([clock, *rows])), text=say(rng, ("Scrolling down", "Looking further"),
            ("for the setting.", "to find the option.")))  # fmt: skip
    return trace


DEGENERATE = (
    cookie_reload, noop_groove, empty_listings, flake_count, goal_hook, search_and_reflect, patch_spiral,
    compaction_spiral, status_echo, zabbix_hosts, tool_search, hourly_patch, how_can_i_assist, spanish_columns,
    rewritten_component, holding, unusual_traffic, heartbeats, double_checks, numbered_thoughts, page_ignored,
    beyond_the_end, planning_again, swipes,
)  # fmt: skip
