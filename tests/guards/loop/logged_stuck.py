"""Runs that go astray, of clerks, operators, players and several agents: the other half of ``logged_lost``."""

# What a tool prints stands in one line, as it does there, and a turn too: broken into arguments it could not be read.
# ruff: noqa: E501, I001
# fmt: off

from __future__ import annotations

import random

from tests.guards.loop.logged import Log, STEM, astray, coding, fact, ident, satz
from tests.guards.loop.trace import Call, Trace, choose


def asks_what_was_answered(rng: random.Random) -> Trace:
    """The user has chosen, and is asked again for the same choice, in other words."""
    log = Log(rng, {"ask_user": "write"})
    forms = ("Which database should I use?", "Before I start: which database do you prefer?", "Please choose the database for the project.", "Could you confirm which database engine I should use?", "To continue I need to know the database.")
    choice = choose(rng, ("PostgreSQL", "SQLite", "MariaDB"))
    for _ in range(rng.randint(20, 35)):
        log.turn(log.ok("ask_user", {"question": choose(rng, forms), "options": rng.sample(("PostgreSQL", "SQLite", "MariaDB"), 3)}, {"answer": choice, "question_id": log.trace.uid()}, secs=8), say="I need your decision.")
    return log.trace


def hot_potato(rng: random.Random) -> Trace:
    """The coordinator gives it to one, who says it is the other's; the other says it is the first one's."""
    log = Log(rng, {"delegate": "spawn"})
    log.turn(Call("delegate", {"agent": "researcher", "task": fact(rng)}, fact(rng, 3)))
    asks = ("Please approve the discount of the order {n}.", "Decide on the discount for order {n}.", "We need a decision: discount, order {n}.", "Kindly handle the discount question of order {n}.")
    backs = ("This is a matter for {o}; I cannot decide on discounts.", "Not in my remit. Please ask {o}.", "I have forwarded the thought: {o} must decide that.", "Discounts belong to {o}. Returning the task.")
    order = rng.randint(1000, 9999)
    for n in astray(rng):
        me, other = (("sales", "finance"), ("finance", "sales"))[n % 2]
        log.turn(Call("delegate", {"agent": me, "task": choose(rng, asks).format(n=order), "ref": log.trace.uid()}, choose(rng, backs).format(o=other)), say=f"I hand this over to {me}.")
    return log.trace


def sends_out_again(rng: random.Random) -> Trace:
    """The findings are there; it sends the same researchers out again, with the same tasks in other words."""
    log = Log(rng, {"task": "spawn"})
    topics = ("battery prices", "charging network", "subsidies")
    findings = {topic: fact(rng, 5) for topic in topics}
    forms = ("Research {t} in Norway.", "Find out about {t} (Norway).", "Investigate Norwegian {t} thoroughly.", "Collect data on {t} for Norway.")
    for _ in astray(rng):
        asked = rng.sample(topics, rng.randint(1, 3))
        log.turn(*(Call("task", {"agent": "researcher", "description": choose(rng, forms).format(t=topic)}, f"Report on {topic}: {findings[topic]}", seconds=30) for topic in asked), say="I start the research agents.")
    return log.trace


def submit_apologies(rng: random.Random) -> Trace:
    """It apologizes and submits, and the harness says once more what is missing."""
    log = coding(rng, rng.randint(5, 10))
    sorry = ("You're right, I apologize.", "I apologize for the confusion.", "Sorry about that!", "My apologies, you are correct.")
    then = ("Since all the necessary changes are made, I'll submit.", "Let me submit the final changes.", "I will now submit the solution.", "Submitting the changes now.")
    for _ in astray(rng):
        log.turn(log.bad("submit", {}, "Submission rejected: the file reproduce.py must be removed first, and the review checklist confirmed."), say=f"{choose(rng, sorry)} {choose(rng, then)}", always=True)
    return log.trace


def kuendigt_an(rng: random.Random) -> Trace:
    """In German: it announces the work in ever new words, and calls no tool."""
    log = Log(rng, {"lies_datei": "read"})
    log.turn(log.ok("lies_datei", {"pfad": "auftrag.md"}, satz(rng, 6)))
    parts = (("Gerne,", "Alles klar,", "Verstanden,", "In Ordnung,", "Natürlich,"), ("ich werde nun", "ich beginne jetzt damit,", "als Nächstes werde ich", "ich fange gleich an,"), ("die Auswertung zu erstellen.", "den Bericht zu schreiben.", "die Tabelle anzulegen.", "mit der Analyse zu beginnen."), ("Einen Moment bitte.", "Das dauert nicht lange.", "Ich melde mich gleich.", ""))
    for _ in astray(rng):
        log.trace.says(" ".join(choose(rng, part) for part in parts).strip())
    return log.trace


