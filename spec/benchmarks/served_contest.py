"""The engines under the load of a server: the same requests, arriving at the same times, and when their tokens came."""
from spec.benchmarks.engine_pair import Pair
from spec.benchmarks.engine_row import Row
from spec.benchmarks.engine_scale import EngineScale
from spec.benchmarks.kernel_race import WrongResult


def served(scale: EngineScale, pair: Pair, rate: int) -> dict[str, dict]:
    """By engine, what `LoadPlayer.play` returns. Raises `WrongResult` where a request did not get what it asked for."""
    requests = scale.load(rate)
    told = {}
    for name, engine in pair.engines.items():
        told[name] = engine.serve(requests)
        pair.say(f"  {name}: {len(requests)} requests at {rate} a second, done after {told[name]['seconds']:.1f} s")
        for request, answer in zip(requests, told[name]["answers"], strict=True):
            wanted, leaves = request["max_tokens"], request["leaves_after"]
            if not answer["has_text"] or not (leaves <= answer["tokens"] <= wanted if leaves else answer["tokens"] == wanted):
                raise WrongResult(f"{name} gave {answer['tokens']} tokens where {leaves or wanted} were wanted, or no text")
    return told


def waiting(told: dict[str, dict], rate: int, absent: str) -> Row:
    """From a request's arrival to its first token."""
    return _row(f"time to the first token, {rate} requests/s", {name: [answer["first"] for answer in each["answers"]] for name, each in told.items()}, absent)


def between_tokens(told: dict[str, dict], rate: int, absent: str) -> Row:
    """From one token to the next, the mean of each request."""
    return _row(f"time per output token, {rate} requests/s", {name: [
        (answer["last"] - answer["first"]) / (answer["tokens"] - 1) for answer in each["answers"]] for name, each in told.items()}, absent)


def left_behind(loads: dict[int, dict[str, dict]]) -> Row:
    """How many blocks of ours are held by nobody, after all loads together. Raises `WrongResult` if there are any."""
    lost = {rate: told["ours"]["lost_blocks"] for rate, told in loads.items()}
    if any(lost.values()):
        raise WrongResult(f"blocks lost after the load, by its rate: {lost}")
    return Row("blocks lost, one request in ten having left midway", "blocks", {"ours": [sum(lost.values())]}, verdicts={"none": "met"})


def _row(what: str, seconds: dict[str, list[float]], absent: str) -> Row:
    return Row(what, "ms", {name: [1e3 * each for each in values] for name, values in seconds.items()}, tail=True,
               notes={"requests": len(seconds["ours"]), "absent": absent})
