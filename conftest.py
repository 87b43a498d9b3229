"""The lab's plugins: the bench, which asks both engines, predictions, which are asked for before, surgery, which opens the real vLLM, and the reports, which write down what is said."""
import kernels  # noqa: F401  before anything imports triton: without a GPU it must be told to interpret

pytest_plugins = ["spec.bench.plugin", "spec.bench.predict", "spec.bench.surgery", "reports.plugin"]
