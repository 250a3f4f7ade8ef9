"""Labelled families of runs that go astray, of coding, browsing and searching agents. Written without a look at the guard."""

# What a tool prints stands in one line, as it does there, and a turn too: broken into arguments it could not be read.
# ruff: noqa: E501, I001
# fmt: off

from __future__ import annotations

import random

from tests.guards.loop.logged import Log, astray, code, coding, dom, edit, fact, file, ident, jest, sh, view, STEM
from tests.guards.loop.logged_stuck import STUCK
from tests.guards.loop.trace import Trace, choose


def diagnostic_again(rng: random.Random) -> Trace:
    """Each turn has another reason for the very same command, whose output is always the same: nothing is done with it."""
    log = coding(rng, rng.randint(4, 12))
    command, out = f"npx ajv validate -s schema/{choose(rng, STEM)}.json -d data/sample.json", f"data/sample.json invalid\n[ {{ instancePath: '/{choose(rng, STEM)}', message: 'must be object' }} ]"
    for _ in range(rng.randint(20, 50)):
        log.turn(sh(log, command, out, failed=True), say=f"{choose(rng, ('Let me try a different approach.', 'Actually, wait.', 'Perhaps the order matters.', 'I should double-check.'))} {choose(rng, ('I validate the sample against the schema.', 'First I run the validator to see the exact state.', 'Running ajv should tell.', 'Validate once more.'))}", always=True)
    return log.trace


def near_miss_edits(rng: random.Random) -> Trace:
    """It retypes the old text from memory, each time a little differently, and looks at the same lines between."""
    log, name = coding(rng, rng.randint(3, 8)), file(rng)
    lines, wanted = code(rng, 60), code(rng, 4)
    for n in astray(rng):
        old = "\n".join(" " * rng.randint(0, 4) + line for line in wanted[rng.randint(0, 1):rng.randint(2, 4)])
        log.turn(log.bad("str_replace_editor", {"command": "str_replace", "path": name, "old_str": old, "new_str": code(rng, 1)[0]}, f"ERROR:\nNo replacement was performed, old_str `{old}` did not appear verbatim in {name}."), say=choose(rng, ("The whitespace must be off. Let me try again.", "I apologize, I will use the exact text.", "Let me fix the edit.")))
        if n % 3 == 1:
            first = choose(rng, (1, 5, 10, 20))
            log.turn(view(log, name, lines[first - 1:first + rng.randint(18, 39)], first), say="Let me view the exact lines again.")
    return log.trace


def compaction_treadmill(rng: random.Random) -> Trace:
    """The context is compacted after every few files, and it reads the same files anew, in other order and other windows; it never writes."""
    log = coding(rng, 2)
    files = {file(rng): code(rng, rng.randint(60, 120)) for _ in range(rng.randint(5, 7))}
    for _ in range(rng.randint(5, 8)):
        log.trace.says(choose(rng, ("I need to understand the project before I write the analysis. I will read the sources.", "To write the analysis I first read all the source files.", "Let me go through the files to get the whole picture.")))
        names = list(files)
        rng.shuffle(names)
        for name in names:
            first = rng.randint(1, 12)
            log.turn(view(log, name, files[name][first - 1:first + rng.randint(40, 100)], first), say=f"Reading {name}.")
    return log.trace


def flip_flop_fix(rng: random.Random) -> Trace:
    """Adds the check: one test fails. Removes it: another one does. And so on, forever."""
    log, name = coding(rng, rng.randint(4, 9)), file(rng)
    with_it, without = "\n".join(code(rng, 3)), code(rng, 1)[0]
    for n in astray(rng):
        one, other = ((with_it, without), (without, with_it))[n % 2]
        log.turn(edit(log, name, one, other), say=choose(rng, (f"That broke another test. I {('remove', 'restore')[n % 2]} the check.", "Ah, I see the problem now.", "The earlier version was right after all.")))
        failing = (("rejects an empty cart", "Expected: 3\nReceived: 0"), ("keeps guests", "TypeError: Cannot read properties of undefined (reading 'id')"))[n % 2]
        log.turn(sh(log, "npx jest test/all.test.ts", jest(rng, [failing], 41), failed=True, secs=9), say="Run the tests.")
    return log.trace


