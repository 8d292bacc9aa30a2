"""The Copernicus Marine service by its own client: the login, and what may go wrong.

The client would ask for a password, wait for minutes on a dead network, and say nothing of why.
So the login is looked for beforehand (whether there is one, not what it says), the service is
called upon before anything else, and whatever does not arrive is asked for again a few times, then
named.  What the client says of an error is not repeated: its addresses hold the user's name.

The client is imported only here, and only when something is to be fetched.
"""

import logging
import netrc
import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["AGAIN", "LOGIN", "arriving", "call_upon", "client", "login", "tried"]


LOGIN = (
    "no Copernicus Marine login is found; register free of charge at "
    "https://data.marine.copernicus.eu/register, then run `copernicusmarine login` once, or set "
    "COPERNICUSMARINE_SERVICE_USERNAME and COPERNICUSMARINE_SERVICE_PASSWORD"
)
AGAIN = "then run the same again: finished months are kept"
HOSTS = ("auth.marine.copernicus.eu", "default_host")
SERVICE = "https://stac.marine.copernicus.eu/clients-config-v1"  # answers where the service does
TRIES = 3
WAIT = 1.0  # s before the second try, four times as long before the third
PATIENCE = 60.0  # s in which something must arrive


def login() -> str | None:
    """Where the client finds a login, in words, or None.

    The client looks into the environment, its own file, then the user's netrc.
    """
    names = [f"COPERNICUSMARINE_SERVICE_{name}" for name in ("USERNAME", "PASSWORD")]
    if all(os.environ.get(name) for name in names):
        return "environment variables"
    home = Path(os.environ.get("COPERNICUSMARINE_CREDENTIALS_DIRECTORY") or Path.home())
    own = home / ".copernicusmarine" / ".copernicusmarine-credentials"
    if own.is_file() and own.stat().st_size:
        return str(own)
    file = Path.home() / ("_netrc" if os.name == "nt" else ".netrc")
    try:
        known = netrc.netrc(file)
    except (OSError, netrc.NetrcParseError):
        return None
    return str(file) if any(known.authenticators(host) for host in HOSTS) else None


def client():
    """The client's package, told to be brief."""
    if login() is None:
        raise PermissionError(LOGIN)
    # It reads the environment when it is imported; tries and waits are made here.
    os.environ.setdefault("COPERNICUSMARINE_HTTPS_RETRIES", "0")
    import copernicusmarine

    logging.getLogger("copernicusmarine").setLevel(logging.ERROR)
    return copernicusmarine


def call_upon() -> None:
    """Raise OSError unless the service answers."""
    import requests

    address = os.environ.get("COPERNICUSMARINE_CONFIG_URL") or SERVICE
    with requests.get(address, timeout=5) as answer:
        answer.raise_for_status()


def _told(error: Exception) -> str:
    """An error in words that hold no address."""
    from botocore.exceptions import ClientError

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if status:
        return f"it answers {status}"
    return str(error) if type(error) is TimeoutError else type(error).__name__


def tried(work: Callable, what: str):
    """The result of `work`, tried a few times where the service or the network fails.

    Raises:
        ConnectionError: it failed every time, or the service cannot be reached at all.
        PermissionError: the login is refused.    ValueError: a dataset or region is not held.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    package = client()
    passing = (OSError, BotoCoreError, ClientError, package.CouldNotConnectToAuthenticationSystem)
    for attempt in range(TRIES):
        if attempt:
            time.sleep(WAIT * 4 ** (attempt - 1))
        try:
            return work()
        except PermissionError:  # no matter of the network
            raise
        except package.InvalidUsernameOrPassword:
            raise PermissionError(
                f"Copernicus Marine refuses the login from {login()}; correct it there, or by "
                "`copernicusmarine login --force-overwrite`"
            ) from None
        except package.CoordinatesOutOfDatasetBounds as error:
            raise ValueError(f"{what}: {error}; choose a region and months inside") from None
        except package.VariableDoesNotExistInTheDataset as error:
            raise ValueError(
                f"{what}: the service holds no variable of that name ({error})"
            ) from None
        except passing as error:
            told = _told(error)
        try:
            call_upon()
        except OSError as error:
            told = f"the service cannot be reached: {_told(error)}"
            # An answer, though a bad one, may be better the next time; a dead line is not.
            if getattr(error, "response", None) is None and attempt:
                break
    raise ConnectionError(f"{what}: tried {attempt + 1} times, {told}; check the network, {AGAIN}")


def arriving(work: Callable, arrived: Callable[[], float]):
    """The result of `work`, in a thread of its own, given up where nothing arrives any more.

    Args:
        arrived: how much has arrived; when it has not changed for `PATIENCE`, that is the end.
    Raises:
        TimeoutError: nothing arrived.    Whatever `work` raises.
    """
    done: queue.Queue = queue.Queue(1)

    def in_thread():
        try:
            done.put((work(), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=in_thread, daemon=True).start()
    last, since = arrived(), time.monotonic()
    while True:
        try:
            result, error = done.get(timeout=0.5)
        except queue.Empty:
            if (now := arrived()) != last:
                last, since = now, time.monotonic()
            if time.monotonic() - since > PATIENCE:
                raise TimeoutError(f"nothing has arrived for {PATIENCE:.0f} s") from None
            continue
        if error is not None:
            raise error
        return result
