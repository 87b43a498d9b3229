"""A real Chromium for tests that look at pages as a person does. `from spec.reports.browser import browser, page, troubles`.

`page` fails its test if the browser complained, or if anything beyond this machine was asked for. What has been seen so
far is in `troubles`; a test that provokes a complaint takes it out of there.
"""
import os
import re
import shutil

import pytest

AT_HOME = re.compile(r"(file|data|blob|about):|http://(127\.0\.0\.1|localhost)[:/]")
REMEDY = "'make browser' installs both"


# For a module, not for the session: while Playwright runs, no other test of this process could use asyncio.
@pytest.fixture(scope="module")
def browser():
    """The system's browser, or else Playwright's own, without a window."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _do_without("playwright is not installed")
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), own)
        if not os.path.exists(path):
            _do_without("there is no Chromium here")
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def troubles():
    """What the browser complained about."""
    return []


@pytest.fixture
def page(browser, troubles):
    """An empty page, as large as a desktop's; `page.set_viewport_size` makes it a phone."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(10_000)
    opened.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("request", lambda asked: None if AT_HOME.match(asked.url) else troubles.append(f"asked for {asked.url}"))
    yield opened
    context.close()
    assert not troubles


def hard_to_read(page) -> list[str]:
    """The texts in sight that stand out from their background by less than 4.5 to 1, which people with weak eyes need."""
    return page.evaluate(_HARD_TO_READ)


# Colours are mixed by painting them, as the browser does: whatever way they are written, and over each other.
_HARD_TO_READ = """() => {
    const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true }), known = new Map();
    const painted = colours => {
        const key = colours.join();
        if (!known.has(key)) {
            for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
            const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map(c => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
            known.set(key, .2126 * r + .7152 * g + .0722 * b);
        }
        return known.get(key);
    };
    const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode, element = text.parentElement;
        if (!text.data.trim() || !element.checkVisibility() || element.closest(":disabled, script, style")) continue;
        const around = [];
        for (let at = element; at; at = at.parentElement) around.unshift(getComputedStyle(at).backgroundColor);
        const ground = ["white", ...around], paper = painted(ground), ink = painted([...ground, getComputedStyle(element).color]);
        const contrast = (Math.max(paper, ink) + .05) / (Math.min(paper, ink) + .05);
        if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${element.tagName}.${element.className}: ${text.data.trim().slice(0, 40)}`);
    }
    return found;
}"""


def _do_without(missing: str) -> None:
    pytest.skip(f"{missing}: {REMEDY}")
