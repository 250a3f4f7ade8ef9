"""The seventh set: written on the day of the sixth, before the guard had seen either, and kept away from the tuning."""

from __future__ import annotations

import random

from tests.guards.loop.scenes import explore, hits, shell, thought, tools, trace_back
from tests.guards.loop.trace import Call, Trace, choose, words


def _begun(rng: random.Random, **kinds: str) -> Trace:
    return explore(Trace(rng, tools(rng, **kinds)), rng.randint(0, 5))


# ---- degenerate ---------------------------------------------------------------------------------------------------
def todo_oscillation(rng: random.Random) -> Trace:
    """command-code#826: two spellings of the same plan; the tool misses the other one's items each time."""
    trace = _begun(rng, todo_write="write")
    items = [f"{words(rng, 4)}" for _ in range(rng.randint(4, 7))]
    for n in range(rng.randint(10, 24)):
        spelled = [item.title() if n % 2 else item for item in items]
        missed = ", ".join(f'"{item}"' for item in (items if n % 2 else [item.title() for item in items])[:3])
        note = (
            f"Todos updated.\n"
            f"NOTE: This update REMOVED {len(items)} unfinished items from the previous list ({missed}). "
            f"If you did not mean to drop them, call todo_write again with the complete list."
        )
        todos = [{"id": str(rng.randint(1, 999)), "content": item, "status": "pending"} for item in spelled]
        trace.turn(Call("todo_write", {"todos": todos}, note), text=thought(rng))
    return trace


def two_in_progress(rng: random.Random) -> Trace:
    """gemini-cli#12808: it sets a second task to in progress, apologises, and does it again."""
    trace = _begun(rng, write_todos="write")
    items = [words(rng, 5) for _ in range(6)]
    for _ in range(rng.randint(10, 22)):
        active = set(rng.sample(range(6), 2))
        todos = [
            {"description": item, "status": "in_progress" if n in active else "pending"} for n, item in enumerate(items)
        ]
        refused = 'Invalid parameters: Only one task can be "in_progress" at a time.'
        trace.turn(Call("write_todos", {"todos": todos}, problem=refused), text=f"I apologize. {thought(rng)}")
    return trace


def enforced(rng: random.Random) -> Trace:
    """oh-my-openagent#2216: a hook asks for the open todos; the model says that all is done; 10 times and more."""
    trace = _begun(rng)
    directive = "[SYSTEM DIRECTIVE - TODO CONTINUATION] Incomplete tasks remain. Continue with the next pending task."
    for n in range(rng.randint(14, 40)):
        trace.person(f"{directive}\n[Status: {n % 2}/{3} completed, 2 remaining]")
        trace.says(
            choose(rng, ("All tasks are already done.", "The task is complete.", f"Done already. {words(rng, 4)}."))
        )
    return trace


def sends_again(rng: random.Random) -> Trace:
    """openclaw#68923: the same message to the same channel, twenty times; each gets an id of its own."""
    trace = _begun(rng, send_message="write")
    text = f"Status: {words(rng, 15)}."
    for _ in range(rng.randint(10, 22)):
        said = {
            "ok": True,
            "message_id": str(rng.getrandbits(60)),
            "ts": f"17{rng.randint(10**7, 10**8)}.{rng.randint(10**5, 10**6)}",
        }
        trace.turn(Call("send_message", {"channel": "#ops", "text": text}, said), text=thought(rng))
    return trace


def sequential_thinking(rng: random.Random) -> Trace:
    """QwenPaw#6116: a tool for thoughts, with nearly the same thought, numbered anew."""
    trace = _begun(rng, sequentialthinking="write")
    about = words(rng, 30)
    for n in range(rng.randint(12, 26)):
        thinks = {
            "thought": f"{choose(rng, ('So,', 'Wait,', 'Let me think:'))} {about} {words(rng, 4)}",
            "thoughtNumber": n + 1,
        }
        said = {
            "thoughtNumber": n + 1,
            "totalThoughts": n + 3,
            "nextThoughtNeeded": True,
            "thoughtHistoryLength": n + 1,
        }
        trace.turn(Call("sequentialthinking", thinks, said))
    return trace


