"""Files from the internet: several mirrors, resumed after a cut, verified, and only then given their name.

A download grows in `name.part`. What is there is asked for no second time (HTTP Range). When the checksum is right the
file is renamed to `name`. A file that has its name already is verified again each time.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from minigan.common.terminal import bar
from minigan.errors import DataError

ATTEMPTS = 3  # per mirror; each goes on where the last was cut off
MAX_BYTES = 1 << 30  # no data set here is larger; a server that never stops shall not fill the disk
CHUNK = 1 << 16


def cache_folder() -> Path:
    """Return the folder for downloads: `$MINIGAN_CACHE`, or the platform's cache folder for minigan."""
    if chosen := os.environ.get("MINIGAN_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "minigan"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "minigan"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigan"


def fetch(path: Path, urls: Sequence[str], checksum: str, timeout: float = 20) -> Path:
    """Make sure that `path` is there and whole, downloading it from the first of `urls` that has it.

    `checksum` is the hexadecimal SHA-256 or MD5 of the file. Raises DataError if a file is there that has another, if
    no mirror gives the right file (with the failure of each), or if the folder cannot be written to. After a failure,
    what has arrived is kept.
    """
    if path.exists():
        if _digest(path, checksum) != checksum:
            raise DataError(f"{path} is damaged, its checksum is wrong: delete it to have it downloaded again")
        return path
    part, new_folder = path.with_name(path.name + ".part"), not path.parent.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    except OSError as error:
        raise DataError(
            f"cannot write to the cache folder {path.parent} ({error.strerror}): set MINIGAN_CACHE to another"
        ) from error
    failures = []
    for url in urls:
        if reason := _try_mirror(url, part, checksum, timeout):
            failures.append(f"{url}: {reason}")
        else:
            part.replace(path)
            return path
    if not part.stat().st_size:
        part.unlink()
        if new_folder:
            with suppress(OSError):  # not if somebody else has put a file there
                path.parent.rmdir()
    raise DataError(
        f"could not download {path.name} ({'; '.join(failures)}): "
        f"check the connection, or put the file into {path.parent}"
    )


def _try_mirror(url: str, part: Path, checksum: str, timeout: float) -> str | None:
    """Download `url` to `part`. Return None if it arrived and its checksum is right, otherwise the reason."""
    reason = ""
    for _ in range(ATTEMPTS):
        before = part.stat().st_size
        try:
            complete = _continue(url, part, timeout)
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", None) or error) or type(error).__name__
            if part.stat().st_size == before:
                break  # nothing came: the next mirror may do better
            continue
        if not complete:
            reason = "the connection was cut"
        elif _digest(part, checksum) == checksum:
            return None
        else:
            reason = "the checksum is wrong"
            part.write_bytes(b"")
    return reason


def _continue(url: str, part: Path, timeout: float) -> bool:
    """Append to `part` what it lacks of `url`; return whether it is complete."""
    have = part.stat().st_size
    request = urllib.request.Request(url, headers={"User-Agent": "minigan"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return True  # nothing lies beyond what we have: the checksum decides
        raise
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        have = have if resumed else 0  # a server may ignore Range and send everything
        length = response.headers.get("Content-Length")
        total = have + int(length) if length and length.isdecimal() else None
        with (
            part.open("ab" if resumed else "wb") as file,
            bar(desc=part.stem, initial=have, total=total, unit="B", unit_scale=True, leave=True) as shown,
        ):
            while chunk := response.read(CHUNK):
                have += file.write(chunk)
                shown.update(len(chunk))
                if have > MAX_BYTES:
                    raise OSError("the file is far too large")
    return total is None or have == total


def _digest(path: Path, like: str) -> str:
    """Return the MD5 or the SHA-256 of a file in hexadecimal, whichever is as long as `like`."""
    digest = hashlib.md5(usedforsecurity=False) if len(like) == 32 else hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
