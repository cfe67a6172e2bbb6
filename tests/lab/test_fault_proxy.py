"""The proxy as a real process, in front of a server that answers everything with an empty document."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lab.fault_proxy import FaultProxy, ProxyFailed


class Upstream(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    running = FaultProxy(tmp_path_factory.mktemp("proxy"))
    try:
        running.start(f"http://127.0.0.1:{upstream.server_port}")
        yield running
    finally:
        running.stop()
        upstream.shutdown()


@pytest.fixture
def table(proxy):
    once = Config(retries={"total_max_attempts": 1})
    client = boto3.client("dynamodb", endpoint_url=proxy.endpoint, region_name="eu-west-1", config=once)
    return lambda name: client.get_item(TableName=name, Key={"pk": {"S": "x"}})


def test_rules_hit_what_they_name_until_they_are_replaced_and_are_counted(proxy, table):
    table("CircuitTable")
    throttle = {"code": "ProvisionedThroughputExceededException", "status": 400}
    proxy.set_rules([{"service": "dynamodb", "resource": "CircuitTable", "error": throttle}])
    with pytest.raises(ClientError) as refused:
        table("CircuitTable")
    assert refused.value.response["Error"]["Code"] == "ProvisionedThroughputExceededException"
    table("LedgerTable")
    proxy.add_rule({"service": "dynamodb", "resource": "LedgerTable", "latency": 1, "times": 1})
    table("LedgerTable")
    proxy.set_rules([])
    table("CircuitTable")
    assert proxy.injected() == {
        ("dynamodb", "error:ProvisionedThroughputExceededException"): 1,
        ("dynamodb", "latency"): 1,
    }


def test_proxy_that_has_ended_is_noticed(tmp_path):
    with pytest.raises(ProxyFailed, match="has ended"):
        FaultProxy(tmp_path).require_running()
