"""A Copernicus Marine data store on 127.0.0.1, for the unmodified client.

    with MarineStore(folder, archive.write(folder / "archive")) as store:
        subprocess.run(["copernicusmarine", "get", ...], env=store.environment())
        store.faults.append(Fault(match=".nc", times=2, status=503))

`archive` writes what the service holds, from the demo ocean; `server` serves it, and fails when
told to. The client needs no change: its configuration, its proxies and its certificate are set by
environment variables, which it reads when it is imported, so it runs in a process of its own.
"""

from .server import PASSWORD, USER, Fault, MarineStore

__all__ = ["PASSWORD", "USER", "Fault", "MarineStore"]
