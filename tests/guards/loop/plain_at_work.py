"""Runs that succeed, of operators, support, browsers and several agents: the other half of ``plain_on_track``."""

# What a tool prints stands in one line, as it does there, and a turn too: broken into arguments it could not be read.
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

import random

from tests.guards.loop.plain_scenes import BROWSER, NOUN, Desk, coder, found, named, path, prose, screen, source
from tests.guards.loop.trace import Call, Trace, choose


def watches_a_pipeline(rng: random.Random) -> Trace:
    """Unchanged for minutes, then the next stage, and green in the end."""
    desk, run = Desk(rng, get_pipeline="poll").explore(1), rng.randint(10**8, 10**9)
    for stage in ("queued", "build", "unit tests", "integration tests", "publish"):
        for _ in range(rng.randint(2, 6)):
            desk.step(desk.ok("get_pipeline", {"run_id": run}, {"id": run, "status": "in_progress", "stage": stage, "elapsed_s": int((desk.trace.at - desk.trace.seen[0].at).total_seconds()), "etag": desk.trace.uid()}), say="Still running.", think=45)
    return desk.step(desk.ok("get_pipeline", {"run_id": run}, {"id": run, "status": "success", "stage": "done"})).done()


def watches_a_rollout(rng: random.Random) -> Trace:
    """Two of ten, three of ten."""
    desk, app, total = Desk(rng, bash="write"), choose(rng, NOUN), rng.randint(8, 16)
    desk.step(desk.bash(f"kubectl set image deployment/{app} app={app}:3.{rng.randint(1, 9)}", f"deployment.apps/{app} image updated"))
    for ready in range(total + 1):
        for _ in range(rng.randint(1, 2)):
            desk.step(desk.bash(f"kubectl rollout status deployment/{app} --timeout=20s", f'Waiting for deployment "{app}" rollout to finish: {ready} of {total} updated replicas are available...', seconds=20))
    return desk.step(desk.bash(f"kubectl rollout status deployment/{app}", f'deployment "{app}" successfully rolled out')).done()


def soaks_a_canary(rng: random.Random) -> Trace:
    """Half an hour of a look each minute, as it was told; all is well all the time."""
    desk = Desk(rng, get_metrics="poll", promote="write")
    for minute in range(rng.randint(20, 32)):
        desk.step(desk.ok("get_metrics", {"service": "canary", "window": "1m"}, {"error_rate": round(rng.uniform(0.0001, 0.002), 5), "p99_ms": round(rng.uniform(80, 120), 1), "requests": rng.randint(900, 1300)}), say=f"Minute {minute + 1} of the soak: within limits.", think=57)
    return desk.step(desk.ok("promote", {"service": "canary", "to": "100%"}, {"state": "promoted"})).done()


def backs_off(rng: random.Random) -> Trace:
    """A few failures, longer and longer waits, then it goes on."""
    desk, name = Desk(rng, fetch="read").asks(2), named(rng)
    for n in range(rng.randint(3, 6)):
        desk.step(desk.fails("fetch", {"url": f"https://api.example/v1/{name}"}, f"503 Service Unavailable (attempt {n + 1}, request {desk.trace.uid()})"), say=f"Unavailable. I try again in {2**n * 5} seconds.", think=5 * 2**n)
    desk.step(desk.ok("fetch", {"url": f"https://api.example/v1/{name}"}, {"body": prose(rng, 5)}))
    return desk.asks(rng.randint(2, 6)).done()


def throttled_batch(rng: random.Random) -> Trace:
    """One item in three is refused once or twice before it goes through."""
    desk = Desk(rng, enrich="write")
    for n in range(rng.randint(12, 22)):
        item = f"{named(rng)}-{n}"
        for _ in range(choose(rng, (0, 0, 1, 2))):
            desk.step(desk.fails("enrich", {"company": item}, f"429 Too Many Requests: retry after {rng.randint(2, 9)}s"), think=8)
        desk.step(desk.ok("enrich", {"company": item}, {"company": item, "about": prose(rng), "employees": rng.randint(2, 9000)}))
    return desk.done()


