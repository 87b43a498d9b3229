"""As with the kernels' tests, several workers share a GPU."""
from spec.kernels.conftest import memory_given_back  # noqa: F401