def file_is_nowhere(rng: random.Random) -> Trace:
    """It looks for a file that is not there: ls, find, stat, in one folder and the next, and from the beginning."""
    trace, name = _begun(rng), f"{words(rng, 1)}.csv"
    for _ in range(rng.randint(14, 34)):
        folder = choose(rng, ("/data", "/data/", "/mnt/data", "~/data", "/workspace/data", "./data", "/home/user"))
        command, said = choose(rng, (
            (f"ls -la {folder}/{name}", f"ls: cannot access '{folder}/{name}': No such file or directory"),
            (f"find {folder} -name '{name}' 2>/dev/null", ""),
            (f"stat {folder}/{name}", f"stat: cannot statx '{folder}/{name}': No such file or directory"),
            (f"cat {folder}/{name} | head", f"cat: {folder}/{name}: No such file or directory"),
        ))  # fmt: skip
        trace.turn(shell(command, said), text=thought(rng))
    return trace


def not_unique(rng: random.Random) -> Trace:
    """gemini-cli#2137: it replaces what stands there three times; between the tries it reads the file."""
    trace = _begun(rng, replace="write", read_file="read")
    content = "\n".join(words(rng, 6) for _ in range(60))
    for n in range(rng.randint(12, 28)):
        if n % 3 == 2:
            trace.turn(Call("read_file", {"absolute_path": "/app/ranking.ts"}, content), text=thought(rng))
            continue
        found = choose(rng, (0, 3, 3, 2))
        refused = (
            f"Failed to edit, expected 1 occurrence but found {found} for old_string in file: /app/ranking.ts"
            if found else "Failed to edit, could not find the string to replace."
        )  # fmt: skip
        change = {"file_path": "/app/ranking.ts", "old_string": words(rng, 12), "new_string": words(rng, 12)}
        trace.turn(Call("replace", change, problem=refused), text="My apologies. " + thought(rng))
    return trace


def batches_of_five(rng: random.Random) -> Trace:
    """superdav-ai-agent#2436: some of the same five files each turn, and a screenshot."""
    trace = _begun(rng, read_file="read", screenshot="read")
    files = {f"theme/{words(rng, 1)}_{n}.html": words(rng, 50) for n in range(5)}
    for _ in range(rng.randint(10, 22)):
        picked = rng.sample(sorted(files), rng.randint(2, 4))
        calls = [Call("read_file", {"path": path}, files[path]) for path in picked]
        if rng.random() < 0.5:
            calls.append(Call("screenshot", {"url": "/"}, {"file": f"/tmp/shot-{trace.uid()}.png", "width": 1280}))
        trace.turn(*calls, text=thought(rng))
    return trace


def guessed_schema(rng: random.Random) -> Trace:
    """bagofwords#348: it guesses the arguments of a foreign tool; the refusal names the field, never the schema."""
    trace = _begun(rng, search_contacts="read", search="read")
    for _ in range(rng.randint(10, 26)):
        field = choose(
            rng, ("company_id", "custom_attributes.company", "object_type", "per_page", "company.name", "filter")
        )
        tool = choose(rng, ("search_contacts", "search_contacts", "search"))
        refused = f"Tool '{tool}' failed: invalid search field '{field}' (request_id: {rng.getrandbits(64):016x})"
        trace.turn(Call(tool, {"query": {field: words(rng, 1)}}, refused), text=thought(rng))
    return trace


def no_path(rng: random.Random) -> Trace:
    """openclaw: a reading tool that is called without a path, until somebody looks; 10 to 16 turns."""
    trace = Trace(rng)
    for _ in range(rng.randint(10, 16)):
        arguments = choose(rng, ({}, {}, {"file": ""}, {"input": None}))
        trace.turn(
            Call(
                "read",
                arguments,
                problem="Missing required parameter: path. Supply correct parameters before retrying.",
            )
        )
    return trace


