"""Labelled families of runs that went astray, as an outsider would record them. Written without a look at the guard."""
# What a tool prints stands in one line, as it does there, and a turn too: broken into arguments it could not be read.
# ruff: noqa: E501, I001
# fmt: off

from __future__ import annotations

import random
from itertools import cycle

from tests.guards.loop.plain_scenes import BROWSER, CODING, NOUN, Desk, coder, found, long, named, path, prose, pytest_says, screen, source
from tests.guards.loop.trace import Call, Trace, choose


def missing_target(rng: random.Random) -> Trace:
    """The very same command fails in the very same way."""
    desk, target, host = coder(rng), named(rng), f"build-{rng.randint(1, 9)}"
    for _ in long(rng):
        desk.step(desk.bash(f'ssh {host} "make {target}" 2>&1', f"make: *** No rule to make target '{target}'.  Stop.\nShell cwd was reset to /home/dev/app", code=2),
            say=choose(rng, ("Let me run it on the server.", "Starting the runner now.", "I will run the command.", "Let me try that.")))
    return desk.trace


def two_greps(rng: random.Random) -> Trace:
    """Two searches that hardly differ, in turn, without a word: the file that the plan names was deleted."""
    desk, name, home = coder(rng), named(rng), f"/tmp/wt-{rng.getrandbits(24):x}"
    desk.chatty = 0
    hit = f"src/base.ts:{rng.randint(100, 900)}:  {name}(): ShellPolicy | null\n"
    forms = (f"cd {home} && grep -rn '{name}' src | head -20", f'cd {home} && grep -rn "{name}" --include=*.ts src')
    for _, command in zip(range(rng.randint(30, 70)), cycle(forms), strict=False):
        desk.step(desk.bash(command, hit + "Shell cwd was reset to /home/dev/app"), think=15)
    return desk.trace


def old_text_not_found(rng: random.Random) -> Trace:
    """It reads the file, its replacement matches nothing, and it apologises."""
    desk, name, lines = coder(rng), path(rng), source(rng, rng.randint(20, 45))
    for _ in range(rng.randint(12, 22)):
        desk.step(desk.read(name, lines), say=choose(rng, ("I made a mistake again. I will read the file and take the exact text.", "The replacement was not correct. Let me read the file once more.")))
        old = "\n".join(" " * rng.randint(0, 8) + line.strip() for line in lines[5 : 8 + rng.randint(0, 2)])
        desk.step(desk.fails("edit_file", {"path": name, "old_string": old, "new_string": old + "\n"}, f"Failed to edit, 0 occurrences found for old_string in {name}. Ensure you're not escaping content incorrectly and check whitespace, indentation, and context. Use read_file tool to verify."))
    return desk.trace


def two_fixes_in_turn(rng: random.Random) -> Trace:
    """One correction breaks one test, the other one the other; it goes to and fro."""
    desk, name = coder(rng), path(rng)
    a, b = f"    return round({choose(rng, NOUN)}.total, 2)", f"    return {choose(rng, NOUN)}.total"
    reports = [[("test_total_is_rounded", "assert 10.126 == 10.13")], [("test_total_is_exact", "assert 10.13 == 10.126")]]
    passed = rng.randint(10, 60)
    for n in range(rng.randint(12, 20)):
        old, new = (a, b) if n % 2 else (b, a)
        desk.step(desk.edit(name, old, new), say=choose(rng, ("I see the issue now. The value has to be rounded.", "That broke the other test; revert to the exact value.", "Let me fix this properly.")))
        desk.step(desk.bash("python -m pytest tests -x -q", pytest_says(rng, reports[n % 2], passed), code=1, seconds=9))
    return desk.trace


def raises_the_timeout(rng: random.Random) -> Trace:
    """The same test fails for the same reason, whatever number it writes into the same line."""
    desk, name, value, passed = coder(rng), path(rng), 5, rng.randint(8, 40)
    test, reason = f"test_{named(rng)}", "assert 'pending' == 'done'"
    for _ in range(rng.randint(12, 22)):
        value, before = value + rng.randint(1, 30), value
        desk.step(desk.edit(name, f"TIMEOUT = {before}", f"TIMEOUT = {value}"), say=choose(rng, ("The timeout may be too short.", "Let me wait a little longer.", "It still is pending; raise it.")))
        desk.step(desk.bash(f"pytest tests/test_api.py::{test}", pytest_says(rng, [(test, reason)], passed), code=1, seconds=value))
    return desk.trace


