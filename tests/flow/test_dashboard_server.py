"""`mailweir dashboard` as a process: what it serves to whom, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from socket import socket

import pytest
from command import mailweir, running
from yarl import URL

from mailweir.services.dashboard import BOARDS
from mailweir.services.dashboard.board import FOLDER


@pytest.fixture(scope="module")
def page(prometheus: str) -> Iterator[URL]:
    """Its address."""
    with running("dashboard", "--prometheus", prometheus, "--port", 0, "--scrape-seconds", 900) as process:
        assert process.stdout
        yield URL(process.stdout.readline().split()[0])
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def get(page: URL, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, str]:
    """An answer with its text; no redirect is followed."""
    connection = HTTPConnection(str(page.host), int(page.port or 0), timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def test_every_answer_forbids_what_the_page_does_not_need(page: URL) -> None:
    """Scripts and connections of its own only, also where there is nothing."""
    for path in ("/", "/overview", "/files/page.js", "/api/boards", "/nothing", "/api/boards/overview/events?range=9d"):
        answer, _ = get(page, path)
        policy = str(answer.headers["Content-Security-Policy"])
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_nothing_comes_from_elsewhere(page: URL) -> None:
    """No file that we wrote names another host."""
    for name in ("index.html", "page.js", "panel.js", "graph.js", "elements.js", "chart.js", "units.js", "ask.js"):
        _, text = get(page, "/overview" if name == "index.html" else f"/files/{name}")
        assert text
        assert "://" not in text


def test_the_dashboards_are_grafanas_files(page: URL) -> None:
    """Byte for byte, in one order; the first is where the address without a name leads."""
    _, listed = get(page, "/api/boards")
    assert [board["name"] for board in json.loads(listed)] == list(BOARDS)
    for name in BOARDS:
        assert get(page, f"/api/boards/{name}")[1] == (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    answer, _ = get(page, "/")
    assert (answer.status, answer.headers["Location"]) == (302, "/overview")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8090", "127.0.0.1.evil.example"])
def test_a_name_that_leads_here_from_elsewhere_is_refused(page: URL, host: str) -> None:
    """A foreign page that points its own name to this machine reads nothing."""
    answer, text = get(page, "/api/boards", Host=host)
    assert answer.status == 403
    assert "overview" not in text


def test_whoever_comes_through_a_tunnel_is_served(page: URL) -> None:
    """By the name localhost and any port."""
    assert get(page, "/api/boards", Host="localhost:9999")[0].status == 200


def test_nobody_asks_prometheus_anything_else_here(page: URL) -> None:
    """A query in the address changes nothing, there is no way through to Prometheus' own paths, and nothing is written."""
    _, usual = get(page, "/api/boards/overview/panels/2?until=1795000000")
    assert get(page, "/api/boards/overview/panels/2?until=1795000000&query=up&expr=up")[1] == usual
    for path in ("/api/v1/query?query=up", "/api/v1/status/config", "/api/boards/overview/panels/../../x"):
        assert get(page, path)[0].status == 404
    assert get(page, "/api/boards/overview/panels/2", "POST")[0].status == 405


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/nothing", 404, "there are: overview, stream"),
        ("/api/boards/overview/panels/1", 404, "no such panel"),  # a row
        ("/api/boards/overview/panels/2?range=9d", 400, "there are: 15m, 1h, 6h, 24h, 7d"),
        ("/api/boards/overview/panels/2?until=yesterday", 400, "give Unix seconds"),
        ("/api/boards/overview/panels/2?until=nan", 400, "give Unix seconds"),
        ("/api/boards/capacity/panels/4?core_hour=1)%20or%20vector(1", 400, "give a number such as 0.04"),
        ("/files/..%2Fserver.py", 404, "there is no file"),
        ("/runbooks/..%2F..%2FREADME.md", 404, "--runbooks"),
    ],
)
def test_what_cannot_be_asked_is_said(page: URL, path: str, status: int, said: str) -> None:
    """With what can be."""
    answer, text = get(page, path)
    assert answer.status == status
    assert said in text


@pytest.mark.parametrize("value", ['"} or up{job="', "a\\", "a\nb", ".*", "(", '<img src="x">'])
def test_no_value_of_a_variable_breaks_out_of_its_query(page: URL, value: str) -> None:
    """Prometheus takes the query, and nothing is of that environment."""
    answer, text = get(page, str(URL("/api/boards/overview/panels/2").with_query(environment=value)))
    assert answer.status == 200, text
    assert json.loads(text)["series"] == []


def test_what_answers_and_is_no_prometheus_is_said(page: URL) -> None:
    """The page itself, for one; before the first reader comes, and to each of them."""
    with running("dashboard", "--prometheus", f"{page}", "--port", 0) as process:
        assert process.stdout
        assert process.stderr
        other = URL(process.stdout.readline().split()[0])
        assert "HTTP 404 and not as a Prometheus does" in process.stderr.readline()
        answer, text = get(other, "/api/boards/overview/panels/2")
        assert (answer.status, json.loads(text)["kind"]) == (502, "away")


@pytest.mark.parametrize("url", ["127.0.0.1:9090", "ftp://127.0.0.1", "http://", "nonsense", "http://127.0.0.1:port"])
def test_an_address_that_is_none_is_one_line(url: str) -> None:
    """With an example of one; exit code 2."""
    done = mailweir("dashboard", "--prometheus", url)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"mailweir: --prometheus {url!r} is no address such as http://127.0.0.1:9090\n"


def test_a_password_in_the_address_is_not_shown() -> None:
    """Neither to readers nor on the terminal."""
    with running("dashboard", "--prometheus", "http://me:secret@127.0.0.1:1", "--port", 0) as process:
        assert process.stdout
        assert process.stderr
        url = URL(process.stdout.readline().split()[0])
        said = process.stderr.readline() + get(url, "/api/boards/overview/panels/2")[1]
    assert "Prometheus at http://127.0.0.1:1 does not answer (Connection refused)" in said
    assert "secret" not in said


def test_a_port_that_is_taken_is_one_line() -> None:
    """With the way out; exit code 2."""
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = mailweir("dashboard", "--port", port)
    assert (done.code, done.out) == (2, "")
    assert (
        done.err
        == f"mailweir: cannot listen on 127.0.0.1:{port} (somebody listens there): choose another with --port\n"
    )


def test_runbooks_come_from_the_folder_that_is_named(tmp_path: Path) -> None:
    """An installed package has none of its own."""
    (tmp_path / "MailweirLagGrows.md").write_text("# ours\n", encoding="utf-8")
    with running("dashboard", "--port", 0, "--runbooks", tmp_path) as process:
        assert process.stdout
        url = URL(process.stdout.readline().split()[0])
        assert get(url, "/runbooks/MailweirLagGrows.md")[1] == "# ours\n"
        answer, text = get(url, "/runbooks/MailweirNoProgress.md")
    assert (answer.status, str(tmp_path) in text) == (404, True)


def test_without_the_package_to_draw_with_the_extra_is_named() -> None:
    """A worker's installation has it not: exit code 2 and what to install."""
    code = "import sys; sys.modules['youplot'] = None; sys.argv = ['mailweir', 'dashboard']; from mailweir.services.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr == "mailweir: the page needs a package to draw with: pip install 'mailweir[dashboard]'\n"
