"""The same as `wsgi.py`, for servers of ASGI."""

import asyncio

from wsgi import LENGTH, WORK, note


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    number = dict(scope["headers"]).get(b"x-number")
    if number is not None:
        note("begun", number.decode())
        await asyncio.sleep(WORK)
        note("done", number.decode())
    body = (number or b"health").ljust(LENGTH, b".")
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(LENGTH).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
