"""More than two hundred prompts a model: every kind of beginning that a request may have.

Its own text, and what is cut out of it, is what a model is surest about: `own_text.json`
holds what the real vLLM let each of them say (temperature 0.8, seed 0 to 3), and
`python -m spec.engine.many_prompts` writes it anew.
"""
import json
import random
from pathlib import Path

from reference.prompts import MODELS, Prompts, prompts

OWN_TEXT = Path(__file__).with_name("own_text.json")
VOCABULARY = 1024
LONGEST = 511       # of max_model_len=512 one is left for the answer
UNTOLD = {"detokenize": False}      # recordings stay small without the text of every token

CORPUS = ["It is a truth universally acknowledged", "Mr. Bennet was so odd a mixture of quick parts", "Elizabeth", "Mr. Darcy", "the", "a", " ",
          "However little known the feelings or views of such a man may be", "“You want to tell me, and I have no objection", "Netherfield Park is let",
          "She was a woman of mean understanding, little information, and uncertain temper.", "When Jane and Elizabeth were alone", "Charlotte",
          "to be fond of dancing was a certain step towards falling in love", "Sir William Lucas had been formerly in trade", "Mr. Collins was",
          "CHAPTER", "Chapter 16", "I have been meditating on the very great pleasure", "nothing", "He was", "He was ", "He  was", "he was", "HE WAS",
          "in consequence of an agreement between the sisters", "Her", "Miss Bingley's", "“", "”", "?", "!", "...", "1 2 3", "ball " * 20]
UNICODE = ["é", "ü", "naïve façade", "Überraschung", "ß", "Ελισάβετ", "Москва", "日本語", "中文字符", "한국어", "עברית", "العربية", "हिन्दी", "🙂", "👩‍👩‍👧", "🇫🇷🇯🇵",
           "e\u0301", "A\u030a", "\u200b", "\u00a0", "ﬁ", "“quotes” — and dashes…", "½ ¾", "x²", "\t tab", "line\nbreak\n\n", "\r\n", "mixed 日本 and été",
           "🙂" * 10, "日" * 20, "a\u0300" * 8, "\ufeffBOM", "zero\u200dwidth", "ǅ", "İstanbul", "NUL\x00byte"]


def own_text(model: str) -> list[int]:
    """About 1,600 tokens that the model has said."""
    return json.loads(OWN_TEXT.read_text())[model]


def of_each_length(model: str) -> list[list[int]]:
    """A prompt of each length from 1 to 64: all there is around the borders of two blocks."""
    said = own_text(model)
    return [said[7 * length:8 * length] for length in range(1, 65)]


def long_ones(model: str) -> list[list[int]]:
    """Prompts of many blocks, up to the longest that fits."""
    said = own_text(model)
    return [said[start:start + length] for start, length in enumerate((95, 96, 97, 127, 128, 129, 191, 200, 255, 256, 257, 320, 384, 449, 510, LONGEST))]


def with_common_beginnings(model: str) -> list[list[int]]:
    """Prompts that share nothing, a part of a block, a block, several blocks, or everything."""
    said = own_text(model)
    return [said[100:100 + shared] + said[400 + 11 * number:400 + 11 * number + 9] for shared in (16, 31, 32, 33, 64, 100) for number in range(6)]


def at_random(model: str) -> list[list[int]]:
    """Ids in no order a tokenizer would ever give."""
    rng = random.Random(model)
    return [[rng.randrange(3, VOCABULARY) for _ in range(rng.choice((1, 2, 5, 17, 40, 90)))] for _ in range(36)]


def ask_all(asked: list, **params) -> Prompts:
    """All of them at once; which are served together is the scheduler's business."""
    some = prompts(max_num_seqs=16)
    for number, prompt in enumerate(asked):
        room = 512 - len(prompt) if not isinstance(prompt, str) else 512
        some = some.ask(f"{number}", prompt, **{"max_tokens": min(24, room), "logprobs": 2} | params)
    return some


def write_own_text() -> None:
    from reference.vllm_llm import vllm_generation
    said = {}
    for model in MODELS:
        asked = prompts(model)
        for seed, beginning in enumerate(("Elizabeth", "The", "Mr.", "“I")):
            asked = asked.ask(str(seed), beginning, temperature=0.8, seed=seed, max_tokens=400, ignore_eos=True)
        run = vllm_generation(asked)
        said[model] = [token_id for output in run.requests.values() for token_id in output.outputs[0].token_ids if token_id > 2]
        print(model, len(said[model]), repr(run.text("0")[:300]))
    OWN_TEXT.write_text(json.dumps(said) + "\n")


if __name__ == "__main__":
    write_own_text()
