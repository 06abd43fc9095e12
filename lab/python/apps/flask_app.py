"""A small Flask app that does what the tests ask of it."""

import hashlib
import os
import threading

from flask import Flask, Response, request

app = Flask(__name__)
released = threading.Event()


@app.get("/")
def index():
    return {"app": "flask", "pid": os.getpid()}


@app.post("/echo")
def echo():
    return request.get_json()


@app.post("/digest")
def digest():
    body = request.get_data()
    return {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


@app.get("/download/<int:size>")
def download(size):
    return Response(bytes(size), mimetype="application/octet-stream")


@app.get("/status/<int:status>")
def status(status):
    return {"said": "by the app"}, status


@app.post("/exit")
def leave():
    os._exit(1)


@app.get("/events")
def events():
    """Sends one event, and the second only once somebody asks for `/release`."""
    released.clear()

    def pieces():
        yield "data: first\n\n"
        released.wait(20)
        yield "data: second\n\n"

    return Response(pieces(), mimetype="text/event-stream")


@app.post("/release")
def release():
    released.set()
    return {}
