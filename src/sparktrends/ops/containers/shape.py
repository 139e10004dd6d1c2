"""How every container of ours is shaped: what it may do and use, when it starts, how its health is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparktrends.ops.ports import LOOPBACK, METRICS, WANTED
from sparktrends.ops.settings import NAMES

Service = dict[str, Any]
OWN = "${%s:?set it in .env}"
"""A value without a default: `docker compose` stops, and says so, while it is not set."""
_PYTHON = "/opt/venv/bin/python"


def image_of(name: str) -> str:
    """What an image of ours is called, unless `.env` names another."""
    return f"${{{name.upper().replace('-', '_')}_IMAGE:-{name}:latest}}"


def building(file: str, *, on: Mapping[str, str] | None = None, **arguments: str) -> Service:
    """How an image of ours is built, in one service for each image: two that build one tag would race for it.

    ``on`` are images of ours that it begins from: the name in the Dockerfile → the service that builds it. Compose
    reads no Dockerfile: without this it builds both at once, and the second looks for the first at Docker Hub.
    """
    build: Service = {"context": ".", "dockerfile": f"deploy/images/{file}.Dockerfile"}
    if on:
        build["additional_contexts"] = {name: f"service:{service}" for name, service in on.items()}
    if arguments:
        build["args"] = arguments
    return {"build": build}


def confined(
    image: str,
    user: str | None = None,
    scratch: Mapping[str, int] | None = None,
    tmp: str = "64m",
    *,
    unpacks: bool = False,
) -> Service:
    """What every container has; ``scratch`` are folders in memory besides /tmp, with the user who owns them.

    Such a folder counts as memory of its container, so each has a size: one that is full is an error in a log, a
    container without memory is killed. ``unpacks`` is for a Java that reads records: what undoes zstd and snappy is
    native code out of a jar, which it writes to /tmp and loads from there, and Docker lets nothing be run in a folder
    in memory unless it is told so.
    """
    folders = [in_memory(folder, owner) for folder, owner in (scratch or {}).items()]
    options = f"size={tmp},mode=1777" + (",exec" if unpacks else "")
    return {
        "image": image,
        **({"user": user} if user else {}),
        "restart": "unless-stopped",
        "read_only": True,
        "tmpfs": [f"/tmp:{options}", *folders],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "init": True,
    }


def in_memory(folder: str, owner: int) -> str:
    """A small folder that vanishes with its container."""
    return f"{folder}:size=16m,uid={owner},gid={owner},mode=0755"


def limits(memory: str, cpus: float) -> Service:
    return {"deploy": {"resources": {"limits": {"memory": memory, "cpus": str(cpus), "pids": 1024}}}}


def published(outside: int, inside: int = 0) -> list[str]:
    return [f"{LOOPBACK}:{outside}:{inside or outside}"]


def after(**conditions: str) -> Service:
    return {"depends_on": {name: {"condition": condition} for name, condition in conditions.items()}}


def health(test: list[str], start_s: int) -> Service:
    times = {"interval": "10s", "timeout": "5s", "retries": 6, "start_period": f"{start_s}s"}
    return {"healthcheck": {"test": test, **times}}


def writing(files: Mapping[str, str], entrypoint: list[str]) -> Service:
    """Path → text with secrets: the container writes it for itself, in memory, before ``entrypoint`` begins.

    Compose refuses to put a text of its own into a container whose root is read-only; a file of this machine it takes,
    but secrets stand in `.env` only.
    """
    names = {f"FILE_{number}": path for number, path in enumerate(files, 1)}
    write = [f'mkdir -p "{path.rpartition("/")[0]}"; printf %s "$${name}" > "{path}"' for name, path in names.items()]
    script = f'(umask 077; {"; ".join(write)}); unset {" ".join(names)}; exec "$$@"'
    return {
        "environment": {name: files[path] for name, path in names.items()},
        "entrypoint": ["sh", "-euc", script, "sh", *entrypoint],
    }


def with_environment(service: Service, more: Service) -> Service:
    """``more`` over ``service``, and the variables of both."""
    environment = {**service.get("environment", {}), **more.get("environment", {})}
    return {**service, **more, "environment": environment}


def answers(url: str) -> list[str]:
    """A check that needs no shell."""
    return ["CMD", _PYTHON, "-c", f"import urllib.request as r; r.urlopen('{url}', timeout=4)"]


def answers_by_own_name(port_and_path: str) -> list[str]:
    """The same, of a page that listens on what its container is called by Docker."""
    ask = "import os, urllib.request as r; r.urlopen('http://' + os.uname().nodename + '{}', timeout=4)"
    return ["CMD", _PYTHON, "-c", ask.format(port_and_path)]


def measured(part: str) -> list[str]:
    return answers(f"http://127.0.0.1:{WANTED[METRICS + part]}/metrics")


def optional(*names: str) -> dict[str, str]:
    assert set(names) <= NAMES.keys()
    return {name: f"${{{name}:-}}" for name in names}


def pinned(name: str) -> str:
    return f"${{{name}:?name the image with its digest, NAME@sha256:…}}"
