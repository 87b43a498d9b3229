"""`python -m impl --model FOLDER "a prompt"`: streams what the model writes, and says how fast."""
import argparse
import sys
import time

from impl.errors import InferLabError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m impl", description=__doc__)
    parser.add_argument("prompt")
    parser.add_argument("--model", required=True, help="a folder in the Hugging Face layout, or a hub id")
    parser.add_argument("--chat", action="store_true", help="the prompt is what the user says: put it into the model's chat template")
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--max-model-len", type=int, help="tokens of prompt and output together; as many as the model knows positions")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--dtype", default="auto")
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
    params = SamplingParams(temperature=options.temperature, max_tokens=options.max_tokens, seed=options.seed)
    llm = LLM(options.model, dtype=options.dtype, device=options.device, max_model_len=options.max_model_len, max_num_seqs=1)
    prompt = llm.chat_prompt([{"role": "user", "content": options.prompt}]) if options.chat else options.prompt
    started, first, shown = time.monotonic(), None, 0
    llm.engine.add_request("0", prompt, params)
    while llm.engine.has_unfinished_requests():
        for output in llm.engine.step():
            completion = output.outputs[0]
            first = first or time.monotonic()
            print(completion.text[shown:], end="", flush=True)
            shown = len(completion.text)
    seconds = time.monotonic() - started
    print(flush=True)
    print(f"{len(completion.token_ids)} tokens, {len(completion.token_ids) / seconds:.1f} a second, "
          f"the first token after {1000 * (first - started):.0f} ms", file=sys.stderr)
    if completion.finish_reason == "error":
        raise InferLabError(completion.stop_reason)


if __name__ == "__main__":
    sys.exit(main())
