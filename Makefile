# Every command of InferLab. `make` alone lists them.
#
#   PY=python3 make spec    uses that interpreter as it is and installs nothing
#   LAB=cpu|gpu|base        which vLLM set-up installs (base: none, recordings only)
#   REFERENCE=recorded      which vLLM answers: live, recorded or auto
#   ARGS='-k preempt'       handed to pytest, or to whatever else is run

PY        ?= .venv/bin/python
REFERENCE ?= live
ARGS      ?=
N         ?= 20000
SEED      ?=
ENGINE    ?= both
CLAIM     ?=
VLLM      ?=
SECONDS   ?= 3600

# Another interpreter than .venv's is its owner's business: nothing is installed there.
ENV    := $(if $(filter .venv/bin/python,$(PY)),setup)
PYTEST  = $(PY) -m pytest
BENCH   = $(PYTEST) --benchmark-only --benchmark-json=reports/runs/bench-$$(date +%Y%m%d-%H%M%S).json
FUZZ    = $(PY) -m spec.fuzz --workloads $(N) $(if $(SEED),--seed $(SEED))

.DEFAULT_GOAL := help
.PHONY: help setup spec test test-recorded record fuzz museum peers coverage bench bench-page drift drift-page report live progress log drills export browser doctor lint-workflows clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make or refresh .venv (the other targets do it when needed)
	@.ci/setup

spec: $(ENV) ## the claims about the scheduler, on the real vLLM and on impl
	@$(PYTEST) spec/scheduler --reference=$(REFERENCE) $(ARGS)

# Recorded first: it takes seconds, and the closing line is then the whole suite's.
test: $(ENV) test-recorded drills ## the whole suite: from recordings, the drills, and live
	@$(PYTEST) --reference=$(REFERENCE) -n 2 $(ARGS)

test-recorded: ## the claims from recordings, where neither torch nor vLLM exists
	@VENV=.venv-recorded LAB=base .ci/setup
	@.venv-recorded/bin/python -c "import importlib.util as u; found = [m for m in ('torch', 'vllm') if u.find_spec(m)]; \
	    raise SystemExit(f'.venv-recorded must have neither torch nor vLLM, and has {found}: delete it' if found else 0)"
	@.venv-recorded/bin/python -m pytest spec/scheduler spec/kv_cache spec/surgery --reference=recorded $(ARGS)

# No report: the newest run is one of claims. A stub and a wrong answer pass here by failing as they should.
drills: $(ENV) ## judge the judges: every drill's stub, solution and wrong answers (yours: python -m drills)
	@$(PYTEST) drills --answer=all -n 2 --no-report

record: $(ENV) ## record vLLM's decisions anew (review the diff, then commit it)
	@$(PYTEST) spec/scheduler spec/kv_cache spec/surgery spec/engine spec/sampling --reference=record -n 2 $(ARGS)

fuzz: $(ENV) ## random workloads through both engines: N=20000 SEED=0
	@$(FUZZ)

coverage: $(ENV) ## branch coverage of impl under the fuzzer: N=20000
	@$(FUZZ) --coverage

museum: $(ENV) ## real bugs put into impl: each must make a claim fail
	@$(PY) -m spec.museum

peers: $(ENV) ## other engines beside vLLM, claim by claim, and what each of its ideas buys: ARGS='--why my_engine'
	@$(PY) -m spec.peers $(ARGS)

bench: $(ENV) ## our speed against vLLM's, and a page of it beside earlier runs
	@mkdir -p reports/runs
	@$(PYTEST) spec/benchmarks/bench_*.py --benchmark-only --benchmark-json=reports/runs/bench-$$(date +%Y%m%d-%H%M%S).json $(ARGS); \
	    status=$$?; $(PY) -m reports.benchmarks; exit $$status

bench-two-gpus: $(ENV) ## what a second GPU brings, and vLLM on two, within 9 minutes (without GPUs: ARGS=--rehearse)
	@mkdir -p reports/runs; $(PYTEST) spec/benchmarks/bench_two_gpus.py -s --benchmark-only --benchmark-json=reports/runs/bench-two-gpus-$$(date +%Y%m%d-%H%M%S).json $(ARGS)

bench-page: ## the benchmarks as a page
	@$(PY) -m reports.benchmarks

