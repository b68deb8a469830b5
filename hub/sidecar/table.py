"""The routes. This table is all there is to say of them: the server, the documents and the tests are made from it."""

from __future__ import annotations

from typing import Final

from hub.sidecar import answers, document, vitals, watch
from hub.sidecar.feed import EVENTS
from hub.sidecar.row import Row
from hub.sidecar.translation import with_probe
from hub.wire.channels import CHANNELS
from hub.wire.discovery import Discover, Discovered, ServiceList, Services
from hub.wire.health import GetHealth
from hub.wire.registration import Deregister, Deregistered, Heartbeat, Register, Registered

_ON: Final = {channel.name: channel for channel in CHANNELS}

TABLE: Final = (
    Row(
        method="GET",
        path="/",
        audience="people",
        answers="version and routes",
        handle=vitals.root,
        reply=vitals.Welcome,
    ),
    Row(
        method="GET",
        path="/health",
        audience="monitors",
        answers="200 while `healthy` or `degraded`, 503 while `unhealthy`; with the state of each dependency and task",
        handle=vitals.health,
        reply=vitals.Health,
    ),
    Row(
        method="GET",
        path="/livez",
        audience="who restarts processes",
        answers="200; 503 when the process should be restarted: a task of the hub keeps failing",
        handle=vitals.livez,
        reply=vitals.Alive,
    ),
    Row(
        method="GET",
        path="/readyz",
        audience="who sends requests",
        answers="200; 503 while it starts, drains, or is cut off from NATS",
        handle=vitals.readyz,
        reply=vitals.Ready,
    ),
    Row(
        method="GET",
        path="/metrics",
        audience="Prometheus",
        answers="the metrics below",
        handle=vitals.metrics,
        media_type="text/plain",
    ),
    Row(
        method="POST",
        path="/discovery/register",
        audience="services",
        answers="`hub.register`; `liveness` is `probe` where only a `health_endpoint` is given",
        handle=answers.posted,
        channel=_ON["register"],
        body=Register,
        reply=Registered,
        refusals=(409, 501),
        default=with_probe,
        example="""--json '{"name":"api-gateway","host":"127.0.0.1","port":8000,"liveness":"permanent"}'""",
    ),
    Row(
        method="PUT",
        path="/discovery/services/{name}/{instance_id}/heartbeat",
        audience="services",
        answers="`hub.heartbeat.<service>.<instance>`, heard by every replica; 404 where it is not registered",
        handle=answers.beaten,
        channel=_ON["heartbeat"],
        body=Heartbeat,
        status=204,
        refusals=(404,),
        example="""-X PUT --json '{"load":0.4}'""",
    ),
    Row(
        method="DELETE",
        path="/discovery/services/{name}/{instance_id}",
        audience="services",
        answers="`hub.deregister`; 404 where it is not registered",
        handle=answers.told,
        channel=_ON["deregister"],
        query=Deregister,
        reply=Deregistered,
        refusals=(404,),
        example="-X DELETE",
    ),
    Row(
        method="GET",
        path="/discovery/services",
        audience="everybody",
        answers="`hub.services`, with `ETag`, and `Link` to the next page",
        handle=answers.listed,
        channel=_ON["services"],
        query=Services,
        reply=ServiceList,
        conditional=True,
    ),
    Row(
        method="GET",
        path="/discovery/services/{name}",
        audience="everybody",
        answers="`hub.discover`, with `ETag`; waits for `min_revision` as long as `wait` says",
        handle=answers.listed,
        channel=_ON["discover"],
        query=Discover,
        reply=Discovered,
        conditional=True,
    ),
    Row(
        method="GET",
        path="/discovery/health",
        audience="monitors",
        answers="`hub.health`, with how this hub and its dependencies are",
        handle=answers.health,
        channel=_ON["get-health"],
        query=GetHealth,
        reply=vitals.ServicesHealth,
        conditional=True,
    ),
    Row(
        method="GET",
        path="/discovery/watch",
        audience="everybody",
        answers="server-sent events: a snapshot, then every change",
        handle=watch.watched,
        query=watch.Watch,
        media_type=watch.MEDIA_TYPE,
        events=EVENTS,
        example="-N",
    ),
    Row(
        method="GET",
        path="/openapi.json",
        audience="machines",
        answers="this table as OpenAPI 3.1, with all schemas",
        handle=document.openapi_json,
        conditional=True,
    ),
    Row(
        method="GET",
        path="/docs",
        audience="people",
        answers="the same as one page that loads nothing else",
        handle=document.docs_page,
        media_type="text/html",
        conditional=True,
    ),
)
"""Every route."""
