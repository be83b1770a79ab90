from __future__ import annotations

import logging

from ance_ir.notices import collected, examples

logger = logging.getLogger("ance_ir.somewhere")


def test_warnings_are_collected_once_each_and_only_while_entered() -> None:
    logger.warning("before")
    with collected() as outer:
        logger.warning("%d queries have no judgements", 2)
        with collected() as inner:
            logger.warning("%d queries have no judgements", 2)
            logger.info("normal")
        logger.warning("afterwards")
    logger.warning("too late")
    assert inner == ["2 queries have no judgements"]
    assert outer == ["2 queries have no judgements", "afterwards"]


def test_examples() -> None:
    assert examples([]) == ""
    assert examples(["a", "b", "c"]) == "'a', 'b', 'c'"
    assert examples(iter("abcd")) == "'a', 'b', 'c', …"
