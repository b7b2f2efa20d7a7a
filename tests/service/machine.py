"""A machine of its own for the unit: a real systemd, booted by systemd-nspawn on a hand-made root, offline.

The root borrows /usr and the Python environment of the machine that runs the tests, read-only. Everything that the
install guide copies is copied here the same way, so what is tested is what a hospital gets.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.peers.process import eventually

ROOT = Path(__file__).resolve().parents[2]
UNIT = "dicomnode.service"
SYSTEMD = ROOT / "systemd"
FOLDERS = ("dev", "etc/systemd/system", "etc/sysusers.d", "etc/tmpfiles.d", "etc/dicomnode", "exchange", "opt/python",
           "opt/dicomnode/bin", "opt/dicomnode/packages", "opt/dicomnode/source", "proc", "root", "run", "sys", "tmp",
           "usr", "var")  # fmt: skip
TARGET = "[Unit]\nRequires=basic.target\nAfter=basic.target\n"


def can_boot() -> bool:
    """Tell whether this user may boot a machine here."""
    return os.geteuid() == 0 and shutil.which("systemd-nspawn") is not None


def _python() -> Path:
    """Return the interpreter as the machine sees it; one outside of /usr is borrowed as /opt/python."""
    base = Path(sys.base_prefix)
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return Path("/usr/bin") / name if base == Path("/usr") else Path("/opt/python/bin") / name


def _packages() -> Path:
    return next(Path(entry) for entry in sys.path if entry.endswith("site-packages"))


def _is_first_in_its_namespace(pid: str) -> bool:
    """Tell whether this is the machine's init; systemd-nspawn has other, short-lived children before."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    ids = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
    return status.startswith("Name:\tsystemd\n") and len(ids) > 1 and ids[-1] == "1"


class Machine:
    """One booted machine; `exchange` is a folder that both sides see, as /exchange inside."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.exchange = folder / "exchange"
        self._console = folder / "console.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def make(self) -> None:
        """Lay out the root as `docs/install.md` says."""
        for name in FOLDERS:
            (self.root / name).mkdir(parents=True)
        self.exchange.mkdir()
        for name in ("bin", "sbin", "lib", "lib64"):
            (self.root / name).symlink_to(f"usr/{name}")
        etc = self.root / "etc"
        (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n")
        (etc / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
        (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
        (etc / "hosts").write_text("127.0.0.1 localhost\n")
        (etc / "os-release").write_text("ID=tests\n")
        (etc / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        (etc / "systemd/system/tests.target").write_text(TARGET)
        self.copy("dicomnode.service", f"systemd/system/{UNIT}")
        for name in ("dicomnode-backup.service", "dicomnode-backup.timer"):
            self.copy(name, f"systemd/system/{name}")
        self.copy("sysusers.conf", "sysusers.d/dicomnode.conf")
        self.copy("tmpfiles.conf", "tmpfiles.d/dicomnode.conf")
        command = self.root / "opt/dicomnode/bin/dicomnode"
        command.write_text(
            "#!/bin/sh\nexport PYTHONPATH=/opt/dicomnode/source:/opt/dicomnode/packages\n"
            "export LD_LIBRARY_PATH=/opt/python/lib OMP_NUM_THREADS=1\n"
            f"exec {_python()} -c 'from dicomnode.cli.main import main; main()' \"$@\"\n"
        )
        command.chmod(0o755)

    def copy(self, name: str, to: str) -> None:
        """Copy a file of systemd/ to a place below /etc."""
        target = self.root / "etc" / to
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SYSTEMD / name, target)

    def drop_in(self, name: str, settings: Mapping[str, str] | None = None) -> None:
        """Add a drop-in: one of systemd/, or [Service] settings of the test."""
        to = f"systemd/system/{UNIT}.d/{name}"
        if settings is None:
            self.copy(name, to)
            return
        path = self.root / "etc" / to
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[Service]\n" + "".join(f"{key}={value}\n" for key, value in settings.items()))

    def boot(self) -> None:
        """Boot, and wait until systemd has reached the target."""
        binds = [
            "--bind-ro=/usr", f"--bind-ro={_packages()}:/opt/dicomnode/packages",
            f"--bind-ro={ROOT}:/opt/dicomnode/source", f"--bind={self.exchange}:/exchange",
        ]  # fmt: skip
        binds += ["--bind-ro=/etc/ld.so.cache", "--bind-ro=/etc/alternatives", "--bind-ro=/etc/ssl"]
        binds += [f"--bind-ro=/etc/{name}" for name in ("dcmtk",) if Path("/etc", name).exists()]
        if Path(sys.base_prefix) != Path("/usr"):
            binds.append(f"--bind-ro={sys.base_prefix}:/opt/python")
        command = [
            "systemd-nspawn", "--quiet", "--directory", str(self.root), "--register=no", "--keep-unit",
            "--private-network", *binds, "--boot", "systemd.unit=tests.target",
        ]  # fmt: skip
        # without the unified hierarchy, each stop inside waits for its time-out
        environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        with self._console.open("wb") as console:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT, env=environment
            )
        self._leader = eventually(self._first_child, "the machine's first process", timeout_s=60)
        eventually(self._is_up, "systemd to reach its target", timeout_s=120, every_s=0.5)
        self.run("systemd-sysusers")
        self.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/dicomnode.conf")

    def _first_child(self) -> int:
        assert self._process is not None
        assert self._process.poll() is None, self._console.read_text(errors="replace")
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return next((int(pid) for pid in children if _is_first_in_its_namespace(pid)), 0)

    def _is_up(self) -> bool:
        return self.run("systemctl", "is-active", "tests.target", check=False).stdout.strip() == "active"

    def run(self, *command: str, check: bool = True, timeout_s: float = 180) -> subprocess.CompletedProcess[str]:
        """Run a command as the machine's root and return what it printed."""
        done = subprocess.run(
            ["nsenter", "--target", str(self._leader), "--all", *command],
            capture_output=True, text=True, timeout=timeout_s, check=False, env={"PATH": "/usr/sbin:/usr/bin"}, cwd="/",
        )  # fmt: skip
        assert not check or done.returncode == 0, (
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}\n{self.journal()[-6000:]}"
        )
        return done

    def systemctl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run systemctl on our unit."""
        return self.run("systemctl", *arguments, UNIT, check=check)

    def fact(self, name: str) -> str:
        """Return a property of our unit."""
        return self.systemctl("show", "--value", "--property", name).stdout.strip()

    @property
    def main_pid(self) -> int:
        """The pid of the node inside the machine."""
        return int(self.fact("MainPID"))

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a process of the machine."""
        self.run("kill", f"-{number.name}", str(pid))

    def journal(self) -> str:
        """Return our unit's log."""
        done = subprocess.run(
            ["nsenter", "--target", str(self._leader), "--all", "journalctl", "--no-pager", "-o", "cat", "-u", UNIT],
            capture_output=True, text=True, check=False, cwd="/", env={"PATH": "/usr/bin"},
        )  # fmt: skip
        return done.stdout

    def power_off(self) -> None:
        """End the machine."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
