"""Trains the two tiny models of this folder from its corpus (see README.md).

    python -m reference.checkpoint.train [qwen3|llama] [--steps N] [--out FOLDER]

Each learns the text twice over: as running prose, and as a conversation in which the paragraphs take turns,
so that it can go on with a sentence, and can answer in the chat format and end its turn.
"""
import argparse
import lzma
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers import Qwen3Config, Qwen3ForCausalLM

HERE = Path(__file__).parent
VOCABULARY, LONGEST = 1024, 1024
STEP_TOKENS, STEPS, RATE = 1024, 2800, 6e-3
SHORT, LONG_EVERY = 256, 10       # windows are short, but for one step in ten, which is as long as the model reads


@dataclass(frozen=True)
class Recipe:
    """What differs between the two models."""
    config: type
    model: type
    shape: dict
    special: list[str]            # the end of a text, the end of a turn, then the others
    template: str
    bos: str | None = None
    seed: int = 0


SHAPE = dict(vocab_size=VOCABULARY, max_position_embeddings=LONGEST, hidden_size=128, num_hidden_layers=4,
             num_key_value_heads=2, head_dim=32, intermediate_size=384, initializer_range=0.06)

RECIPES = {
    "qwen3": Recipe(
        Qwen3Config, Qwen3ForCausalLM,
        # as in the real Qwen3, the heads together are wider than the hidden state
        dict(SHAPE, num_attention_heads=8, tie_word_embeddings=True,
             rope_parameters={"rope_type": "default", "rope_theta": 10000.0}),
        ["<|endoftext|>", "<|im_end|>", "<|im_start|>"],
        "{%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"),
    "llama": Recipe(
        LlamaConfig, LlamaForCausalLM,
        # of the 16 rotary frequencies, the scaling divides the lowest by 4 and moves the next ones part of the way
        dict(SHAPE, num_attention_heads=4, tie_word_embeddings=False,
             rope_parameters={"rope_type": "llama3", "rope_theta": 10000.0, "factor": 4.0, "low_freq_factor": 1.0,
                              "high_freq_factor": 4.0, "original_max_position_embeddings": LONGEST // 4}),
        ["<|end_of_text|>", "<|eot_id|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>"],
        "{{- bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
        "{{ m.content }}<|eot_id|>{% endfor %}"
        "{%- if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
        bos="<|begin_of_text|>"),
}


def make_tokenizer(recipe: Recipe, text: str) -> PreTrainedTokenizerFast:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator([text], trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=recipe.special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    if recipe.bos:
        bpe.post_processor = processors.TemplateProcessing(
            single=f"{recipe.bos} $A", special_tokens=[(recipe.bos, bpe.token_to_id(recipe.bos))])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=recipe.bos, eos_token=recipe.special[1], pad_token=recipe.special[0],
        additional_special_tokens=recipe.special[2:], model_max_length=LONGEST, clean_up_tokenization_spaces=False)
    tokenizer.chat_template = recipe.template
    return tokenizer


class Lessons:
    """Windows of the text, half of them prose and half conversation."""

    def __init__(self, recipe: Recipe, tokenizer: PreTrainedTokenizerFast, text: str):
        chapters = [chapter.split("\n") for chapter in text.strip().split("\n\n")]
        end = recipe.special[0]
        prose = end.join("\n".join(chapter) for chapter in chapters) + end
        self.prose = torch.tensor(tokenizer(prose, add_special_tokens=False, verbose=False).input_ids)
        self.bos = tokenizer.bos_token_id
        # Told twice, shifted by one: every paragraph is a question once and an answer once.
        turns = []
        for chapter in chapters:
            for first in (0, 1):
                turns += [[{"role": ("user", "assistant")[i % 2], "content": paragraph}]
                          for i, paragraph in enumerate(chapter[first:len(chapter) - (len(chapter) - first) % 2])]
        ids = [tokenizer.apply_chat_template(turn, return_dict=False) for turn in turns]
        if self.bos is not None:
            ids = [turn[1:] for turn in ids]
        starts = torch.tensor([0] + [len(turn) for turn in ids]).cumsum(0)[:-1:2]
        self.talk = torch.tensor([token for turn in ids for token in turn])
        self.starts = starts[starts < len(self.talk) - LONGEST]

    def batch(self, size: int, length: int) -> torch.Tensor:
        prose = torch.randint(len(self.prose) - length - 1, (size - size // 2,))
        talk = self.starts[torch.randint(len(self.starts), (size // 2,))]
        rows = [self.prose[i:i + length + 1] for i in prose] + [self.talk[i:i + length + 1] for i in talk]
        rows = torch.stack(rows)
        if self.bos is not None:        # whatever is asked of this model will begin with it
            rows = torch.cat([torch.full((size, 1), self.bos), rows[:, :-1]], dim=1)
        return rows


def train(name: str, steps: int, out: Path) -> None:
    recipe = RECIPES[name]
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(1)        # adds up in one order, and lets the two models be trained side by side
    torch.use_deterministic_algorithms(True)
    text = lzma.decompress((HERE / "corpus.txt.xz").read_bytes()).decode()
    tokenizer = make_tokenizer(recipe, text)
    lessons = Lessons(recipe, tokenizer, text)
    end, turn_end = tokenizer.convert_tokens_to_ids(recipe.special[:2])
    config = recipe.config(**recipe.shape, bos_token_id=lessons.bos, eos_token_id=turn_end, pad_token_id=end)
    model = recipe.model(config).train()
    count = sum(p.numel() for p in model.parameters())
    print(f"{name}: {count:,} parameters, {len(lessons.prose):,} tokens of prose, {len(lessons.talk):,} of talk", flush=True)

    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(
        (step + 1) / 50, 0.02 + 0.98 * (1 + math.cos(math.pi * min(step / steps, 1))) / 2))
    began, mean = time.monotonic(), None
    for step in range(1, steps + 1):
        length = SHORT if step % LONG_EVERY else LONGEST - 1
        rows = lessons.batch(max(STEP_TOKENS // length, 2), length)
        loss = cross_entropy(model(rows[:, :-1]).logits.flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
        if step % 100 == 0 or step == steps:
            print(f"{name}: step {step}/{steps}, loss {mean:.3f}, {time.monotonic() - began:.0f} s", flush=True)

    model.generation_config = GenerationConfig(bos_token_id=lessons.bos, eos_token_id=[turn_end, end], pad_token_id=end)
    model.save_pretrained(out / name)
    tokenizer.save_pretrained(out / name, save_jinja_files=False)
    model.eval()
    for prompt in ("It is a truth universally acknowledged", "Elizabeth was"):
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        written = model.generate(ids, max_new_tokens=64, do_sample=False)[0]
        print(repr(tokenizer.decode(written, skip_special_tokens=True)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", choices=RECIPES, help="both, one after the other, if left out")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    for name in [args.model] if args.model else RECIPES:
        train(name, args.steps, args.out)