def module_still_missing(rng: random.Random) -> Trace:
    """It installs what is installed, in each way it knows."""
    desk, module = coder(rng), f"py{choose(rng, NOUN)}"
    ways = (f"pip install {module}", f"pip3 install {module}", f"python -m pip install --upgrade {module}", f"pip install {module}==2.{rng.randint(0, 9)}", f"pip install --user {module}", f"uv pip install {module}")
    for _ in range(rng.randint(11, 20)):
        way = choose(rng, ways)
        desk.step(desk.bash(way, f"Requirement already satisfied: {module} in /usr/lib/python3/dist-packages (2.4.1)\n[notice] A new release of pip is available: 24.0 -> 25.{rng.randint(0, 3)}", seconds=3))
        desk.step(desk.bash("python app.py", f'Traceback (most recent call last):\n  File "/w/app.py", line 3, in <module>\n    import {module}\nModuleNotFoundError: No module named \'{module}\'', code=1), say="The module should be there now.")
    return desk.trace


def same_six_files(rng: random.Random) -> Trace:
    """Analysis without end: it reads and searches what it has read and found before, and never edits."""
    desk = Desk(rng, **CODING)
    files = {path(rng): source(rng, 60) for _ in range(6)}
    greps = {named(rng): "\n".join(f"{path(rng)}:{rng.randint(3, 99)}:{line}" for line in source(rng, 5)) for _ in range(4)}
    for _ in range(rng.randint(45, 70)):
        if rng.random() < 0.65:
            name, first = choose(rng, list(files)), choose(rng, (1, 1, 11, 21))
            desk.step(desk.read(name, files[name][first - 1 : first + 39], first))
        else:
            pattern = choose(rng, list(greps))
            desk.step(desk.ok("grep", {"pattern": pattern, "path": choose(rng, ("src", "src/", "."))}, greps[pattern]))
    return desk.trace


def checks_finished_work(rng: random.Random) -> Trace:
    """All is done, and it runs tests, linter and git status over and over."""
    desk, passed = coder(rng), rng.randint(20, 90)
    desk.step(desk.edit(path(rng), source(rng, 1)[0], source(rng, 1)[0]))
    head = f"On branch fix-{rng.randint(10, 99)}\nChanges not staged for commit:\n\tmodified:   {path(rng)}"
    for n in range(rng.randint(24, 50)):
        step = n % 3 if rng.random() < 0.8 else rng.randrange(3)
        said = choose(rng, ("The task is complete.", "Everything passes. Let me verify once more.", "I have completed the task. A final check:"))
        if step == 0:
            desk.step(desk.bash("python -m pytest -q", pytest_says(rng, [], passed), seconds=8), say=said)
        elif step == 1:
            desk.step(desk.bash("ruff check .", "All checks passed!"), say=said)
        else:
            desk.step(desk.bash("git status", head), say=said)
    return desk.trace


def starts_from_the_plan(rng: random.Random) -> Trace:
    """It has forgotten that it read the plan, the notes and the folder, and begins anew."""
    desk, plan, notes = Desk(rng, **CODING), [f"- [ ] {prose(rng)}" for _ in range(9)], [prose(rng) for _ in range(12)]
    tree = "\n".join(sorted(path(rng) for _ in range(14)))
    for _ in range(rng.randint(9, 16)):
        desk.step(desk.read("PLAN.md", plan), say=choose(rng, ("Let me start by reading the plan.", "First, I will look at the plan.", "I'll begin with PLAN.md.")))
        desk.step(desk.read("NOTES.md", notes), say="Now the notes, to understand where we are.")
        desk.step(desk.bash("ls -R src", tree), say="Let me look at the structure of the project.")
    return desk.trace


