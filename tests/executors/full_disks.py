"""A disk that is full on one node: whatever is started there sees a folder that others share, and can write nothing to it."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

__all__ = ["no_full_disks", "with_full_disk"]


def with_full_disk(folder: Path, scratch: Path, command: Sequence[str]) -> list[str]:
    """A command that starts another in a mount namespace of its own, where ``folder`` is read as it is, and each write to it ends with
    "no space left on device".

    Args:
        folder: the shared folder; it has to be there.
        scratch: an empty folder.
        command: what to start.
    """
    small, at = shlex.quote(str(scratch)), shlex.quote(str(folder))
    lines = [
        f"mount -t tmpfs -o size=16k tmpfs {small}",
        f"mkdir {small}/written {small}/work",
        f"(cat /dev/zero > {small}/ballast) 2>/dev/null || true",
        f"mount -t overlay overlay -o lowerdir={at},upperdir={small}/written,workdir={small}/work {at}",
        'exec "$@"',
    ]
    return ["unshare", "--mount", "sh", "-ec", "\n".join(lines), "sh", *command]


@cache
def no_full_disks() -> str | None:
    """Why there can be none here; None where there can."""
    import tempfile

    if os.geteuid() != 0:
        return "file systems are mounted by root only"
    with tempfile.TemporaryDirectory() as name:
        folder, scratch = Path(name, "shared"), Path(name, "scratch")
        folder.mkdir()
        scratch.mkdir()
        (folder / "there").write_text("seen")
        try:
            tried = ["sh", "-c", f"cat {folder}/there && ! (echo more > {folder}/new) 2>/dev/null"]
            done = subprocess.run(
                with_full_disk(folder, scratch, tried), capture_output=True, text=True, check=False, timeout=60
            )
        except OSError as error:
            return f"no mount namespaces here: {error}"
    return None if (done.returncode, done.stdout) == (0, "seen") else f"no overlays can be mounted here: {done.stderr}"
