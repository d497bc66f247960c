"""Download files from several mirrors. Interrupted downloads resume, and a file gets its name only after verification.

A download grows in `name.part`, and resumes there (HTTP Range). Once its checksum is right, it is renamed to `name`. A
file that already exists as `name` is verified again each time.
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

ATTEMPTS = 3  # per mirror; each resumes where the last was interrupted
MAX_BYTES = 1 << 30  # more than any data set here has, so that a server that never stops can't fill the disk
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
    """Return `path` once it is complete and verified, downloading it from the first of `urls` that works.

    `checksum` is the hexadecimal SHA-256 or MD5 of the file. Raises DataError if an existing file has another checksum,
    if all mirrors fail (with the reason of each), or if the folder is not writable. After a failure, the partial
    download is kept.
    """
    if path.exists():
        if file_checksum(path, checksum) != checksum:
            raise DataError(f"{path} is damaged, its checksum is wrong: delete it to have it downloaded again")
        return path
    part, new_folder = path.with_name(path.name + ".part"), not path.parent.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    except OSError as error:
        what = f"cannot write to the cache folder {path.parent} ({error.strerror})"
        raise DataError(f"{what}: set MINIGAN_CACHE to another") from error
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
            with suppress(OSError):  # not empty if another process has put a file there
                path.parent.rmdir()
    what = f"could not download {path.name} ({'; '.join(failures)})"
    raise DataError(f"{what}: check the connection, or put the file into {path.parent}")


def _try_mirror(url: str, part: Path, checksum: str, timeout: float) -> str | None:
    """Download `url` to `part`. Return None if the file is complete and verified, otherwise the reason."""
    reason = ""
    for _ in range(ATTEMPTS):
        before = part.stat().st_size
        try:
            complete = _resume(url, part, timeout)
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", None) or error) or type(error).__name__
            if part.stat().st_size == before:
                break  # no progress: try the next mirror
            continue
        if not complete:
            reason = "the connection was cut"
        elif file_checksum(part, checksum) == checksum:
            return None
        else:
            reason = "the checksum is wrong"
            part.write_bytes(b"")
    return reason


def _resume(url: str, part: Path, timeout: float) -> bool:
    """Append the missing part of `url` to `part`; return whether the file is complete."""
    have = part.stat().st_size
    request = urllib.request.Request(url, headers={"User-Agent": "minigan"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return True  # the server has no more bytes than we have: the checksum decides
        raise
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        have = have if resumed else 0  # a server may ignore Range and send the whole file
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


def file_checksum(path: Path, like: str = "") -> str:
    """Return the SHA-256 of a file in hexadecimal, or its MD5 if `like` has the length of an MD5."""
    digest = hashlib.md5(usedforsecurity=False) if len(like) == 32 else hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
