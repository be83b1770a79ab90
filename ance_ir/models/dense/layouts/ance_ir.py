"""Models saved here: a sentence-transformers folder with our settings; of two towers, two such folders in one."""

from __future__ import annotations

from ance_ir.models.dense.layout import Choices, DenseCheckpoint, Files, Layout
from ance_ir.models.dense.layouts.sentence_transformers import open_folder
from ance_ir.models.dense.modules import MODULES
from ance_ir.models.loading.family import SETTINGS, read_ours
from ance_ir.models.loading.foreign import no_checkpoint
from ance_ir.models.text.settings import TextSettings


def _open(files: Files, choices: Choices) -> DenseCheckpoint:
    settings = read_ours(files.path)
    assert settings is not None
    parts = [files.path] if settings["towers"] == "shared" else [files.path / "query", files.path / "passage"]
    for part in parts:
        if not (part / MODULES).exists():
            raise no_checkpoint(part)
    towers = [open_folder(part, Choices()) for part in parts]
    return DenseCheckpoint(
        layout="ance_ir",
        query=towers[0].query,
        passage=towers[1].query if len(towers) > 1 else None,
        tokenizer=towers[0].tokenizer,
        settings=TextSettings.from_json(settings["text"]),
        settings_from=SETTINGS,
        prompts=towers[0].prompts,
        unused=tuple(name for tower in towers for name in tower.unused),
    )


LAYOUT = Layout(
    sign="ance_ir.json",
    order=1,
    recognises=lambda files: files.has(SETTINGS),
    open=_open,
)
