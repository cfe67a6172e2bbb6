"""What moto and its company do anew for every call, done once.

It changes no answer, only how long it takes: nearly all of the time of a path goes by between a client and moto's
models. Each saving names what it saves.
"""

import functools
import io
import itertools
import json
import unittest.mock
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import fastjsonschema
import moto.stepfunctions.parser.asl.component.state.exec.state_task.lambda_eval_utils as lambda_calls
from botocore.model import StructureShape
from botocore.signers import RequestSigner
from botocore.useragent import UserAgentString
from moto import backend_index
from moto.core import botocore_stubber, responses
from moto.core.base_backend import AccountSpecificBackend, BaseBackend
from moto.core.request import Request, environ_key_for_header
from moto.core.serialize import ResponseSerializer
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.sqs import models as sqs_models
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import json_path
from werkzeug.sansio import utils as werkzeug_utils

SERVICES = (
    "awslambda",
    "cloudformation",
    "cloudwatch",
    "dynamodb",
    "events",
    "iam",
    "sns",
    "sqs",
    "stepfunctions",
    "sts",
)
"""All that a world's calls are for."""


def _keyed_by(key: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its answers kept by what `key` makes of its arguments."""
    answers: dict[Any, Any] = {}

    @functools.wraps(function)
    def kept(*arguments: Any, **named: Any) -> Any:
        at = key(*arguments, **named)
        if at not in answers:
            answers[at] = function(*arguments, **named)
        return answers[at]

    return kept


@functools.cache
def _compiled(schema: str) -> Callable[[Any], Any]:
    return fastjsonschema.compile(json.loads(schema))


_validate = fastjsonschema.validate


def _validate_with_compiled(definition: Any, data: Any, **options: Any) -> Any:
    if any(options.values()):
        return _validate(definition, data, **options)
    return _compiled(json.dumps(definition))(data)


_serialize_structure = ResponseSerializer._serialize_type_structure


def _serialize_present(
    serializer: ResponseSerializer, serialized: Any, value: Any, shape: StructureShape, key: str
) -> None:
    if shape.name != "AttributeValue" or not key or not isinstance(value, dict):
        _serialize_structure(serializer, serialized, value, shape, key)
        return
    wrapper: dict[str, Any] = {}
    for name, inner in value.items():
        serializer._serialize(wrapper, inner, shape.members[name], name)
    serializer._default_serialize(serialized, wrapper, shape, key)


@functools.cache
def _cached_client_for(make: Callable[..., Any]) -> Callable[..., Any]:
    clients: dict[tuple[str, str], Any] = {}

    def client_for(region: str, service: str, state_credentials: Any = None) -> Any:
        if (region, service) not in clients:
            clients[region, service] = make(region=region, service=service, state_credentials=state_credentials)
        return clients[region, service]

    return client_for


def _request(kind: type[Request], method: str, url: str, headers: Any, body: Any = None) -> Request:
    parsed = urlsplit(url)
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(parsed.path).encode().decode("latin1"),
        "QUERY_STRING": parsed.query,
        "REQUEST_URI": parsed.path,
        "RAW_URI": parsed.path,
        "SERVER_NAME": parsed.hostname,
        "SERVER_PORT": str(parsed.port or (443 if parsed.scheme == "https" else 80)),
        "HTTP_HOST": parsed.netloc,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": parsed.scheme,
    }
    for name, value in headers.items():
        environ[environ_key_for_header(name)] = value.decode() if isinstance(value, bytes) else value
    content = body.encode() if isinstance(body, str) else bytes(body or b"")
    return kind({**environ, "CONTENT_LENGTH": str(len(content)), "wsgi.input": io.BytesIO(content)})


_requests = itertools.count(1)


def _number_request(headers: dict[str, Any]) -> str:
    headers["x-amzn-requestid"] = f"request-{next(_requests)}"
    return str(headers["x-amzn-requestid"])


_underscores = functools.cache(responses.camelcase_to_underscores)

_SAVINGS: list[tuple[Any, str, Any]] = [
    # moto tries the addresses of its two hundred services for each call, and registers them all for each test.
    (
        backend_index,
        "backend_url_patterns",
        [(service, pattern) for service, pattern in backend_index.backend_url_patterns if service in SERVICES],
    ),
    (
        botocore_stubber,
        "get_equivalent_url_in_aws_domain",
        functools.cache(botocore_stubber.get_equivalent_url_in_aws_domain),
    ),
    # It makes up a service's addresses for each call, and asks botocore for its regions in each test.
    (BaseBackend, "urls", property(_keyed_by(type, BaseBackend.urls.fget))),
    (
        AccountSpecificBackend,
        "_generate_regions",
        _keyed_by(lambda backend, service: service, AccountSpecificBackend._generate_regions),
    ),
    # It lists a service's operations for each call, and spells names anew.
    (responses, "method_names_from_class", functools.cache(responses.method_names_from_class)),
    (responses, "camelcase_to_underscores", _underscores),
    (sqs_models, "camelcase_to_underscores", _underscores),
    # It looks for each kind that a value of DynamoDB may be of, under each name that it may have; a value has just one.
    (ResponseSerializer, "_serialize_type_structure", _serialize_present),
    # It parses an update twice, and copies what it parsed to before it changes it.
    (UpdateExpressionParser, "make", staticmethod(functools.cache(UpdateExpressionParser.make))),
    (
        DepthFirstTraverser,
        "nodes_to_be_processed",
        _keyed_by(type, DepthFirstTraverser.nodes_to_be_processed),
    ),
    # It makes a client for each task, which takes longer than the task.
    (lambda_calls, "boto_client_for", _cached_client_for(lambda_calls.boto_client_for)),
    # It parses the definition at every start, which takes longer than a path; what it parses to keeps no state. And it
    # parses each JSONPath each time.
    (AmazonStateLanguageParser, "parse", staticmethod(functools.cache(AmazonStateLanguageParser.parse))),
    (json_path, "parse", functools.cache(json_path.parse)),
    # It writes the whole state into its log for each error that the machine catches.
    (EvalComponent, "_log_failure_event_exception", lambda *arguments, **named: None),
    (EvalComponent, "_log_exception", lambda *arguments, **named: None),
    # Nobody here reads a signature or a user agent.
    (RequestSigner, "sign", lambda *arguments, **named: None),
    (UserAgentString, "to_string", lambda user_agent: "a-test"),
    # werkzeug builds a request by way of a client's, with addresses spelled for the wire and back.
    (Request, "from_primitives", classmethod(_request)),
    (werkzeug_utils, "uri_to_iri", functools.cache(werkzeug_utils.uri_to_iri)),
    # moto draws 52 letters for each call.
    (responses, "gen_amzn_requestid_long", _number_request),
    # Powertools compiles a schema for each event.
    (fastjsonschema, "validate", _validate_with_compiled),
]


@contextmanager
def savings() -> Iterator[None]:
    """Save for the time of a test."""
    with ExitStack() as stack:
        for owner, name, replacement in _SAVINGS:
            stack.enter_context(unittest.mock.patch.object(owner, name, replacement))
        yield