def incident(rng: random.Random) -> Trace:
    """Pods, logs, metrics, a correction, and looks until all is well."""
    desk, app = Desk(rng, bash="write"), choose(rng, NOUN)
    for _ in range(rng.randint(3, 7)):
        pod = f"{app}-{rng.getrandbits(36):09x}-{rng.getrandbits(20):05x}"
        desk.step(desk.bash("kubectl get pods -A | grep -v Running", f"{pod} 0/1 CrashLoopBackOff {rng.randint(3, 30)}"))
        desk.step(desk.bash(f"kubectl logs {pod} --tail=20", f"{desk.trace.stamp()} ERROR {prose(rng)}\n{desk.trace.stamp()} {prose(rng)}"))
        desk.step(desk.bash(f"kubectl describe pod {pod}", f"Events: {prose(rng, 2)}"))
    desk.step(desk.bash(f"kubectl set env deployment/{app} {choose(rng, NOUN).upper()}_URL=db:5432", f"deployment.apps/{app} env updated"))
    for n in range(4):
        desk.step(desk.bash("kubectl get pods -A | grep -v Running", f"{app}-{rng.getrandbits(36):09x} 0/1 ContainerCreating 0" if n < 3 else ""), think=15)
    return desk.done()


def customer_talks(rng: random.Random) -> Trace:
    """A long conversation with a person, some of it about the same order."""
    desk, order = Desk(rng, get_order="read", add_note="write"), rng.randint(10000, 99999)
    facts = {"id": order, "state": "shipped", "items": [named(rng) for _ in range(3)]}
    for _ in range(rng.randint(6, 14)):
        desk.trace.person(prose(rng))
        if rng.random() < 0.5:
            desk.step(desk.ok("get_order", {"id": order}, facts))
        desk.trace.says(f"{choose(rng, ('I am sorry to hear that.', 'Of course.', 'Thank you for your patience.'))} {prose(rng)} Is there anything else I can help you with?")
    return desk.done()


def refunds(rng: random.Random) -> Trace:
    """Look up, refund, note: for each order of a list."""
    desk = Desk(rng, get_order="read", refund="write", add_note="write")
    for order in sorted(rng.sample(range(10000, 99999), rng.randint(8, 16))):
        desk.step(desk.ok("get_order", {"id": order}, {"id": order, "state": "delivered", "cents": rng.randint(500, 9000)}))
        desk.step(desk.ok("refund", {"order": order, "reason": "recall"}, {"status": "succeeded"}))
        desk.step(desk.ok("add_note", {"order": order, "text": "Refunded because of the recall."}, {"status": "ok"}))
    return desk.done()


def inbox(rng: random.Random) -> Trace:
    """Read and archive, read and label."""
    desk = Desk(rng, read_mail="read", archive="write", label="write")
    for _ in range(rng.randint(10, 22)):
        mail = f"{rng.getrandbits(64):016x}"
        desk.step(desk.ok("read_mail", {"id": mail}, {"id": mail, "from": f"{named(rng)}@example.test", "body": prose(rng, 3)}))
        desk.step(desk.ok(*choose(rng, (("archive", {"id": mail}), ("label", {"id": mail, "label": choose(rng, NOUN)}))), {"status": "ok"}), say="")
    return desk.done()


def next_ticket(rng: random.Random) -> Trace:
    """The same call brings the next piece of work, until there is none."""
    desk = Desk(rng, next_ticket="write", close_ticket="write")
    for _ in range(rng.randint(10, 20)):
        ticket = rng.randint(1000, 9999)
        desk.step(desk.ok("next_ticket", {}, {"id": ticket, "text": prose(rng, 2)}))
        desk.step(desk.ok("close_ticket", {"id": ticket, "answer": prose(rng)}, {"closed": True}))
    return desk.step(desk.ok("next_ticket", {}, {"id": None})).done()


