"""
What a careful team writes by hand: FastAPI and asyncpg, an order placed in one transaction.

The key's row, the order, its lines and the row that is shown commit together. `uvicorn
benchmarks.http_theirs:http` serves it; `BENCH_DSN` names the database.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Annotated, Any
from uuid import uuid4

import asyncpg
from fastapi import FastAPI, Header, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

TABLES = """
CREATE TABLE IF NOT EXISTS request_key (key text PRIMARY KEY, digest bytea NOT NULL, answer jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    order_id text PRIMARY KEY, customer_id text NOT NULL, status text NOT NULL, shipping_address jsonb NOT NULL,
    ordered_on date NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), version int NOT NULL DEFAULT 1
);
CREATE TABLE IF NOT EXISTS order_line (
    order_id text NOT NULL REFERENCES orders, number int NOT NULL, product_id text NOT NULL, product_name text,
    quantity int NOT NULL, price numeric(14, 2) NOT NULL, PRIMARY KEY (order_id, number)
);
CREATE TABLE IF NOT EXISTS order_view (
    order_id text PRIMARY KEY, customer_id text NOT NULL, status text NOT NULL, total_amount numeric(20, 2) NOT NULL,
    item_count int NOT NULL, created_at timestamptz NOT NULL, ordered_on date NOT NULL, shipped_on date,
    products text NOT NULL, ship_to text NOT NULL, shipping_address jsonb NOT NULL, lines jsonb NOT NULL,
    version int NOT NULL,
    words tsvector GENERATED ALWAYS AS (to_tsvector('simple', customer_id || ' ' || products || ' ' || ship_to)) STORED
);
CREATE INDEX IF NOT EXISTS order_view_customer ON order_view (customer_id, order_id);
CREATE INDEX IF NOT EXISTS order_view_status ON order_view (status, order_id);
CREATE INDEX IF NOT EXISTS order_view_total ON order_view (total_amount, order_id);
CREATE INDEX IF NOT EXISTS order_view_created ON order_view (created_at, order_id);
CREATE INDEX IF NOT EXISTS order_view_ordered ON order_view (ordered_on, order_id);
CREATE INDEX IF NOT EXISTS order_view_words ON order_view USING gin (words);
"""
INSERT_KEY = "INSERT INTO request_key (key, digest, answer) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
INSERT_ORDER = """
INSERT INTO orders (order_id, customer_id, status, shipping_address, ordered_on) VALUES ($1, $2, 'pending', $3, $4)
"""
INSERT_LINE = """
INSERT INTO order_line (order_id, number, product_id, product_name, quantity, price) VALUES ($1, $2, $3, $4, $5, $6)
"""
INSERT_VIEW = """
INSERT INTO order_view (
    order_id, customer_id, status, total_amount, item_count, created_at, ordered_on, products, ship_to,
    shipping_address, lines, version
) VALUES ($1, $2, 'pending', $3, $4, now(), $5, $6, $7, $8, $9, 1)
"""
SELECT_VIEW = """
SELECT order_id, customer_id, status, total_amount, item_count, created_at, ordered_on, shipped_on, products, ship_to,
       shipping_address, lines, version
FROM order_view WHERE order_id = $1
"""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Address(Strict):
    name: str | None = None
    street: str | None = None
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None
    country: str | None = None


class Line(Strict):
    product_id: Annotated[str, Field(min_length=1)]
    quantity: Annotated[int, Field(ge=1, le=1_000_000_000)]
    price: Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=2)]
    product_name: str | None = None


class NewOrder(Strict):
    customer_id: Annotated[str, Field(min_length=1)]
    items: Annotated[list[Line], Field(min_length=1)]
    shipping_address: Address
    order_id: Annotated[str, Field(min_length=1)] | None = None
    ordered_on: date | None = None


class Placed(BaseModel):
    order_id: str


class OrderView(BaseModel):
    order_id: str
    customer_id: str
    status: str
    total_amount: Decimal
    item_count: int
    created_at: datetime
    ordered_on: date
    shipped_on: date | None
    products: str
    ship_to: str
    shipping_address: Address
    lines: list[Line]
    version: int


@asynccontextmanager
async def lifespan(http: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=8, max_size=16, init=_speak_json) as pool:
        await pool.execute(TABLES)
        http.state.pool = pool
        yield


async def _speak_json(connection: Any) -> None:
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


http = FastAPI(lifespan=lifespan)


@http.post("/orders", status_code=201)
async def place(
    order: NewOrder, request: Request, response: Response, idempotency_key: Annotated[str | None, Header()] = None
) -> Placed:
    """Place an order once for each key."""
    order_id = order.order_id or str(uuid4())
    answer = {"order_id": order_id}
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        if idempotency_key is not None:
            digest = blake2b(await request.body(), digest_size=16).digest()
            if await connection.execute(INSERT_KEY, idempotency_key, digest, answer) == "INSERT 0 0":
                answer = await _first_answer(connection, idempotency_key, digest)
                return Placed(**answer)
        await _insert(connection, order_id, order)
    response.headers["Location"] = f"/orders/{order_id}"
    response.headers["ETag"] = '"1"'
    return Placed(**answer)


@http.get("/orders/{order_id}")
async def show(order_id: str, request: Request, response: Response) -> OrderView:
    """The row that is shown."""
    row = await request.app.state.pool.fetchrow(SELECT_VIEW, order_id)
    if row is None:
        raise HTTPException(404)
    response.headers["ETag"] = f'"{row["version"]}"'
    return OrderView(**row)


async def _insert(connection: Any, order_id: str, order: NewOrder) -> None:
    day, address = order.ordered_on or datetime.now(UTC).date(), order.shipping_address.model_dump(mode="json")
    await connection.execute(INSERT_ORDER, order_id, order.customer_id, address, day)
    await connection.executemany(
        INSERT_LINE,
        [
            (order_id, number, line.product_id, line.product_name, line.quantity, line.price)
            for number, line in enumerate(order.items)
        ],
    )
    total = sum((line.quantity * line.price for line in order.items), start=Decimal(0))
    products = ", ".join(line.product_name for line in order.items if line.product_name)
    ship_to = ", ".join(part for part in address.values() if part)
    lines = [line.model_dump(mode="json") for line in order.items]
    await connection.execute(
        INSERT_VIEW, order_id, order.customer_id, total, len(lines), day, products, ship_to, address, lines
    )


async def _first_answer(connection: Any, key: str, digest: bytes) -> dict[str, str]:
    row = await connection.fetchrow("SELECT digest, answer FROM request_key WHERE key = $1", key)
    if row["digest"] != digest:
        raise HTTPException(422, "the key was used for another request")
    answer: dict[str, str] = row["answer"]
    return answer
