"""TREC Deep Learning 2019, passages."""

from ance_ir.eval.suites._suite import MSMARCO, PYSERINI, Suite, figures, table_1

SUITE = Suite(
    name="trec-dl-2019/passage",
    describes="TREC Deep Learning 2019, passages: 43 queries, labels 0 to 3, of which 2 and 3 are relevant to binary measures",
    datasets="(msmarco-passage/)?trec-dl-2019(/passage|/judged)?",
    measures=("nDCG@10", "RR(rel=2)@10", "AP(rel=2)@1000", "R(rel=2)@1000", "Judged@10"),
    threshold=2,
    candidates=100,
    published=(
        *table_1({"BM25": 0.506, "DPR": 0.600, "ANCE FirstP": 0.648}, {"BERT": 0.742, "DPR": 0.653, "ANCE FirstP": 0.677}),
        *figures(PYSERINI, {"ANCE FirstP": {"nDCG@10": 0.6452, "AP(rel=2)@1000": 0.3710, "R(rel=2)@1000": 0.7554}}),
    ),
    judged_in_part=True,
    needs=f"{MSMARCO}, queries and judgements (0.2 MB)",
)
