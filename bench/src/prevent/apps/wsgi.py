"""Answers each request with its number, and notes what it begins and finishes."""

import os
import time

LEDGER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ledger.txt")
WORK = 0.02
LENGTH = 256


def note(word, number):
    # One write at the end of the file is whole, whoever else writes (man 2 write, O_APPEND).
    file = os.open(LEDGER, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(file, f"{word} {number}\n".encode())
    finally:
        os.close(file)


def app(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length:
        environ["wsgi.input"].read(length)
    number = environ.get("HTTP_X_NUMBER")
    if number is not None:
        note("begun", number)
        time.sleep(WORK)
        note("done", number)
    body = (number or "health").ljust(LENGTH, ".").encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(LENGTH))])
    return [body]
