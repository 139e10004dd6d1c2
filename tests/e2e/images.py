"""Images of this repository without a container engine: buildah builds them; a process of one runs as Compose runs it.

Needs root, buildah and debootstrap, 20 GB and about 20 minutes; the images lie in a store of their own that vanishes.
SPARKTRENDS_IMAGES names a folder that is kept instead: what lies there is not built again.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparktrends.ops import compose

ROOT = Path(__file__).resolve().parents[2]
BASE, APP, SPARK, OWNED = (
    f"localhost/{name}:latest" for name in ("base", "sparktrends", "sparktrends-spark", "sparktrends-owned")
)
DATA, OWNER = "/var/lib/kafka/data", "65532:65532"
HOME = Path("/var/lib/sparktrends")
_PACKAGES = "python3,python3-venv,python-is-python3,ca-certificates"
_TRUST = Path("/etc/ssl/certs")
# What `confined` of ops/containers/shape.py asks of an engine: a root that nobody writes, /tmp in memory (Docker lets
# nothing be run there unless told so), no capabilities, no new privileges; beside it the volume `home`, and this
# machine's network.
_CONFINED = """
root=$1 home=$2 user=$3 options=$4; shift 4
touch "$root/etc/resolv.conf" "$root/etc/hosts"
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o "noexec,nosuid,nodev,$options" tmpfs "$root/tmp"
mount --bind "$home" "$root/var/lib/sparktrends"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
mount --bind /etc/hosts "$root/etc/hosts"
mount --bind /etc/ssl/certs "$root/etc/ssl/certs"
exec chroot "$root" setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups \
    --no-new-privs --bounding-set=-all --inh-caps=-all --pdeathsig KILL "$@"
"""


def missing() -> str:
    """Why images cannot be built here; empty when they can."""
    if os.geteuid() != 0:
        return "only root can build images without a container engine"
    absent = [name for name in ("buildah", "debootstrap", "unshare", "setpriv") if not shutil.which(name)]
    return f"not installed: {', '.join(absent)}" if absent else ""


@dataclass(frozen=True)
class Images:
    """A store with the images; ``home`` is the volume of that name."""

    folder: Path

    @property
    def home(self) -> Path:
        """The folder that every process finds at `HOME`."""
        return self.folder / "home"

    def build_all(self) -> None:
        """A base as Debian makes it, and on it all but Airflow's, with the arguments that Compose gives them."""
        self.home.mkdir(exist_ok=True)
        os.chown(self.home, 65532, 65532)
        (self.folder / "pip.conf").write_text("".join(_pip_settings()))
        there = self._buildah("images", "--format", "{{.Name}}:{{.Tag}}").split()
        if BASE not in there:
            self._make_base()
        if APP not in there:
            self._build(APP, "app", {}, BUILD_BASE=BASE, RUN_BASE=BASE)
        if SPARK not in there:
            self._build(SPARK, "spark", {"app": APP}, RUN_BASE=BASE)
        if OWNED not in there:
            self._build(OWNED, "owned", {}, IMAGE=BASE, FOLDER=DATA, OWNER=OWNER)

    def run(self, image: str, *words: str, seconds: float = 300.0) -> str:
        """What a command says in the container of ``image``, as its user; it must end well."""
        trust = ["--volume", f"{_TRUST}:{_TRUST}:ro"]
        container = self._container(image)
        return self._buildah("run", "--isolation", "chroot", *trust, container, "--", *words, seconds=seconds)

    def confined(self, image: str, *words: str, env: Mapping[str, str] | None = None, like: str = "setup") -> list[str]:
        """The command line of a process of ``image`` with no more rights than Compose gives the service ``like``."""
        (options,) = (
            folder.partition(":")[2]
            for folder in compose.base()["services"][like]["tmpfs"]
            if folder.startswith("/tmp:")
        )
        told = json.loads(self._buildah("inspect", "--type", "image", image))["OCIv1"]["config"]
        own = [*told["Env"], *(f"{key}={value}" for key, value in (env or {}).items())]
        apart = [
            str(shutil.which("unshare")),
            "--mount",
            "--pid",
            "--ipc",
            "--fork",
            "--kill-child",
            "sh",
            "-euc",
            _CONFINED,
            "confined",
        ]
        root = self._buildah("mount", self._container(image))
        return [*apart, root, str(self.home), told["User"], options, "env", "-i", *own, *words]

    def close(self) -> None:
        """Remove everything; nothing of this machine may still be mounted in it."""
        self._buildah("rm", "--all")
        self._buildah("rmi", "--all", "--force")
        assert str(self.folder) not in Path("/proc/mounts").read_text()

    def _container(self, image: str) -> str:
        """One for each image: to unpack gigabytes takes a minute."""
        name = f"of-{image.partition('/')[2].partition(':')[0]}"
        if name not in self._buildah("containers", "--format", "{{.ContainerName}}").split():
            self._buildah("from", "--pull-never", "--name", name, image)
        return name

    def _make_base(self) -> None:
        container = self._buildah("from", "scratch")
        root = self._buildah("mount", container)
        made = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", root]
        _run(made, seconds=900)
        self._buildah("umount", container)
        self._buildah("commit", "--rm", container, BASE)

    def _build(self, image: str, file: str, on: Mapping[str, str], **arguments: str) -> None:
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        # As Compose names the image of another service.
        given += [word for name, of in on.items() for word in ("--build-context", f"{name}=container-image://{of}")]
        # How this machine reaches packages is its own affair: mounted while building, never in an image.
        given += ["--volume", f"{_TRUST}:{_TRUST}:ro", "--volume", f"{self.folder / 'pip.conf'}:/etc/pip.conf:ro"]
        made = ["bud", "--isolation", "chroot", "--pull-never", *given, "--tag", image]
        self._buildah(*made, "--file", str(ROOT / f"deploy/images/{file}.Dockerfile"), str(ROOT), seconds=1800)

    def _buildah(self, *words: str, seconds: float = 600.0) -> str:
        store = ["--root", str(self.folder / "store"), "--runroot", str(self.folder / "run"), "--storage-driver", "vfs"]
        return _run(["buildah", *store, *words], seconds)


@contextmanager
def built() -> Iterator[Images]:
    """Both images; skips, and says so, where they cannot be built."""
    if reason := missing():
        pytest.skip(f"no images are built: {reason}")
    if kept := os.environ.get("SPARKTRENDS_IMAGES"):
        images = Images(Path(kept))
        images.build_all()
        yield images
        return
    with tempfile.TemporaryDirectory(prefix="sparktrends-images-", dir="/var/tmp") as folder:
        images = Images(Path(folder))
        try:
            images.build_all()
            yield images
        finally:
            images.close()


def _pip_settings() -> Iterator[str]:
    """This machine's own settings of pip, wherever they stand, as one file; the environment's win."""
    told = _run([sys.executable, "-m", "pip", "config", "list"], seconds=60).splitlines()
    lines = sorted((line.partition("=") for line in told), key=lambda line: line[0].startswith(":env:"))
    yield "[global]\n"
    found = {key.rpartition(".")[2]: shlex.split(value)[0] for key, _, value in lines}
    yield from (f"{key} = {value}\n" for key, value in found.items())


def _run(argv: Sequence[str], seconds: float) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, f"{shlex.join(argv)}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    return done.stdout.strip()
