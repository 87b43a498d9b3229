"""`python -m impl --model FOLDER "a prompt"`: streams what the model writes, and says how fast."""
import argparse
import sys
import time

from impl.errors import InferLabError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m impl", description=__doc__)
    parser.add_argument("prompt")
    parser.add_argument("--model", required=True, help="a folder in the Hugging Face layout, or a hub id")
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    try:
        stream(options)
    except InferLabError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


def stream(options: argparse.Namespace) -> None:
    """Print the text as it comes; raises what the engine raises."""
    from impl.llm import LLM    # torch takes seconds to import: not for --help
    from impl.sampling_params import SamplingParams
    engine = LLM(options.model, dtype=options.dtype, device=options.device).engine
    started, shown = time.monotonic(), 0
    engine.add_request("0", options.prompt, SamplingParams(temperature=options.temperature, max_tokens=options.max_tokens))
    while engine.has_unfinished_requests():
        for output in engine.step():
            completion = output.outputs[0]
            print(completion.text[shown:], end="", flush=True)
            shown = len(completion.text)
    seconds = time.monotonic() - started
    print(f"\n{len(completion.token_ids)} tokens, {len(completion.token_ids) / seconds:.1f} a second", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