def moushiwake(rng: random.Random) -> Trace:
    """In Japanese: it is sorry and will check, and does nothing."""
    log = Log(rng)
    parts = (("申し訳ございません。", "大変失礼いたしました。", "ご迷惑をおかけしております。"), ("ただいま確認いたします。", "すぐに確認して再度ご連絡いたします。", "これから調査を開始いたします。", "改めて内容を確認いたします。"), ("少々お待ちください。", "今しばらくお待ちくださいませ。", "もう少しお時間をください。"))
    for _ in astray(rng):
        log.trace.says("".join(choose(rng, part) for part in parts))
    return log.trace


def pending_for_ever(rng: random.Random) -> Trace:
    """Hours of the same state: no worker has ever taken the job; only the clock moves."""
    log, job = Log(rng, {"get_job": "poll", "submit_job": "write"}), f"job-{rng.getrandbits(32):08x}"
    log.turn(log.ok("submit_job", {"name": choose(rng, STEM)}, {"job": job}))
    waited = 0
    for _ in range(rng.randint(60, 90)):
        waited += rng.randint(55, 75)
        log.turn(log.ok("get_job", {"job": job}, {"job": job, "state": "PENDING", "worker": None, "queue_position": 41, "waited_s": waited, "checked_at": log.trace.stamp()}), say=choose(rng, ("Still pending. I wait a little longer.", "Not started yet.", "It should start soon.")), think=60)
    return log.trace


def quota_spent(rng: random.Random) -> Trace:
    """The quota of the month is spent: longer waits do not help, and it says so itself each time."""
    log = Log(rng, {"generate_image": "write"})
    for _ in range(4):
        log.turn(log.ok("generate_image", {"prompt": fact(rng)}, {"url": f"https://img.example/{rng.getrandbits(60):x}.png"}))
    wait = 2
    for n in astray(rng):
        log.turn(log.bad("generate_image", {"prompt": fact(rng)}, f"429 insufficient_quota: You exceeded your current quota, please check your plan and billing details. (request req_{rng.getrandbits(64):x})"), say=f"Rate limited. Attempt {n + 1}; I wait {wait} seconds and try again.", think=wait)
        wait = min(wait * 2, 600)
    return log.trace


def ref_error_again(rng: random.Random) -> Trace:
    """The formula points to a sheet that is gone: three spellings in turn, and each reads as an error."""
    log = Log(rng, {"set_formula": "write", "get_cell": "read"})
    cell = f"F{rng.randint(2, 90)}"
    forms = ("=SUM(Plan2025!B2:B40)", "=SUM('Plan2025'!B2:B40)", '=SUMIF(Plan2025!B2:B40,">0")', '=SUM(INDIRECT("Plan2025!B2:B40"))')
    for n in astray(rng):
        log.turn(log.ok("set_formula", {"cell": cell, "formula": forms[n % len(forms)]}, {"updated": 1}), say="I correct the formula.")
        log.turn(log.ok("get_cell", {"cell": cell}, {"value": "#REF!", "cell": cell}), say=choose(rng, ("Still an error. Let me try again.", "#REF! again.", "That did not work.")))
    return log.trace


def verifies_the_total(rng: random.Random) -> Trace:
    """It has the number, and asks for it again in another spelling of the same query; the number is the same."""
    log = Log(rng, {"query": "read"})
    total = rng.randint(10**6, 10**8)
    for _ in range(3):
        log.turn(log.ok("query", {"sql": f"SELECT * FROM {choose(rng, STEM)}s LIMIT 3"}, [{"id": rng.randint(1, 10**6), "note": fact(rng)} for _ in range(3)]))
    for _ in astray(rng):
        alias = choose(rng, ("total", "sum_amount", "revenue", "s"))
        sql = choose(rng, (f"SELECT SUM(amount) AS {alias} FROM sales WHERE year = 2025", f"select sum(amount) as {alias} from sales where year=2025;", f"SELECT SUM(s.amount) {alias} FROM sales s WHERE s.year = 2025", f"SELECT SUM(amount) AS {alias} FROM sales WHERE date >= '2025-01-01' AND date < '2026-01-01'", f"WITH t AS (SELECT amount FROM sales WHERE year = 2025) SELECT SUM(amount) {alias} FROM t"))
        log.turn(log.ok("query", {"sql": sql}, [{alias: total}]), say=choose(rng, ("Let me verify the total once more.", f"The total is {total}. I double-check it.", "To be sure I run it in another way.")))
    return log.trace


