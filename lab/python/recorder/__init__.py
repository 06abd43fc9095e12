"""Cases to record: what is played, and what `why` must answer."""

import importlib
import json
import pkgutil

# Bytes of one file: a case is a window of a log, not a day.
FILE_LIMIT = 60_000


class Absent(Exception):
    """A program that the case needs is not on this machine."""


class Case:
    def __init__(self, play, answer):
        self.play, self.answer = play, answer

    def save(self, world, folder):
        """Writes what the servers wrote, and what must be found in it."""
        files = world.files()
        assert files, "nothing was written"
        for name, text in files.items():
            assert len(text.encode()) < FILE_LIMIT, f"{name} is too large: {len(text)}"
            assert "/root/" not in text and "/tmp/" not in text, f"{name} holds a path of this machine"
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, text in files.items():
            (folder / name).write_text(text)
        answer = self.answer | {"made_with": world.versions()}
        (folder / "case.json").write_text(json.dumps(answer, indent=2) + "\n")


CASES = {}


def case(name, verdict="named", expect=None, candidates=()):
    """Registers a case `CAUSE/NAME`. Where the files do not suffice to name the cause, `verdict` says
    so and `candidates` must stand among the first three."""

    def register(play):
        cause = name.split("/")[0]
        named = verdict in ("named", "either")
        answer = {"expect": expect or (cause if named else verdict), "verdict": verdict}
        if candidates:
            answer["candidates"] = list(candidates)
        answer["about"] = " ".join((play.__doc__ or "").split())
        assert name not in CASES, f"{name} occurs twice"
        CASES[name] = Case(play, answer)
        return play

    return register


def _load():
    from . import faults

    for module in pkgutil.iter_modules(faults.__path__):
        importlib.import_module(f"{faults.__name__}.{module.name}")


_load()