def weather_25(rng: random.Random) -> Trace:
    """conductor#1532: the result never reaches the model; 25 turns of the same call, with the time of each answer."""
    trace = Trace(rng, tools(rng, get_weather="read"))
    base = {"city": "San Francisco", "condition": words(rng, 2), "temperature_c": 17}
    for _ in range(25):
        answer = trace.shuffled(base | {"observed_at": trace.stamp(), "request": trace.uid()})
        trace.turn(Call("get_weather", {"city": "San Francisco"}, {"content": [{"type": "text", "text": answer}]}))
    return trace


def wanders(rng: random.Random) -> Trace:
    """A browser on a small site: home, docs, pricing, docs, home; tokens in each page differ, its text does not."""
    trace = _begun(rng, goto="write")
    pages = {name: words(rng, 50) for name in ("", "docs", "pricing", "about", "docs/api")}
    for _ in range(rng.randint(18, 45)):
        name = choose(rng, sorted(pages))
        token = f"csrf={rng.getrandbits(128):032x}"
        page = f"[{token}] loaded in {rng.uniform(0.1, 3):.2f}s\n{pages[name]}"
        trace.turn(Call("goto", {"url": f"https://app.test/{name}"}, page),
            text=thought(rng))  # fmt: skip
    return trace


def same_shelves(rng: random.Random) -> Trace:
    """A household in text: it goes to the same places, which hold the same things, and takes what it cannot take."""
    trace = Trace(rng)
    places = {
        f"{kind} {n}": f"On the {kind} {n}, you see {words(rng, 5)}."
        for kind in ("shelf", "cabinet")
        for n in (1, 2, 3)
    }
    for _ in range(rng.randint(20, 50)):
        place = choose(rng, sorted(places))
        trace.turn(Call("act", {"action": f"go to {place}"}, places[place]))
        if rng.random() < 0.4:
            trace.turn(Call("act", {"action": f"take {words(rng, 1)} from {place}"}, "Nothing happens."))
    return trace


def never_good_enough(rng: random.Random) -> Trace:
    """A draft and a critic that always finds the same four things, in other orders, and gives six of ten."""
    trace = _begun(rng, save_draft="write", critique="read")
    faults = [f"- {words(rng, 9)}." for _ in range(4)]
    for n in range(rng.randint(8, 24)):
        trace.turn(Call("save_draft", {"version": n, "text": words(rng, 80)}, "saved"), text=thought(rng))
        rng.shuffle(faults)
        verdict = f"Score: {choose(rng, (6, 6, 5, 7))}/10\nThe draft needs improvement:\n" + "\n".join(faults)
        trace.turn(Call("critique", {"version": n}, verdict))
    return trace


# ---- healthy ------------------------------------------------------------------------------------------------------
def household(rng: random.Random) -> Trace:
    """The household again: each place once or twice, a few things that do not work, and the task is done."""
    trace = Trace(rng)
    for n in range(rng.randint(8, 25)):
        place = f"{choose(rng, ('shelf', 'cabinet', 'drawer'))} {n}"
        seen = f"On the {place}, you see {words(rng, 4)}." if rng.random() < 0.6 else f"The {place} is closed."
        trace.turn(Call("act", {"action": f"go to {place}"}, seen))
        if rng.random() < 0.4:
            done = choose(
                rng,
                ("Nothing happens.", f"You open the {place}. You see nothing.", f"You pick up the {words(rng, 1)}."),
            )
            trace.turn(Call("act", {"action": f"open {place}"}, done))
    return trace.end()


