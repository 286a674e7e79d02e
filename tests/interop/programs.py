"""The programs of rust-payjoin that take part: found, or built by cargo."""

import os
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

HERE = Path(__file__).parent / "peer"
MAILROOM_VERSION = "0.1.3"
GET_CARGO = "no cargo on PATH: install Rust 1.85 or newer (https://rustup.rs)"


@dataclass(frozen=True, slots=True)
class Program:
    """A program that can be started, and what it is."""

    path: Path
    version: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A program that cannot be had here, and how to get it."""

    why: str


@dataclass(frozen=True, slots=True)
class Peers:
    """What there is of rust-payjoin."""

    peer: Program | Missing
    mailroom: Program | Missing

    @classmethod
    def built(cls) -> Self:
        return cls(peer(), mailroom())


def peer() -> Program | Missing:
    cargo = shutil.which("cargo")
    if cargo is None:
        return Missing(GET_CARGO)
    target = _target()
    built = subprocess.run(
        [cargo, "build", "--quiet", "--release", "--manifest-path", HERE / "Cargo.toml"],
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
        check=False,
    )
    if built.returncode:
        return Missing("cargo could not build tests/interop/peer: see its messages above")
    return Program(target / "release" / "payjoin-peer", f"payjoin {peer_version()}")


def peer_version() -> str:
    manifest = tomllib.loads((HERE / "Cargo.toml").read_text())
    return str(manifest["dependencies"]["payjoin"]["version"]).removeprefix("=")


def mailroom() -> Program | Missing:
    """`payjoin-mailroom`: the one `PAYJOIN_MAILROOM` or PATH names, else installed by cargo."""
    named = os.environ.get("PAYJOIN_MAILROOM") or shutil.which("payjoin-mailroom")
    if named:
        return _found(Path(named))
    root = _target() / "mailroom"
    path = root / "bin" / "payjoin-mailroom"
    if path.exists():
        return _found(path)
    cargo = shutil.which("cargo")
    if cargo is None:
        return Missing(f"{GET_CARGO}, or name a payjoin-mailroom in PAYJOIN_MAILROOM")
    wanted = f"payjoin-mailroom@{MAILROOM_VERSION}"
    installed = subprocess.run(
        [cargo, "install", "--quiet", "--locked", "--root", root, wanted], check=False
    )
    if installed.returncode:
        return Missing(f"cargo could not install {wanted}: see its messages above")
    return _found(path)


def _found(path: Path) -> Program | Missing:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return Missing(f"{path.name} does not start: correct PAYJOIN_MAILROOM")
    return Program(path, said.stdout.strip())


def _target() -> Path:
    named = os.environ.get("CARGO_TARGET_DIR")
    return Path(named) if named else HERE / "target"
