"""TREC Deep Learning 2020, passages."""

from dataclasses import replace

from ance_ir.eval.suites import trec_dl_2019_passage

SUITE = replace(
    trec_dl_2019_passage.SUITE,
    name="trec-dl-2020/passage",
    describes="TREC Deep Learning 2020, passages: 54 queries, labels 0 to 3, of which 2 and 3 are relevant to binary measures",
    datasets="(msmarco-passage/)?trec-dl-2020(/passage|/judged)?",
)