def script_prints_nothing(rng: random.Random) -> Trace:
    """The wrapper swallows a 404: an empty string, exit code 0, and it calls it again."""
    desk, limit = coder(rng), rng.randint(1, 9)
    for n in range(rng.randint(25, 60)):
        spaces = "  " if n % 5 == 4 else " "
        script = f'node -e "const {{ api }} = require(\'./api.cjs\');{spaces}api(\'v2/list_docs\', {{ limit: {limit} }}).then(r => console.log(typeof r, r?.length, JSON.stringify(r)))"'
        desk.step(desk.bash(script, 'string 0 ""'), say=choose(rng, ("Let me see the raw response.", "I'll check what the API returns.", "Let me look at the response again.")))
    return desk.trace


def sandbox_gone(rng: random.Random) -> Trace:
    """The machine behind its tools is dead: each call ends alike."""
    desk = coder(rng)
    desk.in_band = rng.random() < 0.3
    for _ in long(rng):
        message = f"Error: sandbox sbx-{rng.getrandbits(32):08x} is not reachable: connect ETIMEDOUT 10.0.{rng.randint(0, 9)}.{rng.randint(2, 250)}:8080 (request {desk.trace.uid()})"
        tool, arguments = choose(rng, (("bash", {"command": f"ls {path(rng)}"}), ("read_file", {"path": path(rng)}), ("grep", {"pattern": named(rng)}), ("bash", {"command": "pwd"})))
        desk.step(desk.fails(tool, arguments, message, seconds=20))
    return desk.trace


def todo_again(rng: random.Random) -> Trace:
    """It writes its list of tasks, sets one to in progress, and writes it again."""
    desk, items = coder(rng), [f"{named(rng).replace('_', ' ')} for {choose(rng, NOUN)}s" for _ in range(5)]
    for n in long(rng):
        state = ("pending", "in_progress")[n % 2 if rng.random() < 0.8 else 1]
        todos = [{"content": item, "status": state if place == 0 else "pending"} for place, item in enumerate(items)]
        desk.step(desk.ok("todo_write", {"todos": todos}, "Todos have been modified successfully. Ensure that you continue to use the todo list to track your progress."), say="Let me update the list and begin with the first task.")
    return desk.trace


def click_without_effect(rng: random.Random) -> Trace:
    """The button does nothing; the page stays, but for the numbers of its elements."""
    desk, items = Desk(rng, **BROWSER), [f"button '{named(rng)}'" for _ in range(12)] + ["button 'Continue'"]
    url = f"https://{choose(rng, NOUN)}.example/signup"
    for n in range(rng.randint(3, 6)):
        desk.step(desk.ok("type", {"index": n, "text": prose(rng)[:12]}, screen(rng, url, "Sign up", [*items[: 6 + n], f"input value={n}"])))
    for n in long(rng):
        call = desk.ok("click", {"index": rng.randint(50, 60), "label": "Continue"}, screen(rng, url, "Sign up", items))
        if n % 6 == 5:
            call = desk.ok("scroll", {"down": n % 12 == 5}, screen(rng, url, "Sign up", items))
        desk.step(call, say=choose(rng, ("The page has not changed. I will click Continue again.", "Let me click on Continue.", "The click seems not to have worked, try once more.")))
    return desk.trace


def verifying_human(rng: random.Random) -> Trace:
    """Behind a check for humans nothing comes, whether it waits, reloads, or goes there anew."""
    desk, host = Desk(rng, **BROWSER).asks(rng.randint(1, 4)), f"www.{choose(rng, NOUN)}s.example"
    for _ in long(rng):
        page = f"Title: Just a moment...\n{host}\nVerifying you are human. This may take a few seconds.\nRay ID: {rng.getrandbits(64):016x}\nPerformance & security by Edge"
        tool, arguments = choose(rng, (("wait", {"seconds": choose(rng, (3, 5, 10))}), ("navigate", {"url": f"https://{host}/"}), ("click", {"index": rng.randint(0, 2)}), ("reload", {})))
        desk.step(desk.ok(tool, arguments, page, seconds=4), say=choose(rng, ("I have to wait for the check to finish.", "Still verifying. Let me reload.", "Let me try to open it again.")))
    return desk.trace


