"""From a conversation to the prompt that the model was trained on, by the checkpoint's chat template.

Mirrors `renderers/hf.py`.
"""
from collections.abc import Mapping, Sequence
from pathlib import Path

from impl.errors import InferLabError


class ChatTemplateError(InferLabError):
    """A checkpoint without a chat template, or messages that its template does not take."""


def render(folder: Path, messages: Sequence[Mapping], chat_template: str | None = None, add_generation_prompt: bool = True) -> str:
    """The text of a conversation. Raises `ChatTemplateError`."""
    from transformers import AutoTokenizer      # seconds to import: for whoever chats
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if chat_template is None and tokenizer.chat_template is None:
        raise ChatTemplateError(f"{folder} has no chat template: it was not trained to chat; use generate, or pass a chat_template")
    try:
        return tokenizer.apply_chat_template([dict(message) for message in messages], chat_template=chat_template,
                                             add_generation_prompt=add_generation_prompt, tokenize=False)
    except Exception as error:      # the template is a program, and may fail in any way
        raise ChatTemplateError(f"the chat template does not take these messages: {error}") from error
