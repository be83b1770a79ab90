"""Digests name contents: equal for equal contents, and for nothing else."""

from __future__ import annotations

from pathlib import Path

from ance_ir.digests import digest_bytes, digest_of, hash_files


def test_the_order_of_keys_does_not_count_and_that_of_parts_does() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1}) != digest_of({"a": 2, "b": 1})
    assert digest_bytes([b"ab", b"c"]) == digest_bytes([b"abc"]) != digest_bytes([b"acb"])
    assert len(digest_of([])) == 32


def test_the_hash_tells_names_contents_and_order(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b", "c")]
    for file, content in zip(files, [b"12", b"3", b"12"], strict=True):
        file.write_bytes(content)
    a, b, c = files
    assert hash_files([a, b]) == hash_files([a, b])
    before = hash_files([a, b])
    hashes = [before, hash_files([b, a]), hash_files([a]), hash_files([c])]
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"23")
    hashes.append(hash_files([a, b]))
    assert len(set(hashes)) == len(hashes)