def list_and_back(rng: random.Random) -> Trace:
    """It opens the first product, goes back, opens it again."""
    desk, name = Desk(rng, **BROWSER), choose(rng, NOUN)
    shelf = [f"link '{named(rng)} {n}'" for n in range(15)]
    article = [f"text '{prose(rng)}'" for _ in range(6)]
    for _ in range(rng.randint(12, 24)):
        desk.step(desk.ok("click", {"index": rng.randint(3, 5)}, screen(rng, f"https://shop.example/{name}/1", "Product", article)), say="Let me look at this product for its price.")
        desk.step(desk.ok("go_back", {}, screen(rng, f"https://shop.example/{name}", "Products", shelf)), say="The price is not here, I go back to the list.")
    return desk.trace


def bottom_of_page(rng: random.Random) -> Trace:
    """It scrolls where there is nothing more."""
    desk = Desk(rng, **BROWSER)
    rows = [f"row '{prose(rng)}'" for _ in range(40)]
    for n in range(4):
        desk.step(desk.ok("scroll", {"direction": "down", "pixels": 600}, screen(rng, "https://docs.example/limits", "Limits", rows[8 * n : 8 * n + 10])))
    for _ in long(rng):
        call = desk.ok("scroll", {"direction": "down", "pixels": choose(rng, (400, 600, 800))}, screen(rng, "https://docs.example/limits", "Limits", rows[-8:]))
        desk.step(call, say="I need to scroll further to find the section.")
    return desk.trace


def login_round(rng: random.Random) -> Trace:
    """A round of six steps: the second factor is refused and leads back to the start."""
    desk, url = Desk(rng, **BROWSER), "https://id.example"
    for _ in range(rng.randint(6, 10)):
        desk.step(desk.ok("navigate", {"url": f"{url}/login"}, screen(rng, f"{url}/login", "Log in", ["input 'E-mail'", "button 'Next'"])))
        desk.step(desk.ok("type", {"index": 1, "text": "ops@example.test"}, "Typed into element"))
        desk.step(desk.ok("click", {"index": 2}, screen(rng, f"{url}/password", "Password", ["input 'Password'", "button 'Log in'"])))
        desk.step(desk.ok("type", {"index": 1, "text": "<secret>"}, "Typed into element"))
        desk.step(desk.ok("click", {"index": 2}, screen(rng, f"{url}/code", "Enter your code", ["input 'Code'", "button 'Verify'"])))
        desk.step(desk.ok("type", {"index": 1, "text": f"{rng.randint(0, 999999):06}"}, screen(rng, f"{url}/login", "Your session has expired", ["link 'Log in again'"])), say="The code was not accepted. I will log in again.")
    return desk.trace


def rephrases_query(rng: random.Random) -> Trace:
    """The same five hits in another order, or none at all, however it asks."""
    desk, hits = Desk(rng, search="read").asks(rng.randint(1, 5)), found(rng, 5)
    parts = (("annual", "yearly", "total", "2024", "reported"), ("revenue", "turnover", "sales", "income"), ("Veltrona GmbH", "Veltrona", "Veltrona Group"), ("figures", "report", "statement", "pdf", ""))
    empty = rng.random() < 0.5
    for _ in long(rng):
        query = " ".join(choose(rng, part) for part in rng.sample(parts, 4)).strip()
        again = [{**hit, "score": round(rng.random(), 4)} for hit in rng.sample(hits, 5)]
        desk.step(desk.ok("search", {"query": query}, {"results": [] if empty else again, "took_ms": rng.randint(30, 900)}), say=f"I will search for {query}.")
    return desk.trace


def too_many_requests(rng: random.Random) -> Trace:
    """It is told to slow down, and asks the next thing at once."""
    desk = Desk(rng, search="read").asks(rng.randint(2, 6))
    for _ in long(rng):
        desk.step(desk.fails("search", {"query": prose(rng)[4:44]}, f"HTTP 429 Too Many Requests: rate limit exceeded, retry after {rng.randint(20, 60)} s (request_id={desk.trace.uid()})"), think=2)
    return desk.trace


