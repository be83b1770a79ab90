"""MS MARCO passage ranking."""

from ance_ir.eval.suites._suite import MSMARCO, PAPER, PYSERINI, Suite, figures

SUITE = Suite(
    name="msmarco-passage/dev",
    describes="MS MARCO passage ranking, the 6,980 queries of the small development set",
    datasets="msmarco-passage/dev(/.*)?",
    measures=("RR@10", "nDCG@10", "R@1000"),
    candidates=1000,
    published=(
        *figures(
            PAPER,
            {
                "BM25": {"RR@10": 0.240, "R@1000": 0.814},
                "DPR": {"RR@10": 0.311, "R@1000": 0.952},
                "ANCE FirstP": {"RR@10": 0.330, "R@1000": 0.959},
            },
        ),
        *figures(PYSERINI, {"BM25": {"RR@10": 0.184}, "ANCE FirstP": {"RR@10": 0.3302, "R@1000": 0.9584}}),
    ),
    published_on="msmarco-passage/dev/small",
    needs=f"{MSMARCO}, queries and judgements (20 MB)",
)
