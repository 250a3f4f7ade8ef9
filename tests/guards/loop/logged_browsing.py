"""Runs that succeed, of browsing, researching, playing and several agents: a third of ``logged_coding``'s families."""

# What a tool prints stands in one line, as it does there, and a turn too: broken into arguments it could not be read.
# ruff: noqa: E501, I001
# fmt: off

from __future__ import annotations

import random

from tests.guards.loop.logged import Log, STEM, code, dom, fact, ident
from tests.guards.loop.trace import Call, Trace, choose


def fills_a_visa_form(rng: random.Random) -> Trace:
    """Field after field of a long page; each time the whole page comes back, with one value more."""
    log, url = Log(rng, {"input_text": "write", "click": "write"}), "https://visa.example/form"
    fields = {f"{choose(rng, STEM)}_{n}": "" for n in range(rng.randint(16, 28))}
    for n, name in enumerate(fields):
        fields[name] = choose(rng, (ident(rng), fact(rng)[:20], str(rng.randint(1, 9999))))
        log.turn(log.ok("input_text", {"index": n + 5, "text": fields[name]}, dom(rng, url, [f"input {each} value='{value}'" for each, value in fields.items()], first=5)), say=f"Now the field {name}.")
    return log.turn(log.ok("click", {"index": 99}, dom(rng, url, [f"p 'Application {rng.randint(10**6, 10**7)} received'"]))).done()


def compares_offers(rng: random.Random) -> Trace:
    """Opens an offer, reads it, goes back to the same list, opens the next one."""
    log, url = Log(rng, {"click": "write", "go_back": "write"}), f"https://shop.example/s?q={choose(rng, STEM)}"
    offers = [f"a '{ident(rng)} {rng.randint(40, 900)} EUR'" for _ in range(rng.randint(10, 18))]
    for n in range(len(offers)):
        log.turn(log.ok("click", {"index": n + 10}, dom(rng, f"https://shop.example/p/{rng.getrandbits(32):x}", [f"h1 {offers[n]}", f"p '{fact(rng, 2)}'", f"span '{rng.uniform(2, 5):.1f} stars'", "button 'Add to cart'"])), say="I open the next offer.")
        log.turn(log.ok("go_back", {}, dom(rng, url, offers, first=10)), say="Back to the list.")
    return log.done()


def screenshots_elided(rng: random.Random) -> Trace:
    """The recorder has left out the pictures: all results look alike, and only its words tell what it sees."""
    log = Log(rng, {"computer": "write"}, wraps="bare", talk=1.0)
    for _ in range(rng.randint(18, 35)):
        action = choose(rng, ({"action": "left_click", "coordinate": [rng.randint(5, 1900), rng.randint(5, 1000)]}, {"action": "type", "text": fact(rng)[:30]}, {"action": "key", "text": choose(rng, ("Return", "Tab", "ctrl+s"))}))
        log.turn(log.ok("computer", action, [{"type": "image", "source": {"type": "blob", "sha256": f"{rng.getrandbits(256):064x}"}}]), say=f"I see the window '{ident(rng)}'. {fact(rng)}")
    return log.done()


def literature_long(rng: random.Random) -> Trace:
    """A hundred turns: a search, some pages, a note of each; some searches find little."""
    log = Log(rng, {"web_search": "read", "web_fetch": "read", "save_note": "write"})
    for _ in range(rng.randint(14, 24)):
        hits = [{"title": fact(rng)[:50], "url": f"https://{choose(rng, STEM)}.example/{rng.getrandbits(32):x}", "snippet": fact(rng)} for _ in range(choose(rng, (0, 2, 5, 8)))]
        log.turn(log.ok("web_search", {"query": f"{choose(rng, STEM)} {fact(rng)[4:30]}"}, {"results": hits}), say="Next question.")
        for hit in hits[:3]:
            if rng.random() < 0.15:
                log.turn(log.bad("web_fetch", {"url": hit["url"]}, choose(rng, ("403 Forbidden", "timed out after 30 s", "404 Not Found"))))
                continue
            log.turn(log.ok("web_fetch", {"url": hit["url"]}, fact(rng, rng.randint(8, 20))))
            log.turn(log.ok("save_note", {"text": fact(rng)}, "saved"))
    return log.done()


def crew_writes_chapters(rng: random.Random) -> Trace:
    """For each chapter a writer, a reviewer, perhaps a second round; the reviewers' words are much alike."""
    log = Log(rng, {"delegate": "spawn"})
    for n in range(1, rng.randint(7, 13)):
        title = fact(rng)[:30]
        log.turn(Call("delegate", {"agent": "writer", "task": f"Write chapter {n}: {title}"}, fact(rng, 12), seconds=60), say=f"Chapter {n}.")
        if rng.random() < 0.4:
            log.turn(Call("delegate", {"agent": "reviewer", "task": f"Review chapter {n}"}, f"Needs work: {fact(rng)}"))
            log.turn(Call("delegate", {"agent": "writer", "task": f"Revise chapter {n}: {fact(rng)}"}, fact(rng, 12)))
        log.turn(Call("delegate", {"agent": "reviewer", "task": f"Review chapter {n}"}, "Approved. No further comments."))
    return log.done()


def panel_debates(rng: random.Random) -> Trace:
    """A moderator goes round a panel; each says something, and it takes a vote in the end."""
    log = Log(rng, {"send_message": "write", "read_messages": "read"})
    for n in range(rng.randint(6, 10)):
        for who in ("optimist", "sceptic", "lawyer"):
            log.turn(log.ok("send_message", {"to": who, "text": f"Round {n + 1}. {fact(rng)}"}, {"delivered": True}))
        log.turn(log.ok("read_messages", {}, [{"from": who, "text": fact(rng, 2)} for who in ("optimist", "sceptic", "lawyer")]), say="What do they say?")
    return log.done()