def cursor_ignored(rng: random.Random) -> Trace:
    """The tool ignores the cursor: it pages through the first page."""
    desk = Desk(rng, list_orders="read")
    rows = [{"id": rng.randint(10000, 99999), "customer": named(rng), "note": prose(rng)} for _ in range(8)]
    for n in long(rng):
        desk.step(desk.ok("list_orders", {"cursor": f"{rng.getrandbits(48):x}" if n else "", "limit": 8}, {"orders": rows, "next_cursor": f"{rng.getrandbits(48):x}"}), say="There are more orders; the next page.")
    return desk.trace


def order_not_found(rng: random.Random) -> Trace:
    """The customer's number does not exist; it spells it in every way."""
    desk, number = Desk(rng, get_order="read", get_user="read"), rng.randint(1000000, 9999999)
    desk.step(desk.ok("get_user", {"email": "kim@example.test"}, {"id": f"u{number}", "name": "Kim", "orders": []}))
    forms = ("#W{n}", "W{n}", "w{n}", "{n}", "#{n}", "W-{n}", "order {n}", " #W{n}", "#w{n}", "#W0{n}")
    for _ in long(rng):
        desk.step(desk.fails("get_order", {"order_id": choose(rng, forms).format(n=number)}, "Error: order not found"), say=choose(rng, ("Let me try the number in another form.", "Let me look the order up.", "I apologise for the delay. One moment.")))
    return desk.trace


def column_missing(rng: random.Random) -> Trace:
    """Query after query asks for a column that is not there."""
    desk, column = Desk(rng, run_sql="read"), f"{choose(rng, NOUN)}_tier"
    for n in range(4):
        desk.step(desk.ok("run_sql", {"sql": f"select * from {choose(rng, NOUN)}s limit {n + 3}"}, {"rows": [[named(rng), rng.randint(1, 99)] for _ in range(3)]}))
    for _ in long(rng):
        a, b = choose(rng, NOUN), choose(rng, NOUN)
        sql = choose(rng, (f"select {column}, count(*) from {a}s group by 1", f"select o.{column} from {a}s o join {b}s c on c.id = o.{b}_id where c.age > {rng.randint(1, 90)}", f"with t as (select {column} from {a}s) select avg({rng.randint(1, 9)}) from t"))
        desk.step(desk.fails("run_sql", {"sql": sql}, f'ERROR: column "{column}" does not exist\nLINE 1: {sql[:30]}...\n{" " * rng.randint(8, 30)}^'))
    return desk.trace


def remembers_again(rng: random.Random) -> Trace:
    """It has the answer, and saves the same memory instead of giving it."""
    desk = Desk(rng, search="read", save_memory="write").asks(3)
    likes = ("The user prefers dark mode and short answers.", "User likes short answers and dark mode.", "Preference: dark mode; answers should be short.", "User prefers short answers, dark mode.")
    for _ in long(rng):
        desk.step(desk.ok("save_memory", {"content": choose(rng, likes)}, f"Memory {desk.trace.uid()} saved."), say="I will remember this preference.")
    return desk.trace


def invalid_arguments(rng: random.Random) -> Trace:
    """It hands over a string where an object is wanted; the server says so each time."""
    desk = Desk(rng, update_record="write").asks(2)
    for _ in long(rng):
        fields = "{" + ", ".join(f'"{choose(rng, NOUN)}": {rng.randint(1, 90)}' for _ in range(rng.randint(1, 3))) + "}"
        desk.step(desk.fails("update_record", {"id": f"rec_{rng.getrandbits(40):x}", "fields": fields}, 'MCP error -32602: Input validation error: Invalid arguments for tool update_record: [{"code":"invalid_type","expected":"object","received":"string","path":["fields"]}]'))
    return desk.trace


