"""What a recorded page's blocks are, and what is compared of an output."""

from __future__ import annotations

from pathlib import Path

from tests.recorded import Runner, blocks, figures

PAGE = """# page

## one
<!-- quick -->

```
ance-ir suites
ance-ir eval --dataset x \\
  --out r
```

```
old 1.000
```

## two

```python
a = 3
```

Text.

```python
print(a)
```

```
```

```
no code
```

```json
{}
```

## shell

```
curl --version >/dev/null 2>&1 || true; printf 'a\\nb\\n'
```

```
old
```

## three
<!-- measured apart -->

```
ance-ir demo
```

```
old
```
"""


def test_the_blocks_of_a_page(tmp_path: Path) -> None:
    one, silent, shown, shell = blocks(PAGE)
    assert (one.section, one.quick, one.python, one.output) == ("one", True, False, "old 1.000\n")
    assert one.code.count("ance-ir") == 2
    assert (silent.section, silent.quick, silent.output) == ("two", False, None)
    assert PAGE[slice(*shown.span)] == shown.output == ""
    runner = Runner(tmp_path)
    assert runner.run(silent) == ""
    assert runner.run(shown) == "3\n"
    assert runner.run(shell) == "a\nb\n"


def test_figures_are_what_is_compared() -> None:
    output = (
        "system   RR@10  ms/query\n──────  ──────  ────────\nbm25    0.7107       4.7\na >> b  0.6700†   1234.5\n93 queries; p < 0.05\n"
    )
    assert figures(output) == [("bm25", [0.7107]), ("a >> b", [0.67])]
    assert figures("full  nDCG@10  +0.0341  [-0.0065, +0.0770]  <0.0001") == [("full", [0.0341, -0.0065, 0.077, 0.0001])]
