"""What each of the limits is, in the words of its flag."""

from __future__ import annotations

#: By the names of the fields of :class:`~dynbalancer.core.settings.Limits`.
MEANINGS = {
    "request_line": "Bytes of a request line; more: 414.",
    "head": "Bytes of the header fields of a request; more: 431.",
    "fields": "Header fields of a request.",
    "field_name": "Bytes of a field's name.",
    "method": "Bytes of a method.",
    "chunk_line": "Bytes of a chunk's first line.",
    "trailers": "Bytes of all trailer fields.",
    "trailer_fields": "Trailer fields of a message.",
    "response_head": "Bytes of the head of a response.",
    "response_fields": "Header fields of a response.",
    "interim_responses": "1xx responses before the final one.",
    "pipelined": "Bytes read ahead while a request is answered.",
    "handshake_time": "Time for a TLS handshake.",
    "head_time": "Time to receive a whole head.",
    "body_time": "Silence while a request body is awaited.",
    "request_time": "Time for a whole request with its body; 0: as long as it moves.",
    "idle_time": "Time a client's connection may wait for its next request.",
    "write_time": "Time a client may take nothing of what waits for it.",
    "connect_time": "Time to connect to a server.",
    "response_time": "Time a server may take to begin its answer.",
    "tunnel_time": "Silence on an upgraded connection (WebSocket).",
    "upstream_idle_time": "Time an unused connection to a server is kept.",
    "upstream_idle_connections": "Unused connections kept for one server.",
    "memory": "Bytes that a worker may hold; 0: what its control group may.",
}
