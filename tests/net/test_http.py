"""The client against a real server on loopback that misbehaves."""

from __future__ import annotations

import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from sparktrends.errors import BadRecord, BadSetting, SparkTrendsError, Unavailable, UnknownOutcome
from sparktrends.net.addresses import AddressGuard
from sparktrends.net.http import Clients, Http, Limits
from sparktrends.net.redaction import Secret
from sparktrends.telemetry import system_clock

CANARY = "canary-77aa11bb"
BOMB = gzip.compress(b"\0" * 50_000_000)  # made once: no client waits for it
seen: list[tuple[str, dict[str, str]]] = []


class Handler(BaseHTTPRequestHandler):
    """Answers by path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        getattr(self, "on_" + self.path.strip("/").partition("?")[0].partition("/")[0], self.on_plain)()

    do_POST = do_GET

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"content_length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def on_plain(self) -> None:
        self.answer(b'{"ok":true}', X_Used="5")

    def on_redirect(self) -> None:
        self.answer(b"", 302, Location="http://169.254.169.254/latest/meta-data")

    def on_zipped(self) -> None:
        self.answer(gzip.compress(b"x" * 1000), Content_Encoding="gzip")

    def on_bomb(self) -> None:
        self.answer(BOMB, Content_Encoding="gzip")

    def on_halfzip(self) -> None:
        self.answer(gzip.compress(b"x" * 1000)[:-12], Content_Encoding="gzip")

    def on_notzip(self) -> None:
        self.answer(b"plain", Content_Encoding="gzip")

    def on_brotli(self) -> None:
        self.answer(b"plain", Content_Encoding="br")

    def on_huge(self) -> None:
        self.answer(b"x" * 200_000)

    def on_half(self) -> None:
        self.answer(b"half", content_length="1000")
        self.close_connection = True

    def on_drip(self) -> None:
        self.answer(b"", content_length="1000")
        for _ in range(200):
            self.wfile.write(b"x")
            time.sleep(0.05)

    def on_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in range(200):
            self.wfile.write(b"x")
            time.sleep(0.05)

    def on_silent(self) -> None:
        time.sleep(1.5)
        self.close_connection = True

    def on_hangup(self) -> None:
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """A client that left is no error of the server."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(60)


def client_with(limits: Limits) -> Http:
    guard = AddressGuard(allowed={"127.0.0.1", "feed.test"}, resolver=lambda host, port: ["127.0.0.1"])
    return Http(system_clock, guard, limits)


@pytest.fixture
def http() -> Iterator[Http]:
    with client_with(Limits(connect=30.0, read=30.0, total=30.0, body=100_000)) as client:
        yield client


@pytest.fixture
def hurried() -> Iterator[Http]:
    """For servers that never come to an end; a good answer may take longer on a busy machine."""
    with client_with(Limits(connect=1.0, read=0.5, total=0.8, body=100_000)) as client:
        yield client


def test_an_answer_has_status_body_headers_and_time(http: Http, base: str) -> None:
    before = system_clock()
    response = http.get(base + "/plain", {"symbol": "BTC/USDT"})
    assert (response.status, response.body, response.headers["x-used"]) == (200, b'{"ok":true}', "5")
    assert before <= response.received <= system_clock()
    assert seen[-1][0] == "/plain?symbol=BTC%2FUSDT"


def test_a_secret_is_revealed_on_the_wire_only(http: Http, base: str) -> None:
    key = Secret(CANARY)
    response = http.get(base + "/plain?a=1", {"apikey": key}, {"X-Token": key.wrap("apikey {}")})
    assert seen[-1][0] == f"/plain?a=1&apikey={CANARY}"
    assert seen[-1][1]["x-token"] == f"apikey {CANARY}"
    assert CANARY not in repr(response)


def test_the_name_goes_into_the_host_header_and_the_pinned_address_is_called(http: Http, base: str) -> None:
    port = base.rpartition(":")[2]
    assert http.get(f"http://feed.test:{port}/plain").status == 200
    assert seen[-1][1]["host"] == f"feed.test:{port}"


def test_a_redirect_is_an_answer_and_is_not_followed(http: Http, base: str) -> None:
    assert http.get(base + "/redirect").status == 302


def test_loopback_is_refused_unless_it_was_allowed(base: str) -> None:
    with Http(system_clock) as client, pytest.raises(BadSetting):
        client.get(base + "/plain")


def test_a_packed_answer_is_unpacked(http: Http, base: str) -> None:
    assert http.get(base + "/zipped").body == b"x" * 1000


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/bomb", "too_large"), ("/huge", "too_large"), ("/halfzip", "bad_encoding"), ("/notzip", "bad_encoding"),
     ("/brotli", "bad_encoding")],
)  # fmt: skip
def test_an_answer_that_cannot_be_taken_is_a_bad_record(http: Http, base: str, path: str, reason: str) -> None:
    with pytest.raises(BadRecord) as caught:
        http.get(base + path)
    assert caught.value.reason == reason


