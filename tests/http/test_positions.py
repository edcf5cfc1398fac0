"""Read your own writes over HTTP without a line of code: by the link that was given, and by a cookie."""

import httpx
import pytest

from diptych import EventStore, Token
from diptych.edge.fastapi.positions import linked


async def write(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    return await client.post("/notes", json={"text": "hello"}, headers=headers)


def anew(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of the same server that has no cookies."""
    return httpx.AsyncClient(base_url=client.base_url, timeout=60)


async def test_who_follows_the_location_sees_what_was_made(client: httpx.AsyncClient) -> None:
    async with anew(client) as other:
        for _ in range(10):
            location = (await write(client)).headers["Location"]
            shown = await other.get(location)
            assert (shown.status_code, "Diptych-Stale" in shown.headers) == (200, False)


async def test_a_browser_sees_what_it_wrote_wherever_it_looks(client: httpx.AsyncClient) -> None:
    for number in range(1, 11):
        await write(client)
        shown = await client.get("/notes/all")
        assert (shown.json()["total"], "Diptych-Stale" in shown.headers) == (number, False)


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(client: httpx.AsyncClient) -> None:
    written = await write(client)
    token = written.headers["Diptych-Position"]

    assert written.headers["Set-Cookie"] == (f"diptych-position={token}; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax")
    async with anew(client) as other:
        secure = await other.post("/notes", json={"text": "x"}, headers={"X-Forwarded-Proto": "https"})
    assert secure.headers["Set-Cookie"].endswith("; SameSite=Lax; Secure")


async def test_reading_sets_no_cookie_and_a_repeat_does_not_take_it_back(client: httpx.AsyncClient) -> None:
    await write(client, **{"Idempotency-Key": "k"})
    await write(client)

    assert "Set-Cookie" not in (await client.get("/notes/all")).headers
    assert "Set-Cookie" not in (await write(client, **{"Idempotency-Key": "k"})).headers


def other_log(event_store: EventStore) -> Token:
    return Token(10**6, "", "another", event_store.identity.incarnation)


async def test_a_cookie_is_advice_and_never_refused(client: httpx.AsyncClient, event_store: EventStore) -> None:
    async with anew(client) as other:
        for kept in ("x", "", "%00", '"', other_log(event_store).encode(), "a=b; diptych-position"):
            answer = await other.get("/notes/all", headers={"Cookie": f"diptych-position={kept}"})
            assert (answer.status_code, "Diptych-Stale" in answer.headers) == (200, False), kept
        replaced = await other.post(
            "/notes", json={"text": "x"}, headers={"Cookie": f"diptych-position={other_log(event_store).encode()}"}
        )
    assert replaced.headers["Set-Cookie"].startswith(f"diptych-position={replaced.headers['Diptych-Position']};")


async def test_the_latest_of_all_positions_is_waited_for(client: httpx.AsyncClient, event_store: EventStore) -> None:
    first, last = await write(client), await write(client)
    identity = event_store.identity
    beyond = Token(10**6, "", identity.log_id, identity.incarnation).encode()
    wish = {"Prefer": "wait=0"}

    async with anew(client) as other:
        fresh = await other.get(f"/notes/all?diptych-position={last.headers['Diptych-Position']}")
        assert fresh.json()["total"] == 2
        for link, header, cookie in ((beyond, "", ""), ("", beyond, ""), ("", "", beyond)):
            headers = {"Cookie": f"diptych-position={cookie or first.headers['Diptych-Position']}", **wish}
            headers |= {"Diptych-Position": header or first.headers["Diptych-Position"]}
            late = await other.get(
                f"/notes/all?diptych-position={link or first.headers['Diptych-Position']}", headers=headers
            )
            assert (late.headers["Diptych-Stale"], late.headers["Preference-Applied"]) == ("timeout", "wait=0")


@pytest.mark.parametrize("token", ["x", "", "%00", "WzFd"])
async def test_a_link_that_nobody_gave_is_refused(client: httpx.AsyncClient, token: str) -> None:
    assert (await client.get(f"/notes/all?page=1&diptych-position={token}")).status_code == 400


async def test_a_location_may_be_changed_too(client: httpx.AsyncClient) -> None:
    location = (await write(client)).headers["Location"]

    changed = await client.delete(location, headers={"If-Match": '"1"'})
    assert changed.status_code == 200


async def test_a_link_has_one_more_parameter() -> None:
    assert linked("/a", "t") == "/a?diptych-position=t"
    assert linked("/a?b=c", "t") == "/a?b=c&diptych-position=t"
    assert linked("/a", "") == "/a"


async def test_a_position_of_another_log_is_refused_whatever_comes_along(
    client: httpx.AsyncClient, event_store: EventStore
) -> None:
    token = (await write(client)).headers["Diptych-Position"]
    foreign = Token(1, "", "another", 1).encode()

    for header, link in ((foreign, token), (token, foreign), (foreign, foreign)):
        refused = await client.get(f"/notes/all?diptych-position={link}", headers={"Diptych-Position": header})
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:diptych:problem:log-rewound")


async def test_the_next_page_is_as_fresh_as_the_one_before(client: httpx.AsyncClient) -> None:
    await write(client)
    token = (await write(client)).headers["Diptych-Position"]

    page = await client.get(f"/notes/all?page_size=1&diptych-position={token}")
    assert f"diptych-position={token}" in page.links["next"]["url"]
    assert len((await client.get(page.links["next"]["url"])).json()["items"]) == 1


async def test_who_learns_later_that_it_wrote_sees_it_from_then_on(client: httpx.AsyncClient) -> None:
    wish = {"Prefer": "respond-async, wait=30", "Idempotency-Key": "k"}
    assert (await client.post("/notes", json={"text": "x"}, headers=wish)).status_code == 201
    client.cookies.clear()
    status = await client.get("/commands/k")

    assert status.json()["status"] == "accepted"
    assert client.cookies["diptych-position"] == status.headers["Diptych-Position"]
