"""A function worker: read orders, price them, book them. Booking must not happen twice, whatever crashes."""

import csv
import os
import sqlite3
from pathlib import Path
from typing import Any

from callboard import RunContext, worker

HERE = Path(__file__).parent
BOOKS = Path(os.environ.get("ETL_BOOKS", "books.sqlite"))
PRICES = {"apple": 25, "pear": 30, "plum": 12}


def extract(path: str) -> list[dict[str, str]]:
    with (HERE / path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


async def transform(orders: list[dict[str, str]]) -> list[dict[str, Any]]:
    return [order | {"cents": PRICES[order["item"]] * int(order["count"])} for order in orders]


def book(rows: list[dict[str, Any]], entry: str) -> int:
    """Book the rows. Books do not ask whether an entry is there already: running this twice books twice."""
    with sqlite3.connect(BOOKS) as books:
        books.execute("create table if not exists book (entry text, customer text, cents integer)")
        books.executemany("insert into book values (?, ?, ?)", [(entry, row["customer"], row["cents"]) for row in rows])
    books.close()
    return len(rows)


@worker("etl", description="Loads a file of orders into the books.")
async def etl(task: dict[str, str], run: RunContext) -> dict[str, Any]:
    orders = await run.step("extract", extract, task["file"], effect="pure")
    rows = await run.step("transform", transform, orders, effect="pure")
    await run.sleep(0.2, "let the books settle")
    booked = await run.step("book", book, rows, run.key("book"), effect="at_most_once")
    return {"booked": booked, "cents": sum(row["cents"] for row in rows)}
