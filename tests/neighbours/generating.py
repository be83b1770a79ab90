"""A language model that pyterrier-rag takes for one of its own, and answers as a test says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.neighbours.conftest import needs

backend = needs("pyterrier_rag.backend")


class Told(backend.Backend):  # type: ignore[misc]
    """Its answer to a prompt is what a function makes of it; it keeps the prompts."""

    supports_num_responses = True

    def __init__(self, answer: Callable[[str], str]) -> None:
        super().__init__("told")
        self.answer = answer
        self.prompts: list[str] = []

    def generate(self, inps: list[str], **options: Any) -> list[Any]:
        """One answer for each prompt."""
        self.prompts += inps
        return [backend.BackendOutput(text=self.answer(prompt)) for prompt in inps]
