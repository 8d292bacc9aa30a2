"""The login and the retries, with functions in place of the service."""

import threading
import time

import pytest

from ocean_lib.sources import client


@pytest.fixture
def quick(monkeypatch, no_login):
    monkeypatch.setenv("COPERNICUSMARINE_SERVICE_USERNAME", "tester")
    monkeypatch.setenv("COPERNICUSMARINE_SERVICE_PASSWORD", "secret")
    monkeypatch.setattr(client, "WAIT", 0.0)
    monkeypatch.setattr(client, "call_upon", lambda: None)


def test_a_login_is_found_where_the_client_finds_it(no_login, monkeypatch):
    assert client.login() is None
    netrc = no_login / ".netrc"
    netrc.write_text("machine example.org login somebody password else\n")
    netrc.chmod(0o600)
    assert client.login() is None  # of another host: the client would ask
    netrc.write_text("machine auth.marine.copernicus.eu login somebody password else\n")
    assert client.login() == str(netrc)
    own = no_login / ".copernicusmarine" / ".copernicusmarine-credentials"
    own.parent.mkdir()
    own.touch()
    assert client.login() == str(netrc)  # an empty file is none
    own.write_text("…")
    assert client.login() == str(own)
    monkeypatch.setenv("COPERNICUSMARINE_SERVICE_USERNAME", "tester")
    assert client.login() == str(own)
    monkeypatch.setenv("COPERNICUSMARINE_SERVICE_PASSWORD", "secret")
    assert client.login() == "environment variables"


def test_without_a_login_the_client_is_not_called(no_login):
    with pytest.raises(PermissionError, match="register"):
        client.client()


def test_what_fails_is_tried_three_times_and_then_named(quick):
    failures = [OSError("at https://host/?user=tester"), TimeoutError("nothing for 1 s")]
    left = list(failures)

    def work():
        if left:
            raise left.pop(0)
        return "done"

    assert client.tried(work, "it") == "done"
    left = [*failures, OSError("at https://host/?user=tester"), "too much"]
    with pytest.raises(ConnectionError, match="it: tried 3 times, OSError; check") as caught:
        client.tried(work, "it")
    assert "tester" not in str(caught.value) and left == ["too much"]


def test_a_service_that_answers_badly_is_tried_to_the_end_a_dead_line_is_not(quick, monkeypatch):
    import requests

    def answers(error):
        def call():
            calls.append(1)
            raise error

        return call

    bad = requests.Response()
    bad.status_code = 503
    for error, number, words in (
        (requests.HTTPError("at https://host", response=bad), 3, "3 times.*answers 503"),
        (requests.ConnectionError("at https://host"), 2, "2 times.*cannot be reached"),
    ):
        calls = []
        monkeypatch.setattr(client, "call_upon", answers(error))
        with pytest.raises(ConnectionError, match=words):
            client.tried(answers(OSError()), "it")
        assert len(calls) == 2 * number  # the work, and the service


def test_a_mistake_is_not_tried_again(quick):
    calls = []

    def work():
        calls.append(1)
        raise KeyError("thetao")

    with pytest.raises(KeyError):
        client.tried(work, "it")
    assert calls == [1]


def test_work_that_makes_progress_is_waited_for_and_silence_is_not(monkeypatch):
    monkeypatch.setattr(client, "PATIENCE", 0.7)
    began = time.monotonic()

    def slow():
        time.sleep(2.0)
        return "arrived"

    assert client.arriving(slow, time.monotonic) == "arrived"  # more at every look
    assert time.monotonic() - began >= 2.0
    never = threading.Event()
    with pytest.raises(TimeoutError, match="nothing has arrived"):
        client.arriving(never.wait, lambda: 0)
    never.set()

    def broken():
        raise LookupError("no")

    with pytest.raises(LookupError):
        client.arriving(broken, lambda: 0)