def banner_returns(rng: random.Random) -> Trace:
    """The consent dialogue reloads the page, and there it is again; the indices and the advertisements are new."""
    log, url = Log(rng, {"click_element": "write", "go_to_url": "write", "wait": "write"}), f"https://www.{choose(rng, STEM)}.example/"
    log.turn(log.ok("go_to_url", {"url": url}, dom(rng, url, ["div consent 'We value your privacy'", "button 'Accept all'", "button 'Settings'"])))
    for n in astray(rng):
        at = rng.randint(3, 80)
        page = dom(rng, url, ["div consent 'We value your privacy'", "button 'Accept all'", "button 'Settings'", "a 'Cars'", "a 'Boats'", f"iframe ad {rng.getrandbits(24):x}"], first=at)
        tool, arguments, did = ("wait", {"seconds": 3}, "Waited for 3 seconds") if n % 5 == 4 else ("click_element", {"index": at + 1}, f"Clicked button with index {at + 1}: Accept all")
        log.turn(log.ok(tool, arguments, f"{did}\n{page}"), say=choose(rng, ("I accept the cookies to go on.", "The cookie dialogue is still there; I click Accept all.", "The page has reloaded. I close the consent banner first.")))
    return log.trace


def menu_toggles(rng: random.Random) -> Trace:
    """A click opens the list, the next one closes it; the agent says that the page has not changed."""
    log, url = Log(rng, {"click": "write", "get_page": "read"}), f"https://register.{choose(rng, STEM)}.example/search"
    names, at = [ident(rng) for _ in range(6)], rng.randint(20, 60)
    for n in astray(rng):
        entries = [f"a '{name}'" for name in names] if n % 2 == 0 else []
        log.turn(log.ok("click", {"index": at + 1, "text": "Filings"}, dom(rng, url, ["input search", "a 'Filings'", *entries, "a 'Help'"], first=at)), say=choose(rng, ("Element was not clickable. I click on Filings.", "The list did not open; trying again.", "Click the Filings entry to expand it.")))
        if n % 4 == 3:
            log.turn(log.ok("get_page", {}, dom(rng, url, ["input search", "a 'Filings'", "a 'Help'"], first=at)), say="Let me look at the page.")
    return log.trace


def synonyms_find_nothing(rng: random.Random) -> Trace:
    """The wiki does not have it: thirty wordings of one question, and not a hit."""
    log, none = Log(rng, {"search_wiki": "read"}), choose(rng, ([], {"results": [], "total": 0}))
    log.turn(log.ok("search_wiki", {"q": "onboarding"}, [{"title": fact(rng), "id": n} for n in range(3)]))
    parts = (("parental leave", "paternity leave", "maternity policy", "family leave", "baby leave"), ("contractor", "freelancer", "external staff", "temp worker", "self-employed"), ("policy", "rules", "entitlement", "form", "guideline", "", "2026"))
    for _ in astray(rng):
        log.turn(log.ok("search_wiki", {"q": " ".join(choose(rng, part) for part in parts).strip(), "limit": choose(rng, (5, 10, 20))}, none), say=choose(rng, ("No results. Let me try other words.", "I broaden the search.", "Maybe it is called differently.")))
    return log.trace


def rag_same_chunks(rng: random.Random) -> Trace:
    """However it asks, the store gives the same three passages, with other scores and in other order."""
    log = Log(rng, {"retrieve": "read"})
    chunks = [{"doc": f"{choose(rng, STEM)}.pdf", "page": rng.randint(1, 90), "text": fact(rng, 3)} for _ in range(4)]
    topic = (("What is", "How high is", "Find", "State", "Determine", "Look up"), ("the liability cap", "the maximum liability", "the limit of damages", "the cap on compensation"), ("in the master agreement", "of the supplier", "for gross negligence", "per year", "in the annex"))
    for _ in astray(rng):
        rng.shuffle(chunks)
        log.turn(log.ok("retrieve", {"query": " ".join(choose(rng, part) for part in topic), "top_k": 3}, [{**chunk, "score": round(rng.uniform(0.6, 0.8), 4)} for chunk in chunks[:3]]), say=choose(rng, ("These passages do not answer it. I rephrase.", "Not there yet, another query.", "Let me search more precisely.")))
    return log.trace


