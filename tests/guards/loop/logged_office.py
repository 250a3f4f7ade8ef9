"""Runs that succeed, of analysts, clerks and importers, some in other languages: a third of ``logged_coding``'s families."""

# What a tool prints stands in one line, as it does there, and a turn too: broken into arguments it could not be read.
# ruff: noqa: E501, I001, RUF001
# fmt: off

from __future__ import annotations

import random

from tests.guards.loop.logged import JA_WHAT, Log, STEM, bun, fact, frase, ident, satz
from tests.guards.loop.trace import Trace, choose


def backfills_partitions(rng: random.Random) -> Trace:
    """A hundred days and more, each with the same terse word."""
    log, word = Log(rng, {"run_partition": "write"}, wraps="bare"), choose(rng, ("ok", "", None, True, "SUCCESS"))
    for day in range(rng.randint(90, 160)):
        log.turn(log.ok("run_partition", {"ds": f"2025-{day // 28 + 1:02}-{day % 28 + 1:02}"}, word))
    return log.done()


def upserts_batches(rng: random.Random) -> Trace:
    """Batch after batch goes into the vector store; each is acknowledged by the same words."""
    log = Log(rng, {"upsert_batch": "write"})
    for batch in range(rng.randint(30, 60)):
        log.turn(log.ok("upsert_batch", {"offset": batch * 100, "size": 100}, {"upserted": 100, "failed": 0}), say=f"Batch {batch + 1}.")
    return log.done()


def compares_pairs(rng: random.Random) -> Trace:
    """Are these two the same person? Yes or no, for many pairs."""
    log = Log(rng, {"same_person": "read"}, wraps="bare json")
    for _ in range(rng.randint(30, 60)):
        log.turn(log.ok("same_person", {"a": f"{ident(rng)}, {rng.randint(1940, 2005)}", "b": f"{ident(rng)}, {rng.randint(1940, 2005)}"}, rng.random() < 0.3))
    return log.done()


def sets_cells(rng: random.Random) -> Trace:
    """Cell after cell; the tool returns nothing at all."""
    log = Log(rng, {"set_cell": "write", "read_range": "read"}, wraps="bare")
    for row in range(2, rng.randint(12, 20)):
        for column in "ABC":
            log.turn(log.ok("set_cell", {"cell": f"{column}{row}", "value": choose(rng, (rng.randint(1, 9999), ident(rng)))}, None))
    return log.turn(log.ok("read_range", {"range": "A1:C20"}, [[ident(rng), rng.randint(1, 99)] for _ in range(9)])).done()


def next_page_no_arguments(rng: random.Random) -> Trace:
    """The cursor is on the server's side: the call is always the same, the rows are not."""
    log = Log(rng, {"next_page": "read"})
    for _ in range(rng.randint(15, 35)):
        log.turn(log.ok("next_page", {}, [{"id": rng.randint(1, 10**7), "customer": ident(rng), "comment": fact(rng)} for _ in range(5)]), say="The next page.")
    return log.turn(log.ok("next_page", {}, [])).done()


def fetches_numbers(rng: random.Random) -> Trace:
    """A cursor of a database: rows of numbers only, much alike."""
    log, at = Log(rng, {"fetch_next": "read"}), rng.randint(1000, 9000)
    for _ in range(rng.randint(15, 30)):
        rows = [[at + n, rng.randint(0, 9), round(rng.uniform(0, 50), 1)] for n in range(8)]
        at += 8
        log.turn(log.ok("fetch_next", {"cursor": "c1", "n": 8}, {"rows": rows}))
    return log.done()


def analyst_slices(rng: random.Random) -> Trace:
    """A number for each region and month; some of them are the same."""
    log = Log(rng, {"query": "read"})
    for region in rng.sample(STEM, rng.randint(4, 7)):
        for month in range(1, rng.randint(5, 9)):
            log.turn(log.ok("query", {"sql": f"SELECT count(*) AS n FROM claims WHERE region = '{region}' AND month = {month}"}, [{"n": choose(rng, (0, 0, 1, rng.randint(2, 40)))}]))
    return log.done()


def works_a_queue(rng: random.Random) -> Trace:
    """Ticket after ticket of a CRM: fetched, looked up, answered, closed."""
    log = Log(rng, {"get_next_task": "write", "lookup_customer": "read", "reply": "write", "close": "write"})
    for _ in range(rng.randint(12, 22)):
        ticket = rng.randint(10000, 99999)
        log.turn(log.ok("get_next_task", {}, {"ticket": ticket, "from": ident(rng), "text": fact(rng, 2)}), say="Next ticket.")
        log.turn(log.ok("lookup_customer", {"ticket": ticket}, {"tier": choose(rng, ("gold", "basic")), "since": rng.randint(2009, 2026), "open_orders": rng.randint(0, 4)}))
        log.turn(log.ok("reply", {"ticket": ticket, "template": choose(rng, ("refund", "delay", "sorry")), "text": fact(rng)}, "sent")).turn(log.ok("close", {"ticket": ticket}, "ok"))
    return log.turn(log.ok("get_next_task", {}, None)).done()


def kundendienst(rng: random.Random) -> Trace:
    """In German, with the customer's words in the middle: one wish after another is looked up and settled."""
    log = Log(rng, {"vorgang_suchen": "read", "buchen": "write"})
    for _ in range(rng.randint(6, 11)):
        log.trace.person(satz(rng))
        nummer = rng.randint(10000, 99999)
        log.turn(log.ok("vorgang_suchen", {"nummer": nummer}, {"nummer": nummer, "stand": satz(rng)}), say="Ich sehe im System nach.")
        if rng.random() < 0.6:
            log.turn(log.ok("buchen", {"nummer": nummer, "art": choose(rng, ("Gutschrift", "Umtausch", "Termin"))}, {"ok": True}))
        log.trace.says(choose(rng, ("Das ist erledigt. ", "Gerne, das habe ich geändert. ")) + satz(rng) + " Kann ich sonst noch etwas für Sie tun?")
    return log.done()