def digest(rng: random.Random) -> Trace:
    """Thirty channels, most of them without anything new."""
    trace = Trace(rng, tools(rng, read_channel="read"))
    for n in range(rng.randint(12, 40)):
        news = [] if rng.random() < 0.7 else [{"from": words(rng, 1), "text": words(rng, 12)}]
        trace.turn(Call("read_channel", {"channel": f"team-{n}"}, {"messages": news, "has_more": False}))
    return trace.end()


def renames(rng: random.Random) -> Trace:
    """A name in forty files: commands that print nothing, a count now and then."""
    trace, left = explore(Trace(rng), 2), rng.randint(20, 60)
    while left > 0:
        for _ in range(rng.randint(2, 5)):
            trace.turn(shell(f"sed -i 's/old_name/new_name/g' src/{words(rng, 2).replace(' ', '/')}_{left}.py", ""))
            left -= 1
        trace.turn(shell("grep -rl old_name src | wc -l", f"{max(left, 0)}"))
    return trace.turn(shell("pytest -q", "212 passed in 12.10s")).end()


def rebases(rng: random.Random) -> Trace:
    """Commit after commit with the same conflict in the same file; each is another commit."""
    trace = explore(Trace(rng), 1)
    for n in range(rng.randint(4, 14)):
        subject = words(rng, 4)
        conflict = (
            f"Auto-merging src/config.py\nCONFLICT (content): Merge conflict in src/config.py\n"
            f"error: could not apply {rng.getrandbits(28):07x}... {subject}\nhint: Resolve all conflicts manually"
        )
        trace.turn(shell("GIT_EDITOR=true git rebase --continue", conflict), text=thought(rng))
        trace.turn(
            shell(
                "git diff src/config.py", f"<<<<<<< HEAD\n{words(rng, 9)}\n=======\n{words(rng, 9)}\n>>>>>>> {subject}"
            )
        )
        trace.turn(Call("edit", {"path": "src/config.py", "text": words(rng, 9)}, "ok"))
        trace.turn(shell("git add src/config.py", ""))
        if n % 5 == 4:
            trace.turn(shell("pytest -q tests/test_config.py", f"8 passed in {rng.uniform(1, 2):.2f}s"))
    return trace.turn(
        shell("GIT_EDITOR=true git rebase --continue", "Successfully rebased and updated refs/heads/x.")
    ).end()


def compiles(rng: random.Random) -> Trace:
    """A compiler with thirty errors; each edit mends one or none; most of the output is what it was."""
    trace = explore(Trace(rng), 2)
    errors = [
        f"error[E0{rng.randint(100, 600)}]: {words(rng, 6)}\n  --> src/{words(rng, 1)}.rs:{rng.randint(1, 400)}:9"
        for _ in range(rng.randint(6, 24))
    ]
    while errors:
        shown = "\n\n".join([*errors, f"error: could not compile `app` due to {len(errors)} previous errors"])
        trace.turn(shell("cargo check 2>&1 | tail -120", shown, 9), text=thought(rng))
        for _ in range(rng.randint(1, 3)):
            trace.turn(
                Call(
                    "edit",
                    {"path": f"src/{words(rng, 1)}.rs", "old": words(rng, 7), "new": words(rng, 7)},
                    "The file has been edited.",
                )
            )
        if rng.random() < 0.75:
            errors.pop(rng.randrange(len(errors)))
    return trace.turn(shell("cargo check", "Finished dev profile in 8.1s")).end()


def labels_records(rng: random.Random) -> Trace:
    """A record, its label, and what is left; a hundred turns."""
    trace, left = Trace(rng, tools(rng, next_record="read", label="write")), rng.randint(15, 60)
    while left:
        left -= 1
        trace.turn(Call("next_record", {}, {"id": trace.uid(), "text": words(rng, 15)}))
        trace.turn(Call("label", {"label": choose(rng, ("spam", "ham"))}, {"ok": True, "remaining": left}))
    return trace.end()