def no_matching_distribution(rng: random.Random) -> Trace:
    """The package is not there, and it guesses name after name of it."""
    log = coding(rng, 3)
    for _ in astray(rng):
        name = f"{choose(rng, ('acme', 'acme-internal', 'py-acme', 'acmelib', 'acme_core', 'libacme'))}{choose(rng, ('-', '_', '.'))}{choose(rng, ('telemetry', 'telem', 'metrics', 'client', 'sdk', 'utils'))}{choose(rng, ('', '', '-py', '3', '-lib'))}"
        log.turn(sh(log, f"pip install {name}", f"ERROR: Could not find a version that satisfies the requirement {name} (from versions: none)\nERROR: No matching distribution found for {name}", failed=True), say=choose(rng, ("Perhaps it is published under another name.", "Let me try again with another name.", "")))
    return log.trace


def denied_in_every_way(rng: random.Random) -> Trace:
    """It may not write there: sudo, chmod, another path, python; the system says no in many words."""
    log = coding(rng, rng.randint(2, 6))
    target = f"/etc/{choose(rng, STEM)}/{choose(rng, STEM)}.conf"
    ways = (
        (f"echo 'limit=4' >> {target}", f"bash: {target}: Permission denied"), (f"sudo tee -a {target} <<< limit=4", "sudo: a password is required"), (f"chmod u+w {target}", f"chmod: changing permissions of '{target}': Operation not permitted"),
        (f"cp /tmp/new.conf {target}", f"cp: cannot create regular file '{target}': Permission denied"), (f"python3 -c \"open('{target}','a').write('limit=4')\"", f"PermissionError: [Errno 13] Permission denied: '{target}'"), ("su -c whoami", "su: Authentication failure"), (f"ls -la {target}", f"-rw-r--r-- 1 root root 812 Mar  3 11:02 {target}"),
    )
    for _ in astray(rng):
        command, out = choose(rng, ways)
        log.turn(sh(log, command, out, failed=not command.startswith("ls")), say=choose(rng, ("Permission denied. Let me try another way.", "I need elevated rights for this.", "Let me check the rights and try again.")))
    return log.trace


def timers_after_the_end(rng: random.Random) -> Trace:
    """The review is delivered; each timer that ends wakes it, and it starts another one."""
    log = coding(rng, rng.randint(3, 8))
    log.trace.says(f"The review is complete. {fact(rng, 4)}")
    for n in astray(rng):
        if n % 3 == 2:
            log.trace.says(choose(rng, ("Background timer only. Review complete; deliverable unchanged.", "Only a timer. Nothing new: the review above stands.", "That was my timer. The deliverable has not changed.")))
        else:
            log.turn(sh(log, f"sleep {rng.randint(150, 550)}; echo ok", f"Command running in background with ID: bash_{n + 3}"), say="I wait for the remaining agents.", think=200)
    return log.trace


def rearranges_todos(rng: random.Random) -> Trace:
    """The list is written and written again, in other words and another order; none of it is done."""
    log = Log(rng, {"todo_write": "write", "read_file": "read"})
    log.turn(log.ok("read_file", {"path": file(rng)}, "\n".join(code(rng, 30))))
    steps = (("Analyze the parser", "Understand how the parser works", "Review parser code"), ("Add the new token", "Implement the token", "Introduce the new token type"), ("Write tests", "Add unit tests for the token", "Cover it with tests"), ("Update the docs", "Document the token", "Adjust documentation"))
    for _ in astray(rng):
        order = list(steps)
        rng.shuffle(order)
        todos = [{"id": str(n + 1), "content": choose(rng, forms), "status": "in_progress" if n == 0 else "pending", "priority": choose(rng, ("high", "medium"))} for n, forms in enumerate(order)]
        log.turn(log.ok("todo_write", {"todos": todos}, "Todos have been modified successfully. Ensure that you continue to use the todo list to track your progress. Please proceed with the current tasks if applicable"), say=choose(rng, ("Let me update the plan.", "I'll reorganize the todo list.", "First, a better plan.")))
    return log.trace


