"""The Flask application: who may do what, and how errors look."""

from __future__ import annotations

import hmac
from typing import Any

import flask
import structlog
from werkzeug.exceptions import HTTPException

from service.api import ServiceApi, ServiceUnavailable
from service.config import ConfigError
from service.http import reads, writes
from service.http.answers import BadRequest, answer
from storage.errors import StorageError

BODY_MAX_BYTES = 64 * 1024

_log = structlog.get_logger(__name__)


def create_app(api: ServiceApi, *, token: str | None, trusted: bool) -> flask.Flask:
    """The application over ``api``. ``trusted`` connections need no token; others change state only with ``token``."""
    app = flask.Flask("portfolio-sync", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_MAX_BYTES
    app.register_blueprint(reads.blueprint(api))
    app.register_blueprint(writes.blueprint(api))
    if not trusted:
        app.before_request(lambda: _refuse_without(token))
    _handle_errors(app)
    return app


def _refuse_without(token: str | None) -> flask.Response | None:
    """None lets the request through: it only reads, or it has the token."""
    if flask.request.method in {"GET", "HEAD", "OPTIONS"}:
        return None
    if token is None:
        message = (
            "No token is configured, so nothing can be changed over TCP. Set [http] token_file, "
            "or use the command line on the service's machine."
        )
        return answer({"error": message}, 403)
    scheme, _, given = flask.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
        return None
    refusal = answer({"error": "This changes state and needs the header 'Authorization: Bearer TOKEN'."}, 401)
    refusal.headers["WWW-Authenticate"] = "Bearer"
    return refusal


def _handle_errors(app: flask.Flask) -> None:
    app.register_error_handler(BadRequest, lambda error: answer({"error": str(error)}, 400))
    app.register_error_handler(ServiceUnavailable, lambda error: answer({"error": str(error)}, 503))
    app.register_error_handler(StorageError, lambda error: answer({"error": str(error)}, 503))
    app.register_error_handler(ConfigError, _config_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def _config_error(error: Any) -> flask.Response:
    problems = [{"place": each.place, "key": each.key, "code": each.code, "text": each.text} for each in error.problems]
    return answer({"error": "The configuration was rejected; the old one stays in force.", "problems": problems}, 422)


def _http_error(error: Any) -> flask.Response:
    return answer({"error": f"{error.name}: {flask.request.method} {flask.request.path}"}, error.code or 500)


def _unexpected(error: Exception) -> flask.Response:
    _log.error("http request failed", path=flask.request.path, exc_info=error)
    return answer({"error": f"The request failed: {type(error).__name__}. The service's log says more."}, 500)
