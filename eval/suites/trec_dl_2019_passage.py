"""TREC Deep Learning 2019, passages."""

from ance_ir.eval.suites._suite import MSMARCO, Suite

SUITE = Suite(
    name="trec-dl-2019/passage",
    describes="TREC Deep Learning 2019, passages: 43 queries, labels 0 to 3, of which 2 and 3 are relevant to binary measures",
    datasets="(msmarco-passage/)?trec-dl-2019(/passage|/judged)?",
    measures=("nDCG@10", "RR(rel=2)@10", "AP(rel=2)@1000", "R(rel=2)@1000", "Judged@10"),
    threshold=2,
    candidates=100,
    judged_in_part=True,
    needs=f"{MSMARCO}, queries and judgements (0.2 MB)",
)
