"""`python -m spec.live [--port 8765] [--engine impl|vllm|both] [--model qwen3|llama]`: an engine shown while it works."""
import argparse
import signal
import threading
from pathlib import Path

from reference.prompts import MODELS
from spec.live.controls import ENGINES

RUNS = Path(__file__).parents[2] / "reports" / "runs" / "live"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m spec.live", description="Show an engine while it works, on a page for the browser.")
    parser.add_argument("--port", type=int, default=8765, help="0: any that is free (8765)")
    parser.add_argument("--engine", choices=list(ENGINES), default="impl", help="the page can change it (impl)")
    parser.add_argument("--model", choices=MODELS, default=MODELS[0], help=f"the page can change it ({MODELS[0]})")
    asked = parser.parse_args(argv)
    try:
        from spec.live.server import LiveServer
    except ModuleNotFoundError as error:
        parser.exit(1, f"{error.name} is not installed; it comes with vLLM: run 'make setup'\n")
    try:
        server = LiveServer(RUNS, asked.port)
    except (OSError, OverflowError) as error:
        parser.exit(1, f"Port {asked.port} cannot be had ({error}): choose another with --port, or --port 0\n")
    server.driver.put({"do": "engine", "engine": asked.engine, "model": asked.model, "limits": {}})
    server.start()
    print(f"{server.address}   (Ctrl-C ends it)", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)    # once is enough: the run file is being completed
        print("\nEnding.", flush=True)
    server.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