def questions_and_passages(rng: random.Random) -> Trace:
    """A person asks one thing after the other; the same passages answer several."""
    trace = Trace(rng, tools(rng, retrieve="read"))
    chunks = [{"doc": f"faq-{n}", "text": words(rng, 30)} for n in range(10)]
    for _ in range(rng.randint(6, 20)):
        trace.person(f"{words(rng, 9)}?")
        for _ in range(rng.randint(1, 3)):
            trace.turn(Call("retrieve", {"query": words(rng, 4)}, rng.sample(chunks, 3)))
        trace.says(f"{words(rng, 30)}.")
    return trace.end()


def applies(rng: random.Random) -> Trace:
    """Infrastructure that is created: the tail of a log that says how long it takes, at each look some lines more."""
    trace, passed = explore(Trace(rng), 2), 0
    trace.turn(shell("nohup terraform apply -auto-approve > apply.log 2>&1 &", ""))
    for _ in range(rng.randint(4, 18)):
        passed += choose(rng, (10, 20, 30))
        shown = "\n".join(
            f"aws_db_instance.main: Still creating... [{at // 60}m{at % 60}s elapsed]"
            for at in range(max(10, passed - 40), passed + 1, 10)
        )
        trace.turn(shell("sleep 20; tail -5 apply.log", shown, 20))
    return trace.turn(shell("tail -5 apply.log", "Apply complete! Resources: 14 added.")).end()


def debugs(rng: random.Random) -> Trace:
    """A script with prints: edited, run, the same exception for some rounds, with other lines before it."""
    trace = explore(Trace(rng), 3)
    for _ in range(rng.randint(2, 6)):
        error = f"{choose(rng, ('KeyError', 'TypeError', 'ValueError'))}: {words(rng, 5)}"
        for _ in range(rng.randint(1, 6)):
            trace.turn(
                Call(
                    "str_replace",
                    {"path": "run.py", "old": words(rng, 5), "new": words(rng, 7)},
                    "The file /w/run.py has been edited.",
                )
            )
            prints = "\n".join(f"DEBUG {words(rng, 1)} = {words(rng, 2)}" for _ in range(rng.randint(0, 4)))
            trace.turn(shell("python run.py", f"{prints}\n{trace_back(rng, error)}"), text=thought(rng))
    return trace.turn(shell("python run.py", "ok")).end()


def quiz(rng: random.Random) -> Trace:
    """Questions of an examiner: right, wrong, the next one, to the end."""
    trace = Trace(rng)
    for n in range(rng.randint(8, 40)):
        question = f"Question {n + 2}: {words(rng, 10)}?"
        while rng.random() < 0.35:
            trace.turn(Call("answer", {"text": words(rng, 2)}, "Incorrect. Try again."))
        trace.turn(Call("answer", {"text": words(rng, 2)}, f"Correct. {question}"))
    return trace.end()


def prices(rng: random.Random) -> Trace:
    """A buyer compares forty offers; the pages are built alike, and only name and price differ."""
    trace = Trace(rng, tools(rng, fetch="read"))
    frame = [words(rng, 5) for _ in range(20)]
    for n in range(rng.randint(10, 40)):
        page = [*frame[:10], f"{words(rng, 3)} {rng.randint(1, 900)}.{rng.randint(10, 99)} EUR", *frame[10:]]
        trace.turn(
            Call("fetch", {"url": f"https://shop.test/p/{rng.randint(10**5, 10**6)}"}, "\n".join(page)),
            text=thought(rng),
        )
        if n % 9 == 8:
            trace.turn(Call("search", {"query": words(rng, 3)}, hits(rng, 4)))
    return trace.end()


DEGENERATE = (
    todo_oscillation, two_in_progress, enforced, sends_again, sequential_thinking, file_is_nowhere, not_unique,
    batches_of_five, guessed_schema, no_path, weather_25, wanders, same_shelves, never_good_enough,
)  # fmt: skip
HEALTHY = (
    household, digest, renames, rebases, compiles, labels_records, questions_and_passages, applies, debugs, quiz,
    prices,
)  # fmt: skip