@pytest.mark.parametrize("path", ["/half", "/drip", "/headers", "/silent", "/hangup"])
def test_no_answer_is_unavailable_for_a_get_and_unknown_for_a_post(hurried: Http, base: str, path: str) -> None:
    with pytest.raises(Unavailable):
        hurried.get(base + path)
    with pytest.raises(UnknownOutcome):
        hurried.post(base + path, {"text": "hello"})


@pytest.mark.parametrize("path", ["/drip", "/headers"])
def test_who_sends_byte_by_byte_is_left_when_the_whole_time_is_over(hurried: Http, base: str, path: str) -> None:
    begin = time.monotonic()
    with pytest.raises(Unavailable):
        hurried.get(base + path)
    # Each byte came in time; both would go on for ten seconds.
    assert 0.7 < time.monotonic() - begin < 5
    assert hurried.get(base + "/plain").status == 200


def test_nobody_listening_is_unavailable(http: Http) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unavailable):
        http.post(f"http://127.0.0.1:{port}/", {})


def tries(base: str) -> list[Callable[[Http], object]]:
    key = Secret(CANARY)
    return [
        lambda http: http.get(base + "/hangup", {"apikey": key}),
        lambda http: http.get(base + "/plain", headers={"X-Token": Secret(CANARY + "\n")}),
        lambda http: http.get(base + "/plain", headers={"X-Token": Secret(CANARY + "ü")}),
        lambda http: http.post(Secret(f"{base}/hangup/{CANARY}"), {}),
        lambda http: http.post(Secret(f"ftp://127.0.0.1/{CANARY}"), {}),
        lambda http: http.post(Secret(f"http://{CANARY}@127.0.0.1/"), {}),
        lambda http: http.post(Secret(f"http://[{CANARY}"), {}),
        lambda http: http.post(Secret(CANARY), {}),
        lambda http: http.get(base + "/bomb", {"apikey": key}),
    ]


def test_no_error_shows_a_key_a_path_or_a_query(http: Http, base: str) -> None:
    for attempt in tries(base):
        with pytest.raises(SparkTrendsError) as caught:
            attempt(http)
        assert CANARY not in str(caught.value) + repr(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ssl.SSLContext]]:
    """A TLS server whose certificate is for feed.test, and a context that trusts it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=feed.test"]
    subprocess.run([*made, "-addext", "subjectAltName=DNS:feed.test", "-keyout", key, "-out", cert], check=True,
                   capture_output=True, timeout=60)  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield str(server.server_port), ssl.create_default_context(cafile=cert)
    server.shutdown()
    server.server_close()
    thread.join(60)


def test_an_encrypted_answer_has_a_time_limit_for_the_whole_as_well(tls: tuple[str, ssl.SSLContext]) -> None:
    guard, begin = AddressGuard(allowed={"feed.test"}, resolver=lambda host, port: ["127.0.0.1"]), time.monotonic()
    with Http(system_clock, guard, Limits(read=0.5, total=0.8), tls[1]) as client, pytest.raises(Unavailable):
        client.get(f"https://feed.test:{tls[0]}/headers")
    assert 0.7 < time.monotonic() - begin < 5


@pytest.mark.parametrize(("host", "works"), [("feed.test", True), ("other.test", False)])
def test_the_certificate_must_be_the_names_although_an_address_is_called(
    tls: tuple[str, ssl.SSLContext], host: str, works: bool
) -> None:
    guard = AddressGuard(allowed={host}, resolver=lambda host, port: ["127.0.0.1"])
    with Http(system_clock, guard, trust=tls[1]) as client:
        if works:
            assert client.get(f"https://{host}:{tls[0]}/plain").status == 200
        else:
            with pytest.raises(Unavailable):
                client.get(f"https://{host}:{tls[0]}/plain")


def test_a_connection_that_was_checked_for_one_name_is_not_used_for_another(tls: tuple[str, ssl.SSLContext]) -> None:
    guard = AddressGuard(allowed={"feed.test", "other.test"}, resolver=lambda host, port: ["127.0.0.1"])
    with Http(system_clock, guard, trust=tls[1]) as client:
        assert client.get(f"https://feed.test:{tls[0]}/plain").status == 200
        with pytest.raises(Unavailable):
            client.get(f"https://other.test:{tls[0]}/plain")
        assert client.get(f"https://feed.test:{tls[0]}/plain").status == 200


def test_clients_are_kept_for_some_names_and_never_closed_in_use() -> None:
    made: list[httpx.Client] = []

    def make() -> httpx.Client:
        made.append(httpx.Client(verify=False))
        return made[-1]

    clients = Clients(make)
    with clients.of("held.test") as held:
        for number in range(100):
            with clients.of(f"{number}.test"):
                pass
        assert not held.is_closed
        with clients.of("held.test") as again:
            assert again is held
    assert sum(not client.is_closed for client in made) == 32
    with clients.of("99.test") as last:
        assert last is made[-1]
    clients.close()
    assert all(client.is_closed for client in made)


def test_a_certificate_that_nobody_vouches_for_is_not_taken(tls: tuple[str, ssl.SSLContext], http: Http) -> None:
    with pytest.raises(Unavailable):
        http.get(f"https://feed.test:{tls[0]}/plain")


def test_the_environment_changes_nothing(http: Http, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert http.get(base + "/plain").status == 200
