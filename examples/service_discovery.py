"""Where the services are; of the STT servers, the one with the most room."""

from __future__ import annotations

from types import TracebackType

from fasttalk_stt.client import ServiceDiscovery


class FasttalkServiceDiscovery:
    """Use it as `async with`: it watches the STT servers meanwhile."""

    def __init__(self, stt_servers: list[str], **other_services: str) -> None:
        self.service_registry = other_services
        self.stt = ServiceDiscovery(stt_servers)

    async def __aenter__(self) -> FasttalkServiceDiscovery:
        await self.stt.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stt.__aexit__(kind, error, traceback)

    def get_stt_endpoint(self) -> str:
        """For clients of your own; pass `self.stt` to `connect` to have sessions move on a fault."""
        return self.stt.least_loaded()
