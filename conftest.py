"""The lab's two plugins: the bench, which asks both engines, and the reports, which write down what it says."""
pytest_plugins = ["spec.bench.plugin", "reports.plugin"]
