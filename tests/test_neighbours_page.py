"""The table of docs/neighbours.md: its versions are those that CI runs, its tests exist."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| ([\w-]+) \| ([\w.]+) \| .+ \| `(tests/[\w/]+\.py)` \|$", re.MULTILINE)


def test_each_row_names_the_pinned_version_and_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "neighbours.md").read_text(encoding="utf-8")
    rows = ROW.findall(page)
    assert len(rows) == len(re.findall(r"^\| .* `tests/.*\|$", page, re.MULTILINE)) > 3
    pins = (line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())
    pinned = {canonicalize_name(name): version for name, version in pins}
    for tool, version, test in rows:
        assert pinned.get(canonicalize_name(tool), version) == version, tool
        assert canonicalize_name(tool).replace("-", "_") in (ROOT / test).read_text(encoding="utf-8").lower().replace("-", "_"), test