def calendar_months(rng: random.Random) -> Trace:
    """The same button until the month is right."""
    desk, months = Desk(rng, **BROWSER), ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
    for n in range(rng.randint(9, 18)):
        page = [f"text '{months[n % 12]} {2026 + n // 12}'", "button 'Previous month'", "button 'Next month'", *(f"gridcell '{day}'" for day in range(1, 29))]
        desk.step(desk.ok("click", {"label": "Next month"}, screen(rng, "https://stay.example/book", "Choose your dates", page)), say="Not there yet, next month.")
    return desk.step(desk.ok("click", {"label": "14"}, screen(rng, "https://stay.example/book", "Your stay", [prose(rng)]))).done()


def adds_to_the_cart(rng: random.Random) -> Trace:
    """Twelve times plus: only the quantity and the sum move."""
    desk, price = Desk(rng, **BROWSER), rng.randint(2, 40)
    for n in range(1, rng.randint(8, 13)):
        desk.step(desk.ok("click", {"label": "+"}, screen(rng, "https://shop.example/cart", "Cart", ["button '-'", f"text 'Quantity: {n}'", "button '+'", f"text 'Total: {n * price}.00'"])), say="One more.")
    return desk.step(desk.ok("click", {"label": "Checkout"}, screen(rng, "https://shop.example/pay", "Payment", [prose(rng)]))).done()


def form_in_steps(rng: random.Random) -> Trace:
    """Field after field; most of the page stays."""
    desk, labels = Desk(rng, **BROWSER), [f"{choose(rng, NOUN)} {n}" for n in range(rng.randint(12, 22))]
    values: dict[str, str] = {}
    for n, label in enumerate(labels):
        values[label] = prose(rng)[:20]
        desk.step(desk.ok("type", {"index": n, "text": values[label]}, screen(rng, "https://gov.example/form", f"Application, page {n // 6 + 1}", [f"input '{each}' value='{values.get(each, '')}'" for each in labels])))
    return desk.step(desk.ok("click", {"label": "Submit"}, screen(rng, "https://gov.example/form", "Thank you", [prose(rng)]))).done()


def endless_list(rng: random.Random) -> Trace:
    """The same scroll, and new rows each time."""
    desk = Desk(rng, **BROWSER)
    for _ in range(rng.randint(10, 20)):
        desk.step(desk.ok("scroll", {"direction": "down", "pixels": 800}, screen(rng, "https://news.example", "Latest", [f"link '{prose(rng)}'" for _ in range(8)])), say="I scroll on.")
    return desk.done()


def overlapping_hits(rng: random.Random) -> Trace:
    """Half of the hits it has seen; it opens what is new, and takes notes."""
    desk, known = Desk(rng, search="read", open_page="read", take_note="write"), found(rng, 6)
    for _ in range(rng.randint(6, 12)):
        new = found(rng, rng.randint(1, 3))
        desk.step(desk.ok("search", {"query": f"{choose(rng, NOUN)} limits {choose(rng, NOUN)}"}, {"results": rng.sample(known, 4) + new}))
        desk.step(desk.ok("open_page", {"url": new[0]["url"]}, {"text": prose(rng, 8)}))
        if rng.random() < 0.5:
            desk.step(desk.ok("take_note", {"text": prose(rng)}, "ok"))
    return desk.done()


def fan_out(rng: random.Random) -> Trace:
    """A planner with a child for each part, some at once, and one that had to be asked again."""
    desk = Desk(rng)
    desk.trace = Trace(rng, {"ask_agent": "spawn"})
    for part in range(1, rng.randint(6, 12)):
        task = f"Review part {part}: {prose(rng)} Follow the usual rules and answer in five lines."
        calls = [Call("ask_agent", {"agent": "reviewer", "task": task}, prose(rng, 3), seconds=40) for _ in range(choose(rng, (1, 1, 2)))]
        if rng.random() < 0.2:
            desk.step(Call("ask_agent", {"agent": "reviewer", "task": task}, problem="deadline: the child took too long", seconds=60))
        desk.step(*calls)
    return desk.done()