def notes_not_work(rng: random.Random) -> Trace:
    """It appends to its own notes that it will go on, and reads the notes: they grow, the work does not."""
    log, notes = coding(rng, 2), []
    for n in astray(rng):
        notes.append(choose(rng, ("- Status: analysis in progress.", "- Next: continue the analysis.", "- Will proceed with the implementation.", "- Progress noted. Continue.", "- Reminder: keep going with the task.")))
        log.turn(sh(log, f"echo '{notes[-1]}' >> NOTES.md"), say="I note my progress.")
        if n % 2:
            log.turn(sh(log, "cat NOTES.md", "# Notes\n" + "\n".join(notes)), say="Let me check my notes.")
    return log.trace


def push_rejected_round(rng: random.Random) -> Trace:
    """Push, rejected; pull, conflict; abort, amend, push: the hashes change, the round does not."""
    log, branch = coding(rng, rng.randint(3, 9)), f"fix/{choose(rng, STEM)}"
    name, title = file(rng), f"Limit the {choose(rng, STEM)}"
    for _ in range(rng.randint(7, 12)):
        commit = f"{rng.getrandbits(28):07x}"
        log.turn(sh(log, f"git push origin {branch}", f" ! [rejected]        {branch} -> {branch} (non-fast-forward)\nerror: failed to push some refs\nhint: Updates were rejected because the tip of your current branch is behind", failed=True), say="Now I push.")
        log.turn(sh(log, f"git pull --rebase origin {branch}", f"Auto-merging {name}\nCONFLICT (content): Merge conflict in {name}\nerror: could not apply {commit}... {title}", failed=True), say="I need the remote changes first.")
        log.turn(sh(log, "git rebase --abort", ""), say="There is a conflict; I abort the rebase.")
        log.turn(sh(log, "git commit --amend --no-edit", f"[{branch} {rng.getrandbits(28):07x}] {title}\n Date: Mon Nov 2 11:20:41 2026 +0000\n 1 file changed, 3 insertions(+)"), say="I amend the commit and try to push again.")
    return log.trace


def restarts_the_server(rng: random.Random) -> Trace:
    """The server dies at once for a wrong setting; it starts it again and again and reads 10 kB of the same log."""
    log, port = coding(rng, 3), rng.randint(3000, 9000)
    modules = [f"{choose(rng, ('loading module', 'registered', 'bound handler', 'warming cache of'))} {ident(rng)}" for _ in range(60)]
    for n in astray(rng):
        if n % 2 == 0:
            log.turn(sh(log, f"PORT={port} nohup npm start > /tmp/server.log 2>&1 & echo $!", str(rng.randint(2000, 99000))), say=choose(rng, ("Start the server again.", "Let me restart it.", "Maybe it needs a fresh start.")))
        else:
            log.turn(sh(log, "cat /tmp/server.log", "\n".join(f"{log.trace.stamp()} INFO [main] trace={rng.getrandbits(48):012x} {each} in {rng.randint(1, 90)} ms" for each in modules) + f"\n{log.trace.stamp()} FATAL DATABASE_URL is not set: exiting (pid {rng.randint(2000, 99000)})"), say="The server is not up. I look at the log.")
    return log.trace


LOST = (
    diagnostic_again, near_miss_edits, compaction_treadmill, flip_flop_fix, banner_returns, menu_toggles, synonyms_find_nothing,
    rag_same_chunks, no_matching_distribution, denied_in_every_way, timers_after_the_end, rearranges_todos, notes_not_work,
    push_rejected_round, restarts_the_server,
)
DEGENERATE = (*LOST, *STUCK)
