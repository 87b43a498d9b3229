"""Random workloads through both engines, every step compared."""
