"""Downloads from a server on this machine that can cut, lie and forget."""

import hashlib
import http.server
import threading
from contextlib import contextmanager

import pytest

from minigan.data import download
from minigan.data.download import cache_folder, fetch
from minigan.errors import DataError

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT at /good, and at the other paths what their names say."""

    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("Range")))
        if self.path == "/missing":
            self.send_error(404)
            return
        content = bytes(len(CONTENT)) if self.path == "/wrong" else CONTENT
        start = 0
        if self.headers.get("Range") and self.path != "/no-range":
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + 200_000 if self.path == "/cut" else len(content)
        self.wfile.write(content[start:end])

    def log_message(self, *args): ...


@contextmanager
def serving():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests = []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def running():
    with serving() as server:
        yield server


@pytest.fixture
def server(running):
    running.requests.clear()
    return running


def part_of(path):
    return path.with_name(path.name + ".part")


@pytest.mark.parametrize("checksum", [SHA256, MD5])
def test_a_good_file_arrives_and_is_not_asked_for_again(tmp_path, server, checksum):
    path = tmp_path / "deep" / "f"
    for _ in range(2):
        assert fetch(path, [server.url + "/good"], checksum).read_bytes() == CONTENT
    assert server.requests == [("/good", None)]
    assert list(path.parent.iterdir()) == [path]


def test_a_connection_that_is_cut_is_resumed(tmp_path, server):
    fetch(tmp_path / "f", [server.url + "/cut"], SHA256)
    assert [ranges for _, ranges in server.requests] == [None, "bytes=200000-", "bytes=400000-"]
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_the_part_of_an_earlier_run_is_used(tmp_path, server):
    part_of(tmp_path / "f").write_bytes(CONTENT[:1000])
    fetch(tmp_path / "f", [server.url + "/good"], SHA256)
    assert server.requests == [("/good", "bytes=1000-")]


def test_a_whole_part_needs_only_its_checksum(tmp_path, server):
    part_of(tmp_path / "f").write_bytes(CONTENT)
    assert fetch(tmp_path / "f", [server.url + "/good"], SHA256).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_everything_again(tmp_path, server):
    part_of(tmp_path / "f").write_bytes(CONTENT[:1000])
    assert fetch(tmp_path / "f", [server.url + "/no-range"], SHA256).read_bytes() == CONTENT


def test_a_damaged_part_is_thrown_away(tmp_path, server):
    part_of(tmp_path / "f").write_bytes(b"something else")
    assert fetch(tmp_path / "f", [server.url + "/good"], SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("bad", ["/missing", "/wrong"])
def test_the_next_mirror_steps_in(tmp_path, server, bad):
    assert fetch(tmp_path / "f", [server.url + bad, server.url + "/good"], SHA256).read_bytes() == CONTENT


def test_no_server_at_all(tmp_path):
    with serving() as gone:
        url = gone.url
    with pytest.raises(DataError, match="could not download f .*refused.*: check the connection, or put the file into"):
        fetch(tmp_path / "f", [url + "/good"], SHA256)


def test_a_wrong_file_never_gets_its_name(tmp_path, server):
    with pytest.raises(DataError, match="/wrong: the checksum is wrong; .*/missing: Not Found"):
        fetch(tmp_path / "f", [server.url + "/wrong", server.url + "/missing"], SHA256)
    assert not list(tmp_path.iterdir())


def test_a_file_without_end_is_given_up(tmp_path, server, monkeypatch):
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="far too large"):
        fetch(tmp_path / "f", [server.url + "/good"], SHA256)


def test_a_cache_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot write to the cache folder .*set MINIGAN_CACHE to another"):
        fetch(tmp_path / "file" / "f", ["http://127.0.0.1:9/"], SHA256)


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("MINIGAN_CACHE")
    assert cache_folder().name == "minigan"
