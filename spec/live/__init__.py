"""An engine shown while it works: `python -m spec.live`."""