def adventure_won(rng: random.Random) -> Trace:
    """A text adventure: rooms are seen again on the way, but there is always a thing more in the bag."""
    log = Log(rng, {"do": "write"})
    rooms, bag, score = [f"{ident(rng)} Room\n{fact(rng, 2)}" for _ in range(7)], [], 0
    for _ in range(rng.randint(10, 16)):
        for _ in range(rng.randint(1, 3)):
            log.turn(log.ok("do", {"command": choose(rng, ("north", "south", "east", "west"))}, f"{choose(rng, rooms)}\n[moves: {log.trace.turns}, score: {score}]"))
        thing = f"{choose(rng, STEM)} {choose(rng, ('key', 'lamp', 'coin', 'scroll', 'rope'))}"
        bag.append(thing)
        score += 5
        log.turn(log.ok("do", {"command": f"take {thing}"}, "Taken.")).turn(log.ok("do", {"command": choose(rng, ("inventory", f"use {thing}"))}, choose(rng, (f"You carry: {', '.join(bag)}.", f"{fact(rng)}"))))
    return log.done()


def solves_sudoku(rng: random.Random) -> Trace:
    """Forty digits are placed; the board says "ok", a few times "conflict"."""
    log = Log(rng, {"place": "write"})
    for row in range(1, 10):
        for column in rng.sample(range(1, 10), rng.randint(3, 6)):
            if rng.random() < 0.1:
                log.turn(log.bad("place", {"r": row, "c": column, "d": rng.randint(1, 9)}, "conflict"))
            log.turn(log.ok("place", {"r": row, "c": column, "d": rng.randint(1, 9)}, choose(rng, ("ok", "ok"))), say=f"Row {row}, column {column}.")
    return log.done()


def plays_chess(rng: random.Random) -> Trace:
    """Move after move, and the board comes back."""
    log = Log(rng, {"move": "write"})
    board = [choose(rng, "rnbqkp....PRNBQK") for _ in range(64)]
    for n in range(rng.randint(20, 40)):
        for _ in range(4):
            board[rng.randrange(64)] = choose(rng, "......rnbqkpPRNBQK")
        log.turn(log.ok("move", {"uci": f"{choose(rng, 'abcdefgh')}{rng.randint(1, 8)}{choose(rng, 'abcdefgh')}{rng.randint(1, 8)}"}, {"fen": "/".join("".join(board[row * 8:row * 8 + 8]) for row in range(8)), "fullmove": n + 1, "opponent": f"{choose(rng, 'abcdefgh')}{rng.randint(1, 8)}{choose(rng, 'abcdefgh')}{rng.randint(1, 8)}"}))
    return log.done()


def crawls_a_site(rng: random.Random) -> Trace:
    """A queue of addresses on the server's side: ``crawl_next()`` has no arguments; some pages are gone."""
    log = Log(rng, {"crawl_next": "write"})
    for n in range(rng.randint(40, 80)):
        url = f"https://{choose(rng, STEM)}.example/{choose(rng, STEM)}/{rng.getrandbits(20):x}"
        log.turn(log.ok("crawl_next", {}, {"url": url, "status": 404, "queued": 200 - n} if rng.random() < 0.2 else {"url": url, "status": 200, "title": fact(rng)[:40], "links": rng.randint(0, 60), "queued": 200 - n}))
    return log.done()


def reads_design_nodes(rng: random.Random) -> Trace:
    """An MCP server for drawings: long trees of nodes, one frame after the other, then the component."""
    log = Log(rng, {"get_node": "read", "write_file": "write"}, wraps="mcp")
    for n in range(rng.randint(8, 16)):
        nodes = [{"id": f"{rng.randint(1, 90)}:{rng.randint(1, 9000)}", "type": choose(rng, ("FRAME", "TEXT", "VECTOR")), "name": ident(rng), "x": rng.randint(0, 2000), "y": rng.randint(0, 2000), "fills": [{"type": "SOLID", "color": f"#{rng.getrandbits(24):06x}"}]} for _ in range(rng.randint(10, 40))]
        log.turn(log.ok("get_node", {"nodeId": f"{n}:{rng.randint(1, 9000)}"}, {"document": nodes}))
        log.turn(log.ok("write_file", {"path": f"src/{ident(rng)}.tsx", "content": "\n".join(code(rng, 25))}, "Successfully wrote file"))
    return log.done()


def finds_a_slot(rng: random.Random) -> Trace:
    """Day after day has no room; the next week has."""
    log = Log(rng, {"free_slots": "read", "book": "write"})
    for day in range(1, rng.randint(8, 13)):
        log.turn(log.ok("free_slots", {"date": f"2026-12-{day:02}", "people": 9}, []), say=f"Nothing on the {day}th. The next day.")
    log.turn(log.ok("free_slots", {"date": "2026-12-19", "people": 9}, [{"room": ident(rng), "from": "10:00", "to": "11:30"}]))
    return log.turn(log.ok("book", {"date": "2026-12-19", "from": "10:00"}, {"booking": rng.randint(10**5, 10**6)})).done()


BROWSING = (
    fills_a_visa_form, compares_offers, screenshots_elided, literature_long, crew_writes_chapters, panel_debates, adventure_won,
    solves_sudoku, plays_chess, crawls_a_site, reads_design_nodes, finds_a_slot,
)
