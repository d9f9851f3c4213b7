"""Where incidents are read from: the running service, or its database when nobody answers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from receiver.cli.client import Client
from receiver.cli.values import secrets_of
from receiver.core.redaction import Secrets
from receiver.errors import RemediatorError, ServiceRefused, ServiceUnreachable
from receiver.settings import Settings

T = TypeVar("T")

PAGE = 200


class Source(Protocol):
    """Answers in the API's own shapes."""

    def incidents(self, *, limit: int, after: str | None, **wanted: str | None) -> dict[str, Any]:
        """Return a page of incidents."""
        ...

    def incident(self, incident: str) -> dict[str, Any]:
        """Return one incident."""
        ...

    def timeline(self, incident: str) -> list[dict[str, Any]]:
        """Return an incident's whole timeline."""
        ...

    def unmatched(self, limit: int, after: str | None = None) -> dict[str, Any]:
        """Return alerts that no playbook took."""
        ...

    def quarantine(self, limit: int, after: str | None = None) -> dict[str, Any]:
        """Return alerts that could not be read."""
        ...


class Service:
    """Reads through the API."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def incidents(self, *, limit: int, after: str | None, **wanted: str | None) -> dict[str, Any]:
        """Return a page of incidents."""
        return _object(self._client.get("/api/v1/incidents", limit=limit, after=after, **wanted))

    def incident(self, incident: str) -> dict[str, Any]:
        """Return one incident."""
        return _object(self._client.get(f"/api/v1/incidents/{incident}"))

    def timeline(self, incident: str) -> list[dict[str, Any]]:
        """Return an incident's whole timeline."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = _object(self._client.get(f"/api/v1/incidents/{incident}/timeline", after=after, limit=1000))
            found.extend(page["items"])
            after = page["next"]
            if after is None:
                return found

    def unmatched(self, limit: int, after: str | None = None) -> dict[str, Any]:
        """Return alerts that no playbook took."""
        return _object(self._client.get("/api/v1/unmatched", limit=limit, after=after))

    def quarantine(self, limit: int, after: str | None = None) -> dict[str, Any]:
        """Return alerts that could not be read."""
        return _object(self._client.get("/api/v1/quarantine", limit=limit, after=after))


class Database:
    """Reads the database file, without its lock; the service may run or not."""

    def __init__(self, settings: Settings) -> None:
        from receiver.clock import SystemClock
        from receiver.ports import StoreUnavailable, StoreUnusable
        from receiver.store.sqlite import SqliteReader

        self._secrets = Secrets(secrets_of())
        self._errors = (StoreUnavailable, StoreUnusable)
        try:
            self._store = SqliteReader(settings.database_file, SystemClock())
        except self._errors as error:
            raise RemediatorError(f"{settings.database_file}: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        self._run(self._store.close())

    def incidents(self, *, limit: int, after: str | None, **wanted: str | None) -> dict[str, Any]:
        """Return a page of incidents."""
        from receiver.ports import IncidentFilter
        from receiver.web.models import IncidentModel, PageModel

        page = self._run(
            self._store.incidents(
                IncidentFilter(
                    open_only=wanted.get("open") == "true",
                    state=wanted.get("state"),
                    severity=wanted.get("severity"),
                    target=wanted.get("target"),
                    limit=limit,
                    after=after,
                )
            )
        )
        items = [IncidentModel.of(one, self._run(self._store.alerts(one.id, 100))) for one in page.items]
        return self._as_json(PageModel[IncidentModel](items=items, next=page.next))

    def incident(self, incident: str) -> dict[str, Any]:
        """Return one incident."""
        from receiver.web.models import IncidentModel

        found = self._run(self._store.incident(incident))
        if found is None:
            raise ServiceRefused(f"There is no incident {incident}.", 404)
        return self._as_json(IncidentModel.of(found, self._run(self._store.alerts(incident))))

    def timeline(self, incident: str) -> list[dict[str, Any]]:
        """Return an incident's whole timeline."""
        from receiver.core.timeline import entries
        from receiver.web.models import EntryModel

        events: list[Any] = []
        while page := self._run(self._store.events(incident, events[-1].seq if events else 0)):
            events.extend(page)
        return [self._as_json(EntryModel.of(one)) for one in entries(events)]

    def unmatched(self, limit: int, after: str | None = None) -> dict[str, Any]:
        """Return alerts that no playbook took."""
        from receiver.web.models import AlertModel, PageModel

        page = self._run(self._store.unmatched(limit, after))
        return self._as_json(PageModel[AlertModel](items=[AlertModel.of(row) for row in page.items], next=page.next))

    def quarantine(self, limit: int, after: str | None = None) -> dict[str, Any]:
        """Return alerts that could not be read."""
        from receiver.web.models import PageModel, QuarantinedModel

        page = self._run(self._store.quarantined(limit, after))
        items = [QuarantinedModel.of(one, self._secrets.json_text(one.raw)) for one in page.items]
        return self._as_json(PageModel[QuarantinedModel](items=items, next=page.next))

    def _as_json(self, model: Any) -> dict[str, Any]:
        return _object(self._secrets.value(model.model_dump(mode="json")))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run(work)
        except self._errors as error:
            raise RemediatorError(str(error)) from None


@contextmanager
def source(settings: Settings, *, offline: bool) -> Iterator[tuple[Source, str | None]]:
    """Yield where to read from, and what to tell about it.

    Raises:
        ServiceUnreachable: nobody answers, and there is no database here either.
    """
    if not offline:
        with Client() as client:
            try:
                client.get("/healthz")
            except ServiceUnreachable as error:
                if not settings.database_file.exists():
                    raise
                told = f"{error}\nreading {settings.database_file} instead"
            else:
                yield Service(client), None
                return
    else:
        told = None
    database = Database(settings)
    try:
        yield database, told
    finally:
        database.close()


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ServiceUnreachable("what answered is no remediator: its answer is no JSON object")
    return value