def awaits_the_courier(rng: random.Random) -> Trace:
    """The parcel stays on the van for an hour and more, as promised for the day; then it is there."""
    log = Log(rng, {"track": "poll", "notify": "write"})
    for state, least, most in (("label created", 1, 2), ("in depot", 2, 4), ("out for delivery", 7, 11)):
        for _ in range(rng.randint(least, most)):
            log.turn(log.ok("track", {"parcel": "JD0146"}, {"state": state, "eta": "16:00-18:00", "checked": log.trace.stamp()}), say="Not yet; the window is until six.", think=600)
    return log.turn(log.ok("track", {"parcel": "JD0146"}, {"state": "delivered", "signed_by": ident(rng)})).turn(log.ok("notify", {"to": "customer"}, "sent")).done()


def labels_mail(rng: random.Random) -> Trace:
    """Sixty mails: read, labelled; the tool says the same each time."""
    log = Log(rng, {"read_mail": "read", "label": "write"})
    for _ in range(rng.randint(25, 45)):
        mail = f"{rng.getrandbits(48):x}"
        log.turn(log.ok("read_mail", {"id": mail}, {"from": f"{choose(rng, STEM)}@example.org", "subject": fact(rng)[:40], "body": fact(rng, 3)}))
        log.turn(log.ok("label", {"id": mail, "label": choose(rng, ("invoice", "spam", "private", "later"))}, "Label applied."))
    return log.done()


def traduce_cadenas(rng: random.Random) -> Trace:
    """In Spanish: sixty strings are translated; the tool says true."""
    log = Log(rng, {"guardar_traduccion": "write"}, wraps="bare json")
    for n in range(rng.randint(40, 70)):
        log.turn(log.ok("guardar_traduccion", {"clave": f"{choose(rng, STEM)}.{n}", "texto": frase(rng)}, True), say="La siguiente cadena.")
    return log.done()


def zaiko(rng: random.Random) -> Trace:
    """In Japanese: the stock of one article after another, and a mail about those that are short."""
    log = Log(rng, {"zaiko_kakunin": "read", "mail_sousin": "write"})
    for n in range(rng.randint(18, 35)):
        left = choose(rng, (0, rng.randint(1, 90), rng.randint(90, 900)))
        log.turn(log.ok("zaiko_kakunin", {"品番": f"A-{n + 100}"}, {"在庫": left, "倉庫": choose(rng, ("東", "西"))}), say=f"次の品番を確認します。{bun(rng)}")
        if left == 0:
            log.turn(log.ok("mail_sousin", {"宛先": "仕入先", "本文": f"{choose(rng, JA_WHAT)}：A-{n + 100} {bun(rng)}"}, "送信しました"))
    return log.done("完了しました。")


def grades_essays(rng: random.Random) -> Trace:
    """Essay after essay from a queue without arguments; the mark is recorded."""
    log = Log(rng, {"next_essay": "read", "grade": "write"})
    for _ in range(rng.randint(18, 35)):
        log.turn(log.ok("next_essay", {}, fact(rng, rng.randint(8, 20))))
        log.turn(log.ok("grade", {"mark": rng.randint(1, 6), "comment": fact(rng)}, "Recorded."))
    return log.done()


def etl_with_hiccups(rng: random.Random) -> Trace:
    """Table after table is copied; a deadlock or a lost connection now and then, and the second try works."""
    log = Log(rng, {"copy_table": "write", "count": "read"})
    for n in range(rng.randint(14, 26)):
        table, rows = f"{choose(rng, STEM)}_{n}", rng.randint(0, 10**6)
        for _ in range(choose(rng, (0, 0, 0, 1, 2))):
            log.turn(log.bad("copy_table", {"table": table}, choose(rng, ("deadlock detected", "connection reset by peer", "canceling statement due to timeout"))), say="I try this table again.", think=20)
        log.turn(log.ok("copy_table", {"table": table}, {"rows": rows})).turn(log.ok("count", {"table": table}, rows))
    return log.done()


def patient_intake(rng: random.Random) -> Trace:
    """Question and answer with a person, no tool at all: the agent's words are polite and alike, the answers are not."""
    log = Log(rng, {"save_form": "write"})
    for topic in rng.sample(("your full name", "your date of birth", "any allergies", "your current medication", "earlier operations", "your insurer", "an emergency contact", "your general practitioner", "when the pain began", "your occupation"), rng.randint(6, 10)):
        log.trace.says(f"Thank you. Could you please tell me {topic}?").person(fact(rng))
    return log.turn(log.ok("save_form", {"answers": 9}, "ok")).done()


def signs_documents(rng: random.Random) -> Trace:
    """A tool that makes one thing of many: the next unsigned document, signed, and the number that is left."""
    log, left = Log(rng, {"sign_next": "write"}, wraps="bare json"), rng.randint(25, 60)
    while left:
        left -= 1
        log.turn(log.ok("sign_next", {}, {"signed": 1, "remaining": left}))
    return log.done()


OFFICE = (
    backfills_partitions, upserts_batches, compares_pairs, sets_cells, next_page_no_arguments, fetches_numbers, analyst_slices, works_a_queue,
    kundendienst, awaits_the_courier, labels_mail, traduce_cadenas, zaiko, grades_essays, etl_with_hiccups, patient_intake, signs_documents,
)
