"""The routes are what their OpenAPI document says, as somebody finds who knows the document alone and means no good."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hub.sidecar import openapi
from hub.sidecar.table import TABLE
from tests.http import TIMEOUT
from tests.hubs import HubProcess

pytestmark = pytest.mark.open_only("takes long, and asks nothing of who it is: that is asked of each route elsewhere")

_CONFORMS = (
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
)
_NOT_DONE_HERE = 501
_LONGEST_WAIT = 0.05

_schema = schemathesis.openapi.from_dict(openapi.document(TABLE)).exclude(path="/discovery/watch")  # it never ends


@_schema.parametrize()
@settings(max_examples=20, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
def test_whatever_is_asked_is_answered_as_documented(case: Any, hub: HubProcess) -> None:
    if isinstance(case.query.get("wait"), int | float):
        case.query["wait"] = min(case.query["wait"], _LONGEST_WAIT)
    response = case.call(base_url=hub.http_url, timeout=TIMEOUT)
    checks = _CONFORMS if response.status_code == _NOT_DONE_HERE else (*_CONFORMS, not_a_server_error)
    case.validate_response(response, checks=list(checks))
