"""The page as a whole: what is on it, and what writing it again keeps."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from olmix.errors import DataError
from olmix.report import write_report
from olmix.report.write import merge_commands
from sample_fit import edit_json, write_sample_fit

FIT = "olmix fit -c fit.yaml -o fit"
VERIFY = "olmix verify --fit fit/latest -c launch.yaml"
VOID = {"meta", "col", "br", "img", "link", "input", "image", "path", "use"}


class Outline(HTMLParser):
    """Collects the elements of a page, and complains about those that are not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.headings: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def ids(self):
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


def read(folder) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def notes(folder) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(reported):
    return Outline(read(reported))


def test_every_section_is_there(page):
    sections = ["mixture", "gains", "verification", "evidence", "fits", "effects", "runs"]
    assert {*sections, "notes", "made", "words", "result"} <= set(page.ids())


def test_the_links_of_the_page_lead_somewhere(page):
    targets = {link["href"] for link in page.all("a")}
    assert targets <= {f"#{name}" for name in page.ids()}


def test_ids_are_unique(page, hostile):
    for outline in (page, Outline(read(hostile))):
        assert len(outline.ids()) == len(set(outline.ids()))


def test_headings_skip_no_level(page):
    assert page.headings[0] == "h1"
    assert page.headings.count("h1") == 1
    levels = [int(tag[1]) for tag in page.headings]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_every_figure_has_a_text_and_every_table_column_a_heading(page):
    figures = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    assert len(figures) >= 7
    assert all(len(svg["aria-label"]) > 20 for svg in figures)
    assert all(cell["scope"] in ("row", "col") for cell in page.all("th"))


@pytest.mark.parametrize("name", ["reported", "hostile"])
def test_the_page_needs_no_network(name, request):
    text = read(request.getfixturevalue(name))
    assert not re.search(
        r"(https?:)?//[a-z]", re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    )
    outline = Outline(text)
    assert not outline.all("link")
    assert not outline.all("img")
    assert all("src" not in script for script in outline.all("script"))
    assert "url(http" not in text
    assert "@import" not in text


def test_hostile_names_are_text_and_nothing_else(hostile):
    outline = Outline(read(hostile))
    assert len(outline.all("script")) == 1
    assert "<script>alert(1)</script>" in outline.text
    assert "</svg><img src=x onerror=alert(1)>" in outline.text
    assert "#0072b2" in outline.text
    assert "echo </pre>" in outline.text
    assert not [attributes for _, attributes in outline.elements if "onerror" in attributes]


def test_every_figure_has_a_png_file(reported):
    shown = {file.name for file in reported.glob("*.png")}
    assert {
        "opt_avg_all_metrics_log_weight_optimal.png",
        "mixtures.png",
        "gains.png",
        "verification.png",
        "cross_validation.png",
        "interaction_matrix.png",
        "swarm.png",
        "networkx_bpb_log_weight_fit.png",
        "networkx_bpb_log_weight_optimal.png",
    } <= shown
    assert all((reported / name).read_bytes().startswith(b"\x89PNG") for name in shown)


def test_two_reports_of_one_fit_are_the_same_bytes(reported, tmp_path):
    copy = tmp_path / reported.name
    shutil.copytree(reported, copy)
    write_report(copy)
    for file in reported.iterdir():
        assert (copy / file.name).read_bytes() == file.read_bytes(), file.name


def test_the_report_keeps_no_times(reported):
    assert not re.search(r"\b20\d\d-\d\d-\d\d", read(reported))


@pytest.mark.usefixtures("no_figures")
def test_a_fit_that_was_not_verified_says_so(fit):
    (fit / "verification.json").unlink()
    write_report(fit)
    outline = Outline(read(fit))
    assert "Predicted, not verified yet" in outline.text
    assert "verification" not in outline.ids()
    assert "by the trainer of your runs" in outline.text


def test_a_fit_without_a_proposal_shows_its_laws(fit):
    (fit / "verification.json").unlink()
    (fit / "proposal.json").unlink()
    write_report(fit)
    outline = Outline(read(fit))
    assert "no mixture was proposed" in outline.text
    assert {"evidence", "fits", "runs"} <= set(outline.ids())
    assert not {"mixture", "gains"} & set(outline.ids())


