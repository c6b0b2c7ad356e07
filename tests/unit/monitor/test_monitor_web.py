"""The page's server without a chain: headers, refusals, health, metrics."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from monitor_cases import book, market, state
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from backstop.chain.artifacts import ROOT
from backstop.monitor.book import Terms
from backstop.monitor.hub import PANELS, Hub
from backstop.monitor.panels import fund_panel, markets_panel, risk_panel, stake_panel
from backstop.monitor.serve import PortTaken, allowed_hosts, listen
from backstop.monitor.shock import ladder
from backstop.monitor.web import STATIC, make_app


def filled() -> Hub:
    hub, now = Hub(), state(market(0), market(1, recorded=12.5, paused=True))
    arrays = book((100.0, [(0, 10.0, -1060.0)]), (5000.0, [(0, -10.0, 1000.0)]))
    hub.series.add(now, 1, 1)
    hub.publish(
        status={"state": "live", "problem": "", "block": 10, "time": 1000, "reorganisations": 2},
        fund=fund_panel(now),
        markets=markets_panel(now),
        stake=stake_panel(now),
        risk=risk_panel(arrays, now),
        shock=ladder(arrays, Terms.of(now.markets), now),
        feed=[],
        rules={"markets": [], "pending": []},
    )
    return hub


def client(hub: Hub, hosts: list[str] | None = None) -> TestClient:
    return TestClient(make_app(hub, hosts), base_url="http://127.0.0.1")


PATHS = ("/", "/api", "/api/fund", "/metrics", "/healthz", "/static/style.css")


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_forbids_what_the_page_does_not_need(path: str) -> None:
    answer = client(filled()).get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_every_panel_has_json() -> None:
    web = client(filled())
    listed = web.get("/api").json()["panels"]
    assert listed == [f"/api/{name}" for name in (*PANELS, "series")]
    for path in listed:
        assert web.get(path).status_code == 200
        web.get(path).json()


def test_before_the_first_reading_there_is_a_reason() -> None:
    hub = Hub()
    hub.publish(status={"state": "gone", "problem": "the node does not answer"})
    answer = client(hub).get("/api/fund")
    assert answer.status_code == 503
    assert "the node does not answer" in answer.json()["error"]


def test_an_unknown_panel_is_named() -> None:
    answer = client(filled()).get("/api/<script>")
    assert answer.status_code == 404
    assert "fund" in answer.json()["error"]
    assert "script" not in answer.text


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_there_is_nothing_to_write_to(method: str) -> None:
    for path in ("/", "/api/fund", "/stream", "/metrics", "/healthz"):
        assert getattr(client(filled()), method)(path).status_code == 405


def test_no_file_outside_the_page_is_served() -> None:
    web = client(filled())
    assert web.get("/static/../web.py").status_code == 404
    assert web.get("/static/%2e%2e/web.py").status_code == 404


def test_a_name_that_merely_points_here_is_refused() -> None:
    web = client(filled(), allowed_hosts("127.0.0.1"))
    assert web.get("/api/fund").status_code == 200
    assert web.get("/api/fund", headers={"host": "evil.example"}).status_code == 400
    assert allowed_hosts("0.0.0.0") is None


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        ({"state": "live", "problem": ""}, 200, None),
        ({"state": "gone", "problem": "the node does not answer"}, 503, "the node does not answer"),
        ({"state": "stalled", "problem": "the chain stands still"}, 503, "the chain stands still"),
    ],
)
def test_health(status: dict[str, Any], code: int, reason: str | None) -> None:
    hub = Hub()
    hub.publish(status=status)
    answer = client(hub).get("/healthz")
    assert answer.status_code == code
    assert answer.json().get("reason") == reason


def test_health_before_anything_was_looked_at() -> None:
    assert client(Hub()).get("/healthz").status_code == 503


def test_the_metrics_are_those_of_the_panels() -> None:
    text = client(filled()).get("/metrics").text
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["backstop_up", ()] == 1
    assert found["backstop_fund_layer_assets", (("layer", "reserve"),)] == 500
    assert found["backstop_recorded_deficit", (("market", "ETH"),)] == 12.5
    assert found["backstop_risk_paused", (("market", "ETH"),)] == 1
    assert found["backstop_open_interest", (("market", "BTC"), ("side", "long"))] == 50
    assert found["backstop_reorganisations_total", ()] == 2
    assert found["backstop_shock_deficit", (("percent", "-20"),)] > 0
    assert ("backstop_solvency_ratio", ()) not in found  # there is no target


def test_metrics_without_any_panel_say_that_nothing_is_up() -> None:
    assert "backstop_up 0.0" in client(Hub()).get("/metrics").text


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for file in Path(STATIC).rglob("*"):
        if file.suffix in (".js", ".css", ".html") and "vendor" not in file.parts:
            text = file.read_text()
            assert "http://" not in text.replace("http://www.w3.org", "")
            assert "https://" not in text
            assert "innerHTML" not in text
            assert " style=" not in text


def test_a_taken_port_is_said_with_its_remedy() -> None:
    first = listen("127.0.0.1", 0)
    first.listen()
    try:
        with pytest.raises(PortTaken, match="choose another --port"):
            listen("127.0.0.1", first.getsockname()[1])
    finally:
        first.close()


def names_of_metrics() -> set[str]:
    """Every metric there can be: of a deployment that has a capital target too."""
    hub = filled()
    hub.publish(fund={**hub.get("fund"), "target": 1000.0, "ratio": 0.9, "lagged": 0.95})
    families = text_string_to_metric_families(client(hub).get("/metrics").text)
    return {sample.name for family in families for sample in family.samples}


def test_the_docs_list_every_metric_and_no_other() -> None:
    listed = set(re.findall(r"`(backstop_\w+)`", (ROOT / "docs" / "monitor.md").read_text()))
    assert listed == names_of_metrics()


def test_the_dashboard_shows_metrics_that_exist() -> None:
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(asked) > 15
    for expression in asked:
        for name in re.findall(r"backstop_\w+", expression):
            assert name in names_of_metrics()
