"""TREC Deep Learning 2020, passages."""

from dataclasses import replace

from ance_ir.eval.suites import trec_dl_2019_passage
from ance_ir.eval.suites._suite import PYSERINI, figures

SUITE = replace(
    trec_dl_2019_passage.SUITE,
    name="trec-dl-2020/passage",
    describes="TREC Deep Learning 2020, passages: 54 queries, labels 0 to 3, of which 2 and 3 are relevant to binary measures",
    datasets="(msmarco-passage/)?trec-dl-2020(/passage|/judged)?",
    published=figures(PYSERINI, {"ANCE FirstP": {"nDCG@10": 0.6458, "AP(rel=2)@1000": 0.4076, "R(rel=2)@1000": 0.7764}}),
)