def crash_loop(rng: random.Random) -> Trace:
    """It restarts, looks, reads the same log, and restarts."""
    desk, app, log = Desk(rng, bash="write"), choose(rng, NOUN), f"panic: missing environment variable {choose(rng, NOUN).upper()}_DSN\n\ngoroutine 1 [running]:\nmain.main()"
    for n in range(rng.randint(8, 14)):
        pod = f"{app}-{rng.getrandbits(36):09x}-{rng.getrandbits(20):05x}"
        desk.step(desk.bash(f"kubectl rollout restart deployment/{app}", f"deployment.apps/{app} restarted"), say="Let me restart the deployment.")
        desk.step(desk.bash(f"kubectl get pods -l app={app}", f"NAME  READY  STATUS  RESTARTS  AGE\n{pod}  0/1  CrashLoopBackOff  {rng.randint(1, 4) + n} ({rng.randint(3, 50)}s ago)  {rng.randint(40, 90)}s"), say="It is still crashing.")
        desk.step(desk.bash(f"kubectl logs {pod} --tail=20", f"{desk.trace.stamp()} starting {app}\n{log}"), say="The log shows a panic. A restart may help.")
    return desk.trace


def queued_for_ever(rng: random.Random) -> Trace:
    """Hours at a job that no machine takes."""
    desk, job = Desk(rng, get_job="poll", submit="write"), f"job-{rng.getrandbits(32):08x}"
    desk.step(desk.ok("submit", {"image": named(rng), "gpus": 8}, {"job": job, "state": "QUEUED"}))
    for _ in range(rng.randint(50, 80)):
        desk.step(desk.ok("get_job", {"job": job}, {"job": job, "state": "QUEUED", "position": None, "checked_at": desk.trace.stamp(), "request_id": desk.trace.uid()}), say="Still queued; I will look again in a few minutes.", think=180)
    return desk.trace


def what_time_is_it(rng: random.Random) -> Trace:
    """Told to wait until five past eleven, it asks for the time, and asks."""
    desk = Desk(rng, get_current_datetime="read").asks(1)
    for _ in range(rng.randint(30, 60)):
        desk.step(desk.ok("get_current_datetime", {"timezone": "UTC"}, {"datetime": desk.trace.stamp(), "timezone": "UTC"}), say="It is not 11:05 yet. Let me check the time.", think=2)
    return desk.trace


def coworkers_pass_on(rng: random.Random) -> Trace:
    """Each child wants the other one's work first."""
    desk = Desk(rng)
    desk.trace = Trace(rng, {"ask_agent": "spawn"})
    pairs = (("researcher", ("I need the writer's outline before I can collect sources.", "Without an outline of the writer I cannot begin.", "Please get the outline from the writer first.")), ("writer", ("I need the researcher's sources before I can write an outline.", "There are no sources yet; ask the researcher first.", "Please let the researcher collect sources first.")))
    for _, (agent, answers) in zip(range(rng.randint(20, 40)), cycle(pairs), strict=False):
        task = f"{choose(rng, ('Please do', 'Now do', 'Work on', 'Begin with'))} your part of the article about {choose(rng, ('solar roofs', 'solar roofs in Spain'))}. {choose(rng, answers)}"
        desk.step(Call("ask_agent", {"agent": agent, "task": task}, choose(rng, answers), seconds=15), say=f"The {agent} should do its part.")
    return desk.trace


def unknown_coworker(rng: random.Random) -> Trace:
    """It delegates to somebody who is not there, in ever new words."""
    desk = Desk(rng).asks(2)
    for _ in long(rng):
        arguments = {"coworker": choose(rng, ("Senior Analyst", "senior analyst", "Analyst", "The Senior Analyst")), "task": f"Analyse the market. {prose(rng)}", "context": prose(rng, 2)}
        desk.step(desk.fails("delegate_work_to_coworker", arguments, "Error executing tool. coworker mentioned not found, it must be one of the following options:\n- market researcher\n- content editor"))
    return desk.trace


def transferred_again(rng: random.Random) -> Trace:
    """Billing sends to support, support to billing."""
    desk, customer = Desk(rng), rng.randint(1000, 9999)
    desk.step(desk.ok("get_customer", {"id": customer}, {"id": customer, "plan": "pro", "note": prose(rng)}))
    for _, (to, say) in zip(long(rng), cycle((("billing", "This is about an invoice, I am transferring you to billing."), ("support", "This needs a technical look, I am transferring you to support."))), strict=False):
        desk.step(desk.ok(f"transfer_to_{to}", {}, {"assistant": to.title(), "handoff_id": desk.trace.uid()}), say=say)
    return desk.trace


