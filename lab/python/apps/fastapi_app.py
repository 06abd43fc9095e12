"""The same app as the Flask one, for FastAPI."""

import asyncio
import hashlib
import os

from fastapi import Body, FastAPI, Request, Response, WebSocket
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse

app = FastAPI()
released = asyncio.Event()
talked = asyncio.Event()


@app.get("/")
async def index():
    return {"app": "fastapi", "pid": os.getpid()}


@app.get("/version")
async def version(request: Request):
    return {"version": request.scope["http_version"]}


@app.post("/echo")
async def echo(body: dict = Body()):
    return body


@app.post("/digest")
async def digest(request: Request):
    body = await request.body()
    return {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


@app.get("/download/{size}")
async def download(size: int):
    return Response(bytes(size), media_type="application/octet-stream")


@app.get("/status/{status}")
async def status(status: int):
    return JSONResponse({"said": "by the app"}, status)


@app.post("/exit")
async def leave():
    os._exit(1)


@app.get("/events")
async def events():
    """Sends one event, and the second only once somebody asks for `/release`."""
    released.clear()

    async def pieces():
        yield "data: first\n\n"
        await asyncio.wait_for(released.wait(), 20)
        yield "data: second\n\n"

    return StreamingResponse(pieces(), media_type="text/event-stream")


@app.post("/release")
async def release():
    released.set()
    return {}


PAGE = """<!doctype html>
<title>page</title>
<p id="page"></p>
<p id="socket"></p>
<img src="/talked">
<script>
  const say = (id, text) => { document.getElementById(id).textContent = text; };
  const [page] = performance.getEntriesByType("navigation");
  say("page", `page over ${page.nextHopProtocol}`);
  const socket = new WebSocket(`wss://${location.host}/talk?name=browser`);
  socket.onmessage = (message) => {
    say("socket", `socket said ${message.data}`);
    socket.send("seen");
  };
  socket.onerror = () => say("socket", "socket failed");
</script>
"""


@app.get("/page")
async def page():
    """Says over which version it was loaded, and what a WebSocket told it. It is loaded as a whole
    only once that is there, since its image is answered then."""
    return HTMLResponse(PAGE)


@app.get("/talked")
async def until_talked():
    await asyncio.wait_for(talked.wait(), 20)
    return {}


@app.websocket("/talk")
async def talk(socket: WebSocket, name: str):
    """Greets, and closes with what it is told as the reason."""
    await socket.accept()
    await socket.send_text(f"hello {name}")
    said = await socket.receive_text()
    talked.set()
    await socket.close(4003, said)
