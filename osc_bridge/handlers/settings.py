"""A client's own defaults for the fields of its requests."""

from __future__ import annotations

from typing import Any

from osc_bridge.messages.message import Command
from osc_bridge.messages.requests.generated import SETTINGS
from osc_bridge.messages.settings import Set, SetClear, Setting
from osc_bridge.service.service import Context, Handler, Service
from server.engine.engine import Engine
from server.requests.fields import Field

__all__ = ["SettingHandlers"]


class SettingHandlers:
    """Handlers of ``/ldm/set/<field>`` and ``/ldm/settings/clear``."""

    def __init__(self, service: Service, engine: Engine) -> None:
        self._service = service
        self._engine = engine
        self._last: dict[str, Any] = {}
        """The value that any client set last, by field name."""

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        return {
            **dict.fromkeys(SETTINGS, self._set),
            SetClear: lambda _, c: c.client.settings.clear(),
        }

    def value_of(self, field: Field) -> Any:
        """What OSCQuery shows: the value that was set last, else the default."""
        value = self._last.get(field.name)
        return self._default_of(field) if value is None else value

    def _default_of(self, field: Field) -> Any:
        """What a request uses that names no value; None where it is drawn or derived each time."""
        if field.default is not None:
            return field.default
        return getattr(self._engine.manifest.defaults, field.name, None)

    def _set(self, setting: Set, context: Context) -> None:
        name, settings = setting.field.name, context.client.settings
        if setting.given:
            settings[name] = self._last[name] = setting.value
            self._service.values.changed.notify(setting.to_osc())
            return
        value = settings.get(name)
        shown = self._default_of(setting.field) if value is None else value
        self._service.reply(context.client, Setting(name, "" if shown is None else shown))