@pytest.mark.usefixtures("no_figures")
def test_without_a_reliable_signal_the_gain_is_no_headline(tmp_path):
    size = {"num_runs": 8, "num_domains": 2, "num_metrics": 1}
    folder = write_sample_fit(tmp_path / "abc", reliable=False, verified=False, **size)
    write_report(folder)
    text = read(folder)
    assert "No reliable signal" in text
    assert 'class="numbers"' not in text
    assert "Do not train on this mixture: held-out runs" in text


def test_fit_json_alone_makes_a_page(fit):
    for file in fit.iterdir():
        if file.name != "fit.json":
            file.unlink()
    write_report(fit)
    assert "holds no predictions" in Outline(read(fit)).text


def test_odd_values_are_shown_as_unknown(fit):
    changes = {"mixtures/proposed/predicted/mean": None, "gains/natural/mean": None}
    edit_json(fit / "proposal.json", **changes, **{"mixtures/natural/weights/docs": None})
    edit_json(fit / "fit.json", **{"metrics/networkx_bpb/candidates/log_weight/cv": {}})
    edit_json(fit / "verification.json", **{"mixtures/uniform/values": [None] * 5})
    path = fit / "predictions.csv"
    path.write_text(re.sub(r"(natural,[^,]*),[^,]*", r"\1,", path.read_text()))
    write_report(fit)
    assert "nan" not in Outline(read(fit)).text.lower()


def test_a_folder_without_a_fit_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"fit\.json"):
        write_report(tmp_path)


@pytest.mark.usefixtures("no_figures")
def test_writing_the_report_again_loses_nothing(fit, tmp_path):
    where = {"runs": tmp_path / "swarm", "verification_runs": tmp_path / "verify"}
    for folder in where.values():
        folder.mkdir()
    machine = {"cores": "2"}
    write_report(fit, commands=(FIT,), title="My mixture", machine=machine, **where)
    first = notes(fit)
    write_report(fit)
    assert notes(fit) == first
    assert first["commands"] == [FIT]
    assert first["machine"] == machine
    assert first["title"] == "My mixture"
    assert first["runs"] == str(where["runs"])
    assert "<title>My mixture</title>" in read(fit)
    assert FIT in read(fit)


@pytest.mark.parametrize(
    ("known", "given", "merged"),
    [
        ([], ["fit"], ["fit"]),
        (["fit"], [], ["fit"]),
        (["fit"], ["verify"], ["fit", "verify"]),
        (["fit", "verify"], ["fit"], ["fit", "verify"]),
        (["fit", "verify"], ["prepare", "fit", "verify"], ["prepare", "fit", "verify"]),
        (["fit", "verify"], ["verify", "fit"], ["verify", "fit"]),
        (["fit", "verify 3"], ["prepare", "fit", "verify 5"], None),
        (["fit", "fit"], ["verify", "verify"], ["fit", "verify"]),
    ],
)
def test_the_order_of_the_given_commands_wins_and_none_is_lost(known, given, merged):
    found = list(merge_commands(known, given))
    assert found == (merged or ["prepare", "fit", "verify 3", "verify 5"])


def test_a_page_that_would_be_the_same_is_not_drawn_again(tmp_path, monkeypatch):
    folder = write_sample_fit(tmp_path / "fit")
    page = write_report(folder, commands=("olmix fit",))
    before = page.stat().st_mtime_ns
    with monkeypatch.context() as changed:
        changed.setattr("olmix.report.write.draw_figures", lambda *_: pytest.fail("drawn again"))
        assert write_report(folder, commands=("olmix fit",)) == page
    assert page.stat().st_mtime_ns == before
    write_report(folder, commands=("olmix fit", "olmix verify"))
    assert "olmix verify" in page.read_text()
    (folder / "report.html").unlink()
    assert write_report(folder).is_file()


@pytest.mark.parametrize("content", ["[]", '{"commands": 3}', '{"runs": 4, "facts": []}', "{"])
def test_a_report_json_that_cannot_be_read_is_written_anew(fit, no_figures, content):
    (fit / "report.json").write_text(content)
    write_report(fit, commands=("olmix fit",))
    assert json.loads((fit / "report.json").read_text())["commands"] == ["olmix fit"]


@pytest.mark.parametrize("content", ["[]", '{"domains": 3}', '{"mixtures": [[NaN]]}', "{"])
def test_laws_that_cannot_be_read_leave_a_page_without_sliders(fit, no_figures, content):
    (fit / "models.json").write_text(content)
    assert "Move a slider" not in write_report(fit).read_text(encoding="utf-8")
