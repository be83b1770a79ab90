"""TREC Deep Learning 2020, documents."""

from dataclasses import replace

from ance_ir.eval.suites import trec_dl_2019_document
from ance_ir.eval.suites._suite import DOCUMENTS

SUITE = replace(
    trec_dl_2019_document.SUITE,
    name="trec-dl-2020/document",
    describes="TREC Deep Learning 2020, documents: 45 queries, labels 0 to 3, of which 1 and more are relevant to binary measures",
    datasets="msmarco-document/trec-dl-2020(/judged)?",
    needs=f"{DOCUMENTS}, queries and judgements (0.2 MB)",
)
