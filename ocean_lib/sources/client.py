"""The Copernicus Marine service through its client `copernicusmarine`: login, retries, time limits.

Left alone, the client asks for a password, and waits for minutes on a dead network without saying
why. Here a login must exist and the service must answer before anything is transferred; failed
transfers are retried, then reported. The client's error texts are not repeated, because their
addresses contain the user's name.

The client is imported only here, and only when something is fetched.
"""

import logging
import netrc
import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import numpy as np

__all__ = ["AGAIN", "LOGIN", "arriving", "call_upon", "client", "coverage", "login", "tried"]


LOGIN = (
    "no Copernicus Marine login is found; register free of charge at "
    "https://data.marine.copernicus.eu/register, then run `copernicusmarine login` once, or set "
    "COPERNICUSMARINE_SERVICE_USERNAME and COPERNICUSMARINE_SERVICE_PASSWORD"
)
AGAIN = "then run the same again: finished months are kept"  # ends error messages
HOSTS = ("auth.marine.copernicus.eu", "default_host")
SERVICE = "https://stac.marine.copernicus.eu/clients-config-v1"  # answers if the service is up
TRIES = 3
WAIT = 1.0  # s before the second try, four times as long before the third
PATIENCE = 60.0  # s without any arriving data after which a transfer fails
Result = TypeVar("Result")


def login() -> str | None:
    """Where the client finds a login, or None.

    It looks in the environment, its own file, then the user's netrc.
    """
    names = [f"COPERNICUSMARINE_SERVICE_{name}" for name in ("USERNAME", "PASSWORD")]
    if all(os.environ.get(name) for name in names):
        return "environment variables"
    home = Path(os.environ.get("COPERNICUSMARINE_CREDENTIALS_DIRECTORY") or Path.home())
    stored = home / ".copernicusmarine" / ".copernicusmarine-credentials"
    if stored.is_file() and stored.stat().st_size:
        return str(stored)
    file = Path.home() / ("_netrc" if os.name == "nt" else ".netrc")
    try:
        entries = netrc.netrc(file)
    except (OSError, netrc.NetrcParseError):
        return None
    return str(file) if any(entries.authenticators(host) for host in HOSTS) else None


def client() -> ModuleType:
    """The client's package, with little output.

    Raises:
        PermissionError: there is no login.
    """
    if login() is None:
        raise PermissionError(LOGIN)
    # The client reads this when imported; `tried` retries instead.
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


def coverage(dataset_id: str) -> tuple[str, str] | None:
    """First and last complete month of a dataset at the service, None if it does not exist."""
    package = client()
    try:
        described = package.describe(
            dataset_id=dataset_id, disable_progress_bar=True, raise_on_error=True
        )
    except package.DatasetNotFound:
        return None
    times: set[float] = set()
    services = described.products[0].datasets[0].versions[0].parts[0].services
    variables = [variable for part in services for variable in part.variables or []]
    for axis in (axis for variable in variables for axis in variable.coordinates):
        if axis.coordinate_id == "time":
            ends = axis.minimum_value, axis.maximum_value
            listed = axis.values or [*ends, ends[1] - (axis.step or np.inf)]
            times |= {float(t) for t in listed if t is not None and np.isfinite(t)}
    dates = np.array(sorted(times)).astype("datetime64[ms]")
    first, last = dates[0].astype("M8[M]"), dates[-1].astype("M8[M]")
    daily = len(dates) > 1 and dates[-1] - dates[-2] < np.timedelta64(20, "D")
    if daily and (dates[-1] + np.timedelta64(1, "D")).astype("M8[M]") == last:
        last -= 1
    return str(first), str(last)


def _describe(error: Exception) -> str:
    """An error in words without an address."""
    from botocore.exceptions import ClientError

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if status:
        return f"it answers {status}"
    return str(error) if type(error) is TimeoutError else type(error).__name__


def tried(work: Callable[[], Result], what: str) -> Result:
    """The result of `work`, retried if the service or the network fails.

    Args:
        work: called without arguments.
        what: names the work in errors.

    Raises:
        ConnectionError: all tries failed, or the service cannot be reached.
        PermissionError: the login is refused.
        ValueError: the service does not hold the dataset or region.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    package = client()
    passing = (OSError, BotoCoreError, ClientError, package.CouldNotConnectToAuthenticationSystem)
    for attempt in range(TRIES):
        if attempt:
            time.sleep(WAIT * 4 ** (attempt - 1))
        try:
            return work()
        except PermissionError:  # not a network problem, though an OSError
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
            problem = _describe(error)
        try:
            call_upon()
        except OSError as error:
            problem = f"the service cannot be reached: {_describe(error)}"
            # A service that answers with an error may recover; a dead line does not.
            if getattr(error, "response", None) is None and attempt:
                break
    raise ConnectionError(
        f"{what}: tried {attempt + 1} times, {problem}; check the network, {AGAIN}"
    )


def arriving(work: Callable[[], Result], arrived: Callable[[], float]) -> Result:
    """The result of `work`, run in a thread and abandoned if its data stop arriving.

    Args:
        work: called without arguments; its exceptions are raised here.
        arrived: returns the amount that has arrived; the wait ends if it does not change for
            `PATIENCE` seconds.

    Raises:
        TimeoutError: nothing arrived for so long.
    """
    done: queue.Queue = queue.Queue(1)

    def in_thread() -> None:
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
