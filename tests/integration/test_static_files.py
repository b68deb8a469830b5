"""Files that only a start reads, with real hubs: what is said of them on NATS, over HTTP, in log and metrics."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.calls import connected
from tests.hubs import HubProcess
from tests.servers import NatsServer
from tests.waiting import until

pytestmark = [pytest.mark.xdist_group("static-files"), pytest.mark.open_only("it is about files")]


class Said:
    """What a hub says about itself over HTTP."""

    def __init__(self, hub: HubProcess) -> None:
        self._url = hub.http_url

    def health(self) -> tuple[int, Any]:
        answer = httpx.get(f"{self._url}/health", timeout=10)
        return answer.status_code, answer.json()

    def reason(self) -> str:
        """The reasons that are about files: a hub that has just started has another one of its own."""
        reason = str(self.health()[1]["details"]["reason"])
        return "" if reason == "the hub has just started" else reason

    def needed(self) -> bool:
        metrics = httpx.get(f"{self._url}/metrics", timeout=10).text
        return "hub_config_restart_needed 1.0" in metrics

    async def becomes(self, look: Callable[[str], bool]) -> None:
        def there() -> bool:
            return look(self.reason())

        deadline = asyncio.get_running_loop().time() + 20
        while not await asyncio.to_thread(there):
            assert asyncio.get_running_loop().time() < deadline, self.reason()
            await asyncio.sleep(0.1)


async def test_a_static_file_that_changes_needs_a_restart_until_it_is_again_what_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "static"
    folder.mkdir(parents=True)
    path = folder / "databases.toml"
    path.write_text('[main]\nurl = "postgresql://user:hidden-word@db/main"\n')
    original = path.read_text()
    with HubProcess(tmp_path, variables={"HOT_RELOAD_ENABLED": "false"}) as hub:
        said = Said(hub)
        assert "databases.toml" in hub.output()
        assert "does not apply them" in hub.output()
        assert (said.health()[0], said.health()[1]["status"], said.needed()) == (200, "healthy", False)
        os.utime(path)
        replaced = folder / ".databases.toml.swp"
        replaced.write_text(original)
        replaced.rename(path)
        await asyncio.sleep(3)
        assert (said.reason(), said.needed()) == ("", False), "saving without a change is none"
        path.write_text(original + "\n[other]\n")
        await said.becomes(lambda reason: "restart needed: config/static/databases.toml changed at 2" in reason)
        assert (said.health()[0], said.health()[1]["checks"]["hub"], said.needed()) == (200, "degraded", True)
        report = await _report(hub)
        assert report["status"] == "warning"
        assert "restart needed: config/static/databases.toml changed at 2" in report["reason"]
        await asyncio.sleep(4.5)
        assert hub.output().count("news='restart needed: config/static/databases.toml changed at") == 1
        (folder / "messaging.toml").write_text("broker = \n")
        await said.becomes(lambda reason: "config/static/messaging.toml:1: " in reason)
        assert "messaging.toml is new since" in said.reason()
        path.write_text(original)
        (folder / "messaging.toml").unlink()
        await said.becomes(lambda reason: not reason)
        assert (said.health()[1]["status"], said.needed()) == ("healthy", False)
        assert "hidden-word" not in hub.output()


async def test_settings_that_change_need_a_restart_and_those_that_would_not_start_say_so(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    settings = tmp_path / "my.toml"
    settings.write_text("[registry]\ndefault_ttl = 6.0\n")
    serving = ("--config", str(settings))
    with (
        HubProcess(tmp_path / "one", nats_url=nats_server.url, arguments=serving) as one,
        HubProcess(tmp_path / "two", nats_url=nats_server.url, arguments=serving) as two,
    ):
        settings.write_text("[registry]\ndefault_tll = 7.0\n")
        for hub in (one, two):
            await Said(hub).becomes(
                lambda reason: f"{settings} changed at " in reason and "did you mean registry.default_ttl" in reason
            )
            assert "would not start with this" in Said(hub).reason()
        settings.write_text("[registry]\ndefault_ttl = 7.0\n")
        await Said(one).becomes(lambda reason: "would not start" not in reason)
        assert Said(one).needed()
        one.stop()
        one.start()
        assert (Said(one).reason(), Said(one).needed()) == ("", False)
        assert Said(two).needed(), "who was not restarted runs with the old ones"


async def _report(hub: HubProcess) -> Any:
    async with connected(hub.nats_url) as client:
        subscription = await client.subscribe("hub.health.hub")
        return json.loads((await subscription.next_msg(timeout=20)).data)


def test_a_folder_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    with HubProcess(tmp_path, variables={"HUB_CONFIG_STATIC_FOLDER": "nowhere"}) as hub:
        asyncio.run(until(lambda: not Said(hub).reason()))
        assert "static" not in hub.output().replace("static_folder", "")
