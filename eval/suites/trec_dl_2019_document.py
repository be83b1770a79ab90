"""TREC Deep Learning 2019, documents."""

from ance_ir.eval.suites._suite import DOCUMENTS, Suite

SUITE = Suite(
    name="trec-dl-2019/document",
    describes="TREC Deep Learning 2019, documents: 43 queries, labels 0 to 3, of which 1 and more are relevant to binary measures",
    datasets="msmarco-document/trec-dl-2019(/judged)?",
    measures=("nDCG@10", "RR@10", "AP@100", "R@100", "Judged@10"),
    depth=100,
    passages="maxp:512,4",
    candidates=100,
    judged_in_part=True,
    needs=f"{DOCUMENTS}, queries and judgements (0.3 MB)",
)