.PHONY: test-gpu test-kernels test-engines compare-recordings bench-kernels trials profile bench-engines bench-gate test-two-gpus bench-two-gpus soak experiments

# On a machine with a GPU. Each ends within ten minutes; workers share the GPU, and more of them would not fit into its memory.
test-gpu: test-kernels test-engines ## on a GPU: both of the following

test-kernels: $(ENV) ## on a GPU: the kernels, and our engine on them
	@$(PYTEST) spec/kernels spec/gpu --reference=$(REFERENCE) -n auto --maxprocesses=14 $(ARGS)

test-engines: $(ENV) ## on a GPU: the claims about whole engines, live
	@$(PYTEST) spec/engine spec/sampling --reference=$(REFERENCE) -n auto --maxprocesses=6 $(ARGS)

compare-recordings: $(ENV) ## live runs beside the recordings, each of which must be there and the same
	@$(PYTEST) spec/scheduler spec/kv_cache spec/surgery spec/recordings --reference=compare -n auto --maxprocesses=6 $(ARGS)

bench-kernels: $(ENV) ## on a GPU: our kernels beside vLLM's
	@mkdir -p reports/runs
	@$(BENCH) spec/benchmarks/bench_kernels.py $(ARGS)

trials: $(ENV) ## on a GPU: what was tried for a kernel, and what you try, side by side: ARGS='SiLU rope'
	@$(PY) -m spec.benchmarks.trials $(ARGS)

profile: $(ENV) ## on a GPU: what NVIDIA's profiler shows of our kernels and of vLLM's: ARGS='SiLU rope'
	@$(PY) -m spec.benchmarks.profiled $(ARGS)

bench-engines: $(ENV) ## on a GPU: our engine beside vLLM's, asked at once and served
	@mkdir -p reports/runs
	@$(BENCH) spec/benchmarks/bench_gpu_engine.py spec/benchmarks/bench_gpu_server.py $(ARGS)

bench-gate: $(ENV) ## fail where the newest benchmark of a GPU is below its bar, and not known to be: ARGS=FILE
	@$(PY) -m spec.benchmarks.gate $(ARGS)

test-two-gpus: $(ENV) ## on two GPUs: tensor parallelism
	@$(PYTEST) spec/gpu/test_two_gpus.py $(ARGS)

soak: $(ENV) ## random requests, aborts and bad inputs, and nothing may be lost or grow: SECONDS=3600 ARGS='--seed 7'
	@$(PY) -m reference.experiments.soak --seconds $(SECONDS) $(ARGS)

experiments: ## all that experiments have left as a page
	@$(PY) -m reports.experiments

drift: $(ENV) ## the claims against every release of vLLM since 0.24, each installed apart; one: VLLM=0.31.0
	@$(PY) -m spec.drift $(VLLM)

drift-page: ## claim by release as a page, from what is recorded
	@$(PY) -m spec.drift --page

report: $(ENV) ## write the page of the newest run, and say where it is
	@$(PY) -m reports

live: $(ENV) ## watch an engine while it works, in a browser on this machine: ENGINE=both
	@$(PY) -m spec.live --engine $(ENGINE)

progress: ## what you have explored, and how often your predictions held
	@$(PY) -m reports.progress

log: ## begin an entry of your log-book: CLAIM=spec/…::test_…
	@$(PY) -m reports.log_book new "$(CLAIM)"

export: ## the newest run of a claim for Perfetto and chrome://tracing: CLAIM=spec/…::test_…
	@$(PY) -m reports.perfetto --claim "$(CLAIM)"

browser: $(ENV) ## install a Chromium for the tests of the pages, if the system has none
	@command -v chromium chromium-browser google-chrome >/dev/null || $(PY) -m playwright install chromium

doctor: ## what is installed, which reference is available, what to do about the rest
	@$$(command -v $(PY) || echo python3) -m reference.doctor

lint-workflows: $(ENV) ## check .github/workflows
	@$(PYTEST) spec/house/test_workflows.py

clean: ## delete caches and run files, and with them what you have explored (environments and predictions stay)
	@rm -rf .pytest_cache .hypothesis .benchmarks .coverage .coverage.* htmlcov reports/runs reports/latest.html
	@find . -path './.venv*' -prune -o -name __pycache__ -type d -exec rm -rf {} +