def review_rounds(rng: random.Random) -> Trace:
    """Coder and reviewer in turn, and each round has another point."""
    desk = Desk(rng)
    desk.trace = Trace(rng, {"ask_agent": "spawn"})
    for _ in range(rng.randint(3, 6)):
        point = prose(rng, 2)
        desk.step(Call("ask_agent", {"agent": "coder", "task": f"Please correct this: {point}"}, f"Done. {prose(rng)}", seconds=60))
        desk.step(Call("ask_agent", {"agent": "reviewer", "task": "Review the latest change on the branch."}, f"Not yet. {prose(rng, 2)}", seconds=40))
    return desk.step(Call("ask_agent", {"agent": "reviewer", "task": "Review the latest change on the branch."}, "Approved.")).done()


def waits_for_workers(rng: random.Random) -> Trace:
    """The board says that three are at work, for some minutes, and then one after the other is ready."""
    desk, names = Desk(rng, task_list="poll"), [named(rng) for _ in range(rng.randint(3, 5))]
    for ready in range(len(names) + 1):
        for _ in range(rng.randint(2, 5)):
            desk.step(desk.ok("task_list", {}, {"tasks": [{"name": name, "state": "completed" if n < ready else "in_progress"} for n, name in enumerate(names)]}), say="I wait for the others.", think=30)
    return desk.done()


def report_in_parts(rng: random.Random) -> Trace:
    """The harness says "continue", and it writes the next chapter."""
    desk = Desk(rng, search="read").asks(3)
    for part in range(1, rng.randint(5, 9)):
        desk.trace.says(f"## Chapter {part}\n\n{prose(rng, rng.randint(12, 25))}")
    return desk.done()


def tables_and_fixtures(rng: random.Random) -> Trace:
    """Long answers and files whose lines look alike, as tables do."""
    desk = coder(rng)
    for n in range(rng.randint(2, 5)):
        rows = "\n".join(f"| {named(rng)} | yes | no | yes | {rng.randint(1, 9)} |" for _ in range(rng.randint(40, 90)))
        desk.step(desk.ok("write_file", {"path": f"docs/matrix_{n}.md", "content": f"| name | a | b | c | n |\n|---|---|---|---|---|\n{rows}"}, "File written."), say=f"The matrix:\n{rows}")
    return desk.done("| ok | yes |\n" * 40)


def approval_waited(rng: random.Random) -> Trace:
    """It asks a person, says that it waits, and goes on when the answer is there."""
    desk = coder(rng)
    for _ in range(rng.randint(3, 6)):
        desk.step(desk.edit(path(rng), source(rng, 1)[0], source(rng, 1)[0]))
        desk.trace.says(f"May I apply this to production? {prose(rng)}")
        if rng.random() < 0.5:
            desk.trace.says("I am waiting for your approval.")
        desk.trace.person(choose(rng, ("yes", "Yes, go on.", "ok", "approved")))
    return desk.done()


def quiz(rng: random.Random) -> Trace:
    """Question after question; the board says "recorded"."""
    desk = Desk(rng, submit_answer="write", next_question="read")
    for n in range(1, rng.randint(15, 30)):
        desk.step(desk.ok("next_question", {}, {"n": n, "question": prose(rng), "options": ["A", "B", "C", "D"]}))
        desk.step(desk.ok("submit_answer", {"n": n, "answer": choose(rng, "ABCD")}, "Recorded."))
    return desk.done()


AT_WORK = (
    watches_a_pipeline, watches_a_rollout, soaks_a_canary, backs_off, throttled_batch, incident, customer_talks,
    refunds, inbox, next_ticket, calendar_months, adds_to_the_cart, form_in_steps, endless_list, overlapping_hits,
    fan_out, review_rounds, waits_for_workers, report_in_parts, tables_and_fixtures, approval_waited, quiz,
)
