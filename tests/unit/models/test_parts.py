"""The parts of the models' package, from the bottom up; a part imports those before it, and families do not know each other."""

from __future__ import annotations

from tests.test_architecture import MODULES, find_imports, target_of

PARTS = ("loading", "compute", "text", "adapters", "export", "card", "pretrained", "dense", "cross", "reader", "library", "opening")
FAMILIES = {"dense", "cross", "reader", "library"}
ROOT = "ance_ir.models."


def test_parts_import_what_lies_below_them() -> None:
    wrong = []
    for module, path in MODULES.items():
        part = module.removeprefix(ROOT).split(".")[0]
        if not module.startswith(ROOT):
            continue
        for found in find_imports(path.read_text(encoding="utf-8")):
            target = target_of(found, MODULES)
            other = target.removeprefix(ROOT).split(".")[0]
            if target.startswith(ROOT) and other != part and (PARTS.index(other) > PARTS.index(part) or {part, other} <= FAMILIES):
                wrong.append(f"{module}, line {found.line}: imports {target}")
    assert wrong == []