def thanks(rng: random.Random) -> Trace:
    """All is said; two agents thank each other."""
    desk = Desk(rng, send_message="write")
    for _ in range(3):
        desk.step(desk.ok("send_message", {"to": "analyst", "text": prose(rng, 2)}, {"reply": prose(rng, 3)}))
    mine = ("Thank you for your help!", "Thanks again, have a great day!", "You too, goodbye!", "It was a pleasure to work with you.", "Thank you, goodbye!")
    theirs = ("You're welcome! Let me know if you need anything else.", "Thank you too! Have a great day.", "Goodbye! Feel free to reach out any time.", "My pleasure. Take care!")
    for _ in long(rng):
        desk.step(desk.ok("send_message", {"to": "analyst", "text": choose(rng, mine)}, {"reply": choose(rng, theirs), "message_id": desk.trace.uid()}))
    return desk.trace


def critic_never_content(rng: random.Random) -> Trace:
    """The critic wants it shorter, then longer, then shorter; the draft swings between two."""
    desk = Desk(rng, submit_draft="write")
    drafts = (prose(rng, 3), prose(rng, 9))
    for n in long(rng):
        verdict = ("This lacks detail. Please expand on the background.", "This is too long. Please make it more concise.")[n % 2]
        desk.step(desk.ok("submit_draft", {"text": drafts[n % 2], "version": n + 1}, {"approved": False, "score": rng.randint(5, 7), "feedback": verdict}), say="I revise the draft as the critic asks.")
    return desk.trace


def awaiting_choice(rng: random.Random) -> Trace:
    """The harness says "continue", and it says that there is nothing to do."""
    desk = coder(rng)
    forms = ("Awaiting your choice (Option A or B). Nothing actionable on my end.", "Awaiting your choice (Option A: you run the command, or Option B: add the rule). Nothing actionable until then.", "Still waiting for your choice between A and B.", "No change: I need your decision, Option A or Option B.")
    for _ in long(rng):
        desk.trace.says(choose(rng, forms))
    return desk.trace


def will_begin_now(rng: random.Random) -> Trace:
    """It says that it will begin, and does not."""
    desk = coder(rng)
    parts = (("I'll implement it now.", "I will start with the code.", "Let me begin.", "I'm going to write it now."), ("First the model,", "First the handler,", "I begin with the types,"), ("then the tests.", "then the migration.", "and then I run the tests."))
    for _ in long(rng):
        desk.trace.says(" ".join(choose(rng, part) for part in parts))
    return desk.trace


def same_words_in_answer(rng: random.Random) -> Trace:
    """Its answers drown in one phrase, also beside calls."""
    desk = coder(rng)
    phrase = choose(rng, ("Let's run. Let's execute. Let's call. ", "court ", "I'll do it. I'll write the code. I'll start. ", "\u52a0\u6cb9\uff01", "</thinking> Wait, actually, let me re-check. "))
    for n in range(rng.randint(15, 25)):
        text = f"{prose(rng)} {phrase * rng.randint(150, 600)}"
        if n % 3 == 2:
            desk.trace.turn(desk.read(name := path(rng), source(rng, 9)), text=f"{text}{name}")
        else:
            desk.trace.says(text)
    return desk.trace


DEGENERATE = (
    missing_target, two_greps, old_text_not_found, two_fixes_in_turn, raises_the_timeout, module_still_missing,
    same_six_files, checks_finished_work, starts_from_the_plan, script_prints_nothing, sandbox_gone, todo_again,
    click_without_effect, verifying_human, list_and_back, bottom_of_page, login_round, rephrases_query, too_many_requests,
    cursor_ignored, order_not_found, column_missing, remembers_again, invalid_arguments, crash_loop, queued_for_ever,
    what_time_is_it, coworkers_pass_on, unknown_coworker, transferred_again, thanks, critic_never_content, awaiting_choice,
    will_begin_now, same_words_in_answer,
)
