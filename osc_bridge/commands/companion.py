"""Questions of a command to the program that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.config import Config
from server.errors import error_for

if TYPE_CHECKING:
    import httpx

__all__ = ["answer_of", "companion", "is_there"]


def companion(config: Config) -> httpx.AsyncClient:
    """A client of the program on this machine's HTTP port."""
    import httpx

    url = f"http://127.0.0.1:{config.http_port}"
    return httpx.AsyncClient(base_url=url, timeout=60.0, trust_env=False)


async def is_there(http: httpx.AsyncClient) -> bool:
    """Whether a program answers."""
    import httpx

    try:
        await http.get("/health")
    except httpx.TransportError:
        return False
    return True


def answer_of(response: httpx.Response) -> Any:
    """The answer's value.

    Raises:
        AudioLDMError: it is an error.
    """
    value = response.json()
    if response.is_success:
        return value
    error = value.get("error", {})
    raise error_for(error.get("code", ""), error.get("message", str(value)))
