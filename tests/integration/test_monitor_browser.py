"""The live page in a real Chromium: every panel, live updates, a phone, nothing from elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import Market
from test_monitor import Page, crash, node, watch

from backstop.chain.deploy import System

__all__ = ["node"]  # the node that keeps its past

CARDS = ("fund", "layers", "ratio", "oi", "price", "coverage", "shock", "levels", "risk", "feed")


def chromium() -> str:
    """Path of a Chromium; skips where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("BACKSTOP_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(
            "no Chromium was found: `apt-get install chromium`, or name one in BACKSTOP_CHROMIUM"
        )
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = chromium()
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield made
        made.close()


class Tab:
    """A page in the browser that notes what it must not do."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.url, self.requests, self.complaints = url, list[str](), list[str]()
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._note)
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.goto(url)
        self.page.wait_for_selector("#chart-fund canvas")

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def text(self, selector: str) -> str:
        found: str = self.page.inner_text(selector)
        return found

    def check(self) -> None:
        """No complaint, and nothing was asked of anybody else."""
        assert self.complaints == []
        assert self.requests
        assert [u for u in self.requests if not u.startswith((self.url, "data:"))] == []


@pytest.fixture
def page(system: System, tmp_path: Path) -> Iterator[Page]:
    with watch(system, tmp_path) as monitor:
        made = Page(monitor)
        made.at_head(system.client)
        yield made


def fill(market: Market) -> None:
    """Something of everything: stake, exits, a receipt, open positions, a pending change."""
    system, alice = market.system, market.alice.address
    unit = 10**system.record.token_decimals
    system.token.approve.send(system.tranche.address, 10**12, sender=alice)
    system.tranche.deposit.send(1000 * unit, alice, sender=alice)
    system.tranche.requestRedeem.send(400 * unit * 1000, alice, alice, sender=alice)
    crash(market)
    market.move("60000", seconds=3600)
    market.alice.deposit(Decimal(1000))
    order = market.alice.sign_order(0, True, Decimal("0.1"), Decimal(60_000))
    market.bob.fill(order)
    call = system.engine.resumeRisk.encode(0)
    system.authority.schedule.send(system.engine.address, call, 0, sender=market.admin)


def test_every_panel_shows_something(browser: Any, page: Page, market: Market) -> None:
    fill(market)
    page.at_head(market.system.client)
    tab = Tab(browser, page.url)
    for chart in ("fund", "oi", "price", "shock", "levels"):
        tab.page.wait_for_selector(f"#chart-{chart} canvas")
    assert tab.page.locator(".tile").count() == 6
    assert "mUSD" in tab.text("#tiles")
    assert tab.page.locator("#layers .layer").count() >= 5
    assert tab.page.locator("#coverage tbody tr").count() == 2
    assert "BTC" in tab.text("#coverage")
    assert tab.page.locator("#worst tbody tr").count() >= 2
    assert tab.page.locator("#feed li.receipt .split b").count() >= 1
    assert "bucket" in tab.text("#buckets")
    assert "engine.resumeRisk" in tab.text("#pending")
    assert "maintenance margin" in tab.text("#rules")
    assert tab.text("#light") == "live"
    for card in CARDS:
        assert tab.page.locator(f"#card-{card} h2").is_visible()
    sizes = tab.page.evaluate(
        "[...document.querySelectorAll('.chart canvas')].map(c => [c.clientWidth, c.clientHeight])"
    )
    assert all(width > 100 and height > 80 for width, height in sizes)
    tab.check()


def test_a_liquidation_appears_without_a_reload(browser: Any, page: Page, market: Market) -> None:
    tab = Tab(browser, page.url)
    assert tab.page.locator("#feed li.receipt").count() == 0
    before = tab.text(".tile:first-child dd")
    crash(market)
    tab.page.wait_for_selector("#feed li.receipt")
    assert "bankrupt: deficit" in tab.text("#feed li.receipt .title")
    tab.page.wait_for_function(
        "before => document.querySelector('.tile:first-child dd').innerText !== before", arg=before
    )
    assert sum(url.endswith("/stream") for url in tab.requests) == 1
    tab.check()


def test_the_slider_and_the_tabs(browser: Any, page: Page, market: Market) -> None:
    market.open()
    page.at_head(market.system.client)
    tab = Tab(browser, page.url)
    tab.page.wait_for_selector("#chart-shock canvas")
    mild = tab.text("#shock-figures")
    tab.page.locator("#shock-move").fill("-60")
    assert tab.text("#shock-out") == "−60 %"
    harsh = tab.text("#shock-figures")
    assert harsh != mild
    tab.page.locator("#shock-market").select_option("1")  # nobody is in ETH
    assert "0 accounts" in tab.text("#shock-figures")
    tab.page.get_by_role("button", name="receipts").click()
    assert "Nothing of the kind" in tab.text("#feed")
    tab.page.locator("#rules-tabs button").nth(1).click()
    assert tab.page.locator("#rules-tabs button").nth(1).get_attribute("aria-pressed") == "true"
    tab.check()


def test_on_a_phone_nothing_is_wider_than_the_screen(
    browser: Any, page: Page, market: Market
) -> None:
    fill(market)
    page.at_head(market.system.client)
    tab = Tab(browser, page.url, viewport={"width": 390, "height": 844}, has_touch=True)
    tab.page.wait_for_selector("#worst tbody tr")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
    rights = tab.page.evaluate(
        "[...document.querySelectorAll('.card, .tile')].map(c => c.getBoundingClientRect().right)"
    )
    assert max(rights) <= 390
    tab.check()


def test_dark_and_light(browser: Any, page: Page) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    seen = {}
    for scheme in ("light", "dark"):
        tab = Tab(browser, page.url, color_scheme=scheme)
        seen[scheme] = tab.page.evaluate(background)
        tab.page.click("#theme")
        assert tab.page.evaluate(background) != seen[scheme]
        tab.page.reload()
        tab.page.wait_for_selector("#chart-fund canvas")
        assert tab.page.evaluate(background) != seen[scheme]  # the choice stays
        tab.check()
    assert seen["light"] != seen["dark"]


def test_names_from_outside_are_text(browser: Any, system: System, tmp_path: Path) -> None:
    evil = '<img src=x onerror="alert(1)">'
    markets = tuple(replace(m, name=f"{evil}{m.name}") for m in system.record.markets)
    named = replace(system, record=replace(system.record, markets=markets, token_symbol=evil))
    with watch(named, tmp_path) as monitor:
        Page(monitor).at_head(system.client)
        tab = Tab(browser, monitor.url)
        tab.page.wait_for_selector("#coverage tbody tr")
        assert evil in tab.text("#coverage")
        assert tab.page.locator("img").count() == 1  # the mark beside the name
        tab.check()


def test_a_page_whose_server_ends_says_so(browser: Any, system: System, tmp_path: Path) -> None:
    with watch(system, tmp_path) as monitor:
        Page(monitor).at_head(system.client)
        tab = Tab(browser, monitor.url)
    tab.page.wait_for_function("document.querySelector('#light').dataset.state === 'gone'")
    assert "keeps trying" in tab.text("#problem")
    assert tab.page.locator(".tile").count() == 6  # the last figures stay