def reminds_every_minute(rng: random.Random) -> Trace:
    """Nobody answers, and it sends the same reminder again, with another subject."""
    log, to = Log(rng, {"send_email": "write", "search_inbox": "read"}), f"{choose(rng, STEM)}@example.org"
    subjects = ("Reminder: signature needed", "Following up on the signature", "Gentle reminder: please sign", "Your signature is still missing", "Urgent: contract signature")
    bodies = ("Hi, just following up on the contract. Please sign it. Thank you!", "Hello, could you please sign the contract? Thanks.", "I wanted to check whether you could sign the contract.", "Please sign the contract at your earliest convenience.")
    for n in astray(rng):
        log.turn(log.ok("send_email", {"to": to, "subject": choose(rng, subjects), "body": choose(rng, bodies)}, {"id": log.trace.uid(), "status": "queued"}), say="I send a reminder.")
        if n % 2:
            log.turn(log.ok("search_inbox", {"from": to, "after": log.trace.stamp()}, []), say="Has there been an answer?")
    return log.trace


def memory_is_empty(rng: random.Random) -> Trace:
    """It looks in its memories for what was never stored, in both of them, in many words."""
    log = Log(rng, {"core_memory_search": "read", "archival_memory_search": "read"})
    what = (("user's", "the user's", "client", "customer's"), ("favourite airline", "preferred airline", "airline", "airline preference", "frequent flyer carrier"))
    for n in astray(rng):
        tool, none = (("core_memory_search", "(core memory is empty)"), ("archival_memory_search", "No results found."))[n % 2 if rng.random() < 0.8 else 0]
        log.turn(log.ok(tool, {"query": " ".join(choose(rng, part) for part in what), "page": 0}, none), say="I look into my memory.")
    return log.trace


def same_rooms(rng: random.Random) -> Trace:
    """A text adventure: round and round through the same rooms, with the same look and the same locked door."""
    log = Log(rng, {"do": "write"})
    rooms = [f"{ident(rng)} Hall\n{fact(rng, 2)}\nObvious exits: north, south." for _ in range(rng.randint(3, 4))]
    here = 0
    for n in range(rng.randint(45, 70)):
        if n % 7 == 6:
            log.turn(log.ok("do", {"command": choose(rng, ("open door", "unlock door", "push door"))}, choose(rng, ("The door is locked.", "It won't budge: the door is locked."))))
            continue
        here = (here + (1 if rng.random() < 0.7 else -1)) % len(rooms)
        log.turn(log.ok("do", {"command": choose(rng, ("north", "south"))}, f"{rooms[here]}\n[moves: {n + 12}, score: 10]"), say="I explore further.")
    return log.trace


def calendar_trap(rng: random.Random) -> Trace:
    """The crawler follows "next month" through years in which nothing can be: each page is empty."""
    log, host = Log(rng, {"fetch_page": "read"}), f"{choose(rng, STEM)}.example"
    for n in range(4):
        log.turn(log.ok("fetch_page", {"url": f"https://{host}/events/2026/{n + 1:02}"}, {"title": f"Events 2026-{n + 1:02}", "text": fact(rng, 4), "next": f"/events/2026/{n + 2:02}"}))
    year, month = 2027, 1
    for _ in range(rng.randint(40, 60)):
        month, year = (1, year + 1) if month == 12 else (month + 1, year)
        log.turn(log.ok("fetch_page", {"url": f"https://{host}/events/{year}/{month:02}"}, {"title": f"Events {year}-{month:02}", "text": "There are no events in this month.", "next": f"/events/{year}/{month + 1:02}"}), say="I follow the next link.")
    return log.trace


