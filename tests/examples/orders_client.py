"""A client of the Orders application for its tests, and an order to send."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx

ADDRESS = {"name": "Ada Lovelace", "street": "12 St James Square", "city": "London", "country": "UK"}
LAMP = {"product_id": "1", "product_name": "Steel lamp", "quantity": 2, "price": "9.90"}
TABLE = {"product_id": "2", "product_name": "Oak table", "quantity": 1, "price": "120"}
ORDER = {"customer_id": "ada", "items": [LAMP, TABLE], "shipping_address": ADDRESS}


class Orders(httpx.AsyncClient):
    """Says in one word what a test is about; a change to `...` leaves the field out."""

    settled: Callable[[], Awaitable[None]]

    async def place(self, **changes: Any) -> httpx.Response:
        body = {**ORDER, **changes}
        return await self.post("/orders", json={name: value for name, value in body.items() if value is not ...})

    async def placed(self, **changes: Any) -> str:
        response = await self.place(**changes)
        assert response.status_code == 201, response.text
        return str(response.json()["order_id"])

    async def ask(self, method: str, path: str, body: Any) -> httpx.Response:
        return await self.request(method, path, **({} if body is None else {"json": body}))

    async def read(self, path: str, after: httpx.Response, **params: Any) -> Any:
        headers = {"Diptych-Position": after.headers["Diptych-Position"]}
        response = await self.get(path, headers=headers, params=params)
        assert response.status_code == 200, response.text
        assert "Diptych-Stale" not in response.headers
        return response.json()


def is_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["title"]
    return problem
