"""The lab's plugins: the bench, which asks both engines, predictions, which are asked for before, and the reports, which write down what is said."""
pytest_plugins = ["spec.bench.plugin", "spec.bench.predict", "reports.plugin"]
