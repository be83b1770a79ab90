"""Corpus graphs: the nearest neighbours of each document of an index, for adaptive retrieval.

A graph is kept in its index's folder, as the artifact ``corpus_graph.np_topk`` of pyterrier-adaptive::

    x.ance/graph-00003-exact/edges.u32.np     uint32 [documents, k]: places of the neighbours, the nearest first
    x.ance/graph-00003-exact/weights.f16.np   float16 [documents, k]: their cosines
    x.ance/graph-00003-exact/docnos.npids     the docno of each place; deleted documents have none
    x.ance/graph-00003-exact/pt_meta.json     written last; names the state of the index that it is of
    x.ance/graph-00003-exact.building/        parts of a graph that is not complete

The number is the index's generation: the next change of the index removes its graphs.
"""

from ance_ir.indexes.graph.neighbours import MOST_NEIGHBOURS
from ance_ir.indexes.graph.opening import checked_graph_backend, graph_of, neighbours_of

__all__ = ["MOST_NEIGHBOURS", "checked_graph_backend", "graph_of", "neighbours_of"]