def polishes_for_ever(rng: random.Random) -> Trace:
    """The report is done; it writes the whole of it again with another word here and there, and reads it again."""
    log = Log(rng, {"write_file": "write", "read_file": "read"})
    body = [fact(rng) for _ in range(12)]
    for _ in astray(rng):
        at = rng.randrange(12)
        body[at] = choose(rng, ("Notably, ", "In addition, ", "Moreover, ", "Indeed, ", "")) + body[at].split(", ", 1)[-1]
        text = "# Report\n\n" + "\n".join(body)
        log.turn(log.ok("write_file", {"path": "report.md", "content": text}, f"Wrote {len(text)} bytes to report.md"), say=choose(rng, ("I improve the wording.", "A final polish.", "One more pass over the report.", "Let me refine it.")))
        if rng.random() < 0.5:
            log.turn(log.ok("read_file", {"path": "report.md"}, text), say="I re-read the report.")
    return log.trace


def task_handed_out_again(rng: random.Random) -> Trace:
    """The queue never hears that it is done, and hands out the same task; the agent does it again each time."""
    log = Log(rng, {"get_next_task": "read", "classify": "write", "complete": "write"})
    task, yes = {"id": rng.randint(1000, 9999), "text": fact(rng, 2)}, choose(rng, (True, "ok", {"accepted": True}))
    for _ in range(rng.randint(12, 20)):
        log.turn(log.ok("get_next_task", {}, {**task, "lease": log.trace.uid(), "leased_at": log.trace.stamp()}), say="Next task.")
        log.turn(log.ok("classify", {"text": task["text"]}, {"label": "logistics", "confidence": round(rng.uniform(0.8, 0.95), 3)}))
        log.turn(log.ok("complete", {"id": task["id"], "label": "logistics"}, yes))
    return log.trace


def plans_the_plan(rng: random.Random) -> Trace:
    """It thinks in numbered thoughts about how it will go about it, and never does."""
    log = Log(rng, {"sequentialthinking": "write"})
    parts = (("I should first understand the requirements", "Let me break the problem down", "The key is to plan carefully", "I need to structure the approach"), ("before writing any code.", "and then decide on the next step.", "so that nothing is missed.", "and think about the edge cases."), ("Then I can begin.", "After that I will implement it.", "Next I'll outline the steps.", "Let me think about this more."))
    for n in astray(rng):
        log.turn(log.ok("sequentialthinking", {"thought": " ".join(choose(rng, part) for part in parts), "thoughtNumber": n + 1, "totalThoughts": n + 5, "nextThoughtNeeded": True}, {"thoughtNumber": n + 1, "totalThoughts": n + 5, "nextThoughtNeeded": True, "branches": [], "thoughtHistoryLength": n + 1}))
    return log.trace


def policy_refusal(rng: random.Random) -> Trace:
    """The gateway refuses the payment for one reason, said in many ways; it tries with other amounts and notes."""
    log = Log(rng, {"create_payout": "write"})
    why = ("Payout rejected: the beneficiary's account is blocked.", "Declined. Beneficiary account blocked by compliance.", "The receiving account is blocked; the payout cannot be executed.", "Error PX-12: blocked beneficiary.")
    for _ in astray(rng):
        log.turn(log.bad("create_payout", {"iban": "DE00 0000 0000", "amount": round(rng.uniform(100, 120), 2), "note": choose(rng, ("refund", "refund order", "Refund", "credit")), "idempotency_key": log.trace.uid()}, choose(rng, why)), say=choose(rng, ("I try again with another amount.", "Let me retry the payout.", "Perhaps the note was the problem.")))
    return log.trace


def pages_start_over(rng: random.Random) -> Trace:
    """The cursor expires after three pages, and it begins again at the first: the same three pages for ever."""
    log = Log(rng, {"list_contacts": "read"})
    pages = [[{"id": rng.randint(1, 10**6), "name": ident(rng), "about": fact(rng)} for _ in range(4)] for _ in range(3)]
    for _ in range(rng.randint(9, 14)):
        cursor = ""
        for rows in pages:
            after, cursor = cursor, f"{rng.getrandbits(60):x}"
            log.turn(log.ok("list_contacts", {"cursor": after} if after else {}, {"contacts": rows, "next": cursor}), say="I list all contacts from the start." if not after else "Next page.")
        log.turn(log.bad("list_contacts", {"cursor": cursor}, "410 Gone: cursor expired"), say="The cursor has expired; I start over.")
    return log.trace


STUCK = (
    asks_what_was_answered, hot_potato, sends_out_again, submit_apologies, kuendigt_an, moushiwake, pending_for_ever, quota_spent,
    ref_error_again, verifies_the_total, reminds_every_minute, memory_is_empty, same_rooms, calendar_trap, polishes_for_ever,
    task_handed_out_again, plans_the_plan, policy_refusal, pages_start_over,
)
