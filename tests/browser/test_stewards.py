"""A steward decides by keyboard alone; without scripts the same pages work."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import enter
from tests.browser.test_accessibility import DESKTOP, TABLET
from tests.portal.conftest import Server
from tests.portal.fake import Hub

pytestmark = pytest.mark.browser


@pytest.fixture
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(Hub(tmp_path_factory.mktemp("portal")))
    yield server
    server.stop()


@pytest.fixture
def page(browser: Browser, portal: Server) -> Iterator[Page]:
    context = browser.new_context(locale="en-GB", viewport=TABLET)
    page = context.new_page()
    enter(page, portal.url, "sylvie", "vent")
    expect(page.locator("#tasks")).to_be_visible()
    yield page
    context.close()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.closest('li, label, h1, h2, input')?.textContent ?? ''"))


def test_decided_by_keyboard_alone(page: Page, portal: Server) -> None:
    for key, number in (("j", "no. 1"), ("j", "no. 2"), ("ArrowDown", "no. 3"), ("k", "no. 2")):
        page.keyboard.press(key)
        assert number in focused(page), key
    page.keyboard.press("Enter")
    page.wait_for_url("**/task/2")
    expect(page.locator("h1")).to_be_focused()
    page.keyboard.press("d")
    expect(page.locator("[value=different]")).to_be_checked()
    expect(page.locator("#reason")).to_be_focused()
    page.keyboard.type("Twins: seen with the mother")  # letters that are shortcuts elsewhere
    page.keyboard.press("Enter")
    page.wait_for_url("**/task/3?*")
    expect(page.locator("[role=status]")).to_contain_text("no. 2: different persons")
    closed = portal.hub.index.questions[1]
    assert (closed.decided, closed.decided_why) == ("different", "Twins: seen with the mother")
    page.keyboard.press("s")
    page.keyboard.type("Document checked")
    page.keyboard.press("Enter")
    expect(page.locator("#decision-title")).to_be_focused()
    expect(page.locator("button.danger")).to_be_visible()
    assert portal.hub.index.questions[2].closed_at is None
    page.locator("#decision-title").press("Tab")
    expect(page.locator("#reason")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("button.danger")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/task/4?*")
    assert portal.hub.index.questions[2].decided == "same"


def test_a_proposal_is_taken_back_by_keyboard_alone(page: Page, portal: Server) -> None:
    portal.hub.index.four_eyes = True
    page.goto(f"{portal.url}/portal/steward/task/2")
    page.keyboard.press("d")
    page.keyboard.type("Twins")
    page.keyboard.press("Enter")
    page.wait_for_url("**/task/3?*")
    assert portal.hub.index.questions[1].proposed == "different"
    page.goto(f"{portal.url}/portal/steward/task/2")
    button = page.locator(".decision button")
    for _ in range(40):
        page.keyboard.press("Tab")
        if button.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/task/2?told=withdrawn")
    expect(page.locator(".notice.good")).to_contain_text("taken back")
    expect(page.locator("h1")).to_be_focused()
    assert portal.hub.index.questions[1].proposed == ""
    page.keyboard.press("d")
    expect(page.locator("#reason")).to_be_focused()


def test_skipped_and_back_to_the_list(page: Page, portal: Server) -> None:
    page.keyboard.press("n")
    page.wait_for_url("**/task/1")
    page.keyboard.press("j")
    page.wait_for_url("**/task/2?*")
    page.keyboard.press("u")
    page.wait_for_url("**/portal/steward")
    page.goto(f"{portal.url}/portal/steward/task/4")
    page.keyboard.press("o")
    page.wait_for_url("**/task/4?other=1")
    expect(page.locator(".decision .ends")).to_contain_text("A-502")


def test_shortcuts_can_be_switched_off(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_have_attribute("open", "")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("#shortcuts-on")).not_to_be_checked()
    page.reload()
    page.keyboard.press("n")
    page.keyboard.press("j")
    assert page.url.endswith("/portal/steward")
    assert "no. 1" not in focused(page)


def test_everything_is_reached_by_tab(page: Page, portal: Server) -> None:
    page.goto(f"{portal.url}/portal/steward/task/3")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name || document.activeElement.tagName"))
        if "reason" in reached:
            break
    assert {"verdict", "reason"} <= reached
    page.keyboard.press("Tab")
    expect(page.locator(".decision button")).to_be_focused()


def test_without_scripts(browser: Browser, portal: Server) -> None:
    context = browser.new_context(locale="fr-FR", viewport=DESKTOP, java_script_enabled=False)
    page = context.new_page()
    enter(page, portal.url, "sylvie", "vent")
    page.click("#task-2 a")
    page.check("[value=leave]")
    page.fill("#reason", "À revoir")
    page.click(".decision button")
    page.wait_for_url("**/task/3?*")
    assert portal.hub.index.questions[1].decided == "leave"
    page.goto(f"{portal.url}/portal/steward/task/6")
    page.click(".persons a")
    page.click("details.undo summary")
    page.fill("details.undo input[name=reason]", "Deux personnes")
    page.click("details.undo form button")
    expect(page.locator("#why [role=status]")).to_contain_text("séparées")
    context.close()


def test_hostile_names_run_nothing(page: Page, portal: Server) -> None:
    said: list[str] = []
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    for path in ("", "/task/8", "/orphans"):
        page.goto(f"{portal.url}/portal/steward{path}")
        expect(page.locator("main")).to_contain_text("<img src", ignore_case=True)
        assert page.locator("main img").count() == 0
    assert said == []


def test_after_an_operator_s_action_what_became_of_it_has_the_focus(browser: Browser, portal: Server) -> None:
    context = browser.new_context(locale="fr-FR", viewport=DESKTOP)
    page = context.new_page()
    enter(page, portal.url, "omar", "soleil")
    for path in ("deliveries/d1", "messages/m3"):
        page.goto(f"{portal.url}/portal/operator/{path}")
        page.locator("form[action$=replay] button").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**?done=*")
        expect(page.locator(".notice[role=status]")).to_be_focused()
    page.goto(f"{portal.url}/portal/operator/sources")
    button = page.locator("form[data-swap] button").first
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#checks-1 h3")).to_be_visible()
    expect(button).to_be_focused()
    context.close()
