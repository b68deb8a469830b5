"""Every metric there is: its name, what kind it is, what it says, and its labels."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple


class Described(NamedTuple):
    """What a metric is."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    costly: bool = False
    """Told only while the setting `platform.performance_metrics` is true."""


CATALOGUE: Final = (
    Described(
        "hub_requests_total",
        "counter",
        "Requests answered, by subject and outcome: ok, or the error's code.",
        ("subject", "outcome"),
    ),
    Described(
        "hub_request_duration_seconds",
        "histogram",
        "From a request's arrival to its reply, by subject; what callers asked to wait is part of it.",
        ("subject",),
        costly=True,
    ),
    Described("hub_in_flight_requests", "gauge", "Requests that wait for the store or for a change right now."),
    Described(
        "hub_registrations_total",
        "counter",
        "Registrations taken, by what came of them: new, updated, or unchanged.",
        ("outcome",),
    ),
    Described("hub_deregistrations_total", "counter", "Instances that were taken out because somebody asked for it."),
    Described("hub_graph_edges", "gauge", "Edges of the graph of services, by kind: declared, observed.", ("kind",)),
    Described("hub_adopted_instances", "gauge", "Registered instances that were found by the micro protocol of NATS."),
    Described(
        "hub_adoption_skipped_total",
        "counter",
        "Answers to the micro protocol by which nobody was taken into the registry, by reason.",
        ("reason",),
    ),
    Described(
        "hub_discoveries_total",
        "counter",
        "Discoveries answered, by cache: hit where the answer or the choice was at hand, else miss.",
        ("cache",),
    ),
    Described("hub_discover_waiters", "gauge", "Discoveries that wait for a change right now, as they asked to."),
    Described("hub_cached_answers", "gauge", "Encoded answers to discoveries that are kept for the next who asks."),
    Described("hub_cached_answers_bytes", "gauge", "How large these answers are together."),
    Described(
        "hub_connections",
        "gauge",
        "Names like an instance's under which NATS has connections; 0 where no system account tells of them.",
    ),
    Described(
        "hub_probes_total",
        "counter",
        "Looks at instances, by the type of check and outcome: ok, failed, or void where the hub itself stood still.",
        ("type", "outcome"),
    ),
    Described(
        "hub_probe_duration_seconds",
        "histogram",
        "How long a look at an instance took, by the type of check.",
        ("type",),
        costly=True,
    ),
    Described("hub_probes_owned", "gauge", "Checks that this replica makes."),
    Described("hub_probes_skipped_total", "counter", "Looks that were left out because the hub was behind."),
    Described("hub_replicas", "gauge", "Replicas of the hub that this one knows of, itself included."),
    Described("hub_instances", "gauge", "Registered instances by status.", ("status",)),
    Described("hub_services", "gauge", "Services that have instances."),
    Described("hub_heartbeats_total", "counter", "Heartbeats heard."),
    Described("hub_bad_heartbeats_total", "counter", "Heartbeats that were not understood, or came from no service."),
    Described(
        "hub_unknown_heartbeats_total", "counter", "Heartbeats of instances not registered, which were asked to."
    ),
    Described(
        "hub_logins_total",
        "counter",
        "Logins that this replica was asked for, to NATS and over HTTP: `ok`, or the code of an error.",
        ("outcome",),
    ),
    Described(
        "hub_rate_limited_total",
        "counter",
        "Requests and beats refused as too many, by the class of the subject and the role of the caller (or address).",
        ("class", "role"),
    ),
    Described(
        "hub_rate_limits_shared",
        "gauge",
        "1 while rate limits are shared with the other hubs through the cache, else 0.",
    ),
    Described("hub_expiries_total", "counter", "Instances that became critical by silence, as this replica saw it."),
    Described("hub_removals_total", "counter", "Instances that this replica removed after long silence."),
    Described("hub_store_resyncs_total", "counter", "Full re-reads of a store, by reason.", ("reason",)),
    Described("hub_events_dropped_total", "counter", "Events that were not written to the event stream."),
    Described("hub_http_responses_total", "counter", "HTTP responses, by route and status.", ("route", "status")),
    Described("hub_http_connections", "gauge", "HTTP connections that are open."),
    Described("hub_http_watchers", "gauge", "Those who follow changes over HTTP."),
    Described("hub_leader", "gauge", "1 while this replica writes down expiries for all, else 0."),
    Described("hub_doubt", "gauge", "1 while this replica doubts what it hears and answers so, else 0."),
    Described("hub_event_loop_lag_seconds", "gauge", "How late the event loop was at its last tick."),
    Described(
        "hub_event_loop_tick_lag_seconds",
        "histogram",
        "How late the event loop was at every tick, ten times a second.",
        costly=True,
    ),
    Described(
        "hub_gc_pause_seconds",
        "histogram",
        "How long the garbage collector stopped the hub, by the oldest generation it looked through.",
        ("generation",),
        costly=True,
    ),
    Described("hub_dependency_up", "gauge", "1 while what the hub depends on serves, else 0.", ("dependency",)),
    Described(
        "hub_dependency_latency_seconds",
        "gauge",
        "How long the newest look that found a dependency well took.",
        ("dependency",),
    ),
    Described("hub_task_restarts_total", "counter", "Background tasks that were started again.", ("task",)),
    Described("hub_task_beat_age_seconds", "gauge", "Time since a background task's last sign of life.", ("task",)),
    Described("hub_nats_round_trip_seconds", "gauge", "How long the hub's newest message to itself took over NATS."),
    Described("hub_nats_reconnects_total", "counter", "Times that the connection to NATS was lost and came back."),
    Described("hub_nats_slow_consumers_total", "counter", "Times that NATS dropped messages, the hub being too slow."),
    Described("hub_stream_messages", "gauge", "Messages in a stream of the hub.", ("stream",)),
    Described("hub_stream_bytes", "gauge", "Bytes in a stream of the hub.", ("stream",)),
    Described("hub_stream_consumers", "gauge", "Consumers of a stream of the hub.", ("stream",)),
    Described("hub_watch_lag_revisions", "gauge", "How far a bucket is ahead of what the hub knows.", ("bucket",)),
    Described("hub_watch_silence_seconds", "gauge", "Time since a watched bucket's last sign of life.", ("bucket",)),
    Described(
        "hub_config_revision", "gauge", "The newest revision of the configuration of services that the hub knows."
    ),
    Described(
        "hub_config_instances",
        "gauge",
        "Instances that tell what configuration they run, by verdict: applied, pending, refused, lagging.",
        ("verdict",),
    ),
    Described("hub_config_canaries", "gauge", "Canaries of configuration that are being tried."),
    Described(
        "hub_config_files_broken",
        "gauge",
        "Configuration files that are refused; what they said before stays in force.",
    ),
    Described(
        "hub_config_restart_needed",
        "gauge",
        "1 while a file that only a start reads is not what it was then, else 0.",
    ),
    Described(
        "hub_secrets",
        "gauge",
        "Secrets by the key that they are encrypted with: the current one, an old one, or one unknown to this hub.",
        ("key",),
    ),
    Described(
        "hub_login_failures_total",
        "counter",
        "Logins refused, by what proved nothing: key, token, nkey, certificate or nothing; or revoked.",
        ("reason",),
    ),
    Described("hub_login_keys", "gauge", "API keys by their state: valid, expired or revoked.", ("state",)),
    Described("hub_login_revoked", "gauge", "Callers and credentials that are let in no more."),
    Described(
        "hub_login_connections_closed_total",
        "counter",
        "Connections that this replica closed, since who had them was revoked or their time was up.",
    ),
    Described("hub_components_revision", "gauge", "The newest version of the components that the hub knows."),
    Described("hub_components_files", "gauge", "Files of that version."),
    Described("hub_components_bytes", "gauge", "How large these are together."),
    Described(
        "hub_components_refused",
        "gauge",
        "What is refused in the folder of components; nothing is published meanwhile.",
    ),
    Described(
        "hub_archive_lag_messages",
        "gauge",
        "Changes that PostgreSQL does not have yet, by what is archived there.",
        ("stream",),
    ),
    Described(
        "hub_archive_lag_seconds",
        "gauge",
        "How long the oldest change that PostgreSQL does not have yet has waited for it.",
        ("stream",),
    ),
    Described("hub_archive_written_total", "counter", "Changes that this replica wrote to PostgreSQL.", ("stream",)),
    Described(
        "hub_archive_missing_total",
        "counter",
        "Changes that were gone before this replica could write them to PostgreSQL.",
        ("stream",),
    ),
    Described("hub_audit_written_total", "counter", "Entries of the audit that this replica has written."),
    Described("hub_audit_lost_total", "counter", "Entries of the audit that were lost, too many having had to wait."),
    Described("hub_audit_waiting", "gauge", "Entries of the audit that are not stored yet."),
    Described(
        "hub_audit_foreign_total",
        "counter",
        "Times that a chain of the audit was found to be other than this replica has written it.",
    ),
    Described(
        "hub_tls_expires_seconds",
        "gauge",
        "Time until a certificate that the hub shows expires, by use: http, nats_client or nats_server; below 0 after.",
        ("use",),
    ),
    Described(
        "hub_issuer_keys_age_seconds",
        "gauge",
        "Time since the keys of an issuer of tokens were read last; infinite where they never were.",
        ("issuer",),
    ),
    Described("hub_build_info", "gauge", "Always 1; the label says which version runs.", ("version",)),
    Described("process_virtual_memory_bytes", "gauge", "Virtual memory of the hub process (Linux)."),
    Described("process_resident_memory_bytes", "gauge", "Memory that the hub process occupies (Linux)."),
    Described("process_start_time_seconds", "gauge", "When the hub process started, in Unix time (Linux)."),
    Described("process_cpu_seconds_total", "counter", "Processor time that the hub process used (Linux)."),
    Described("process_open_fds", "gauge", "File descriptors that the hub process has open (Linux)."),
    Described("process_max_fds", "gauge", "File descriptors that the hub process may have open (Linux)."),
)
"""Every metric there is."""
