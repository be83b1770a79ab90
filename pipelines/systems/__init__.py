"""Systems written as text: ``systems.get("bm25 % 100 >> ance", dataset)`` and ``ance-ir eval --system``.

A system is a chain of stages joined by ``>>``, each with an optional cut-off. The first stage retrieves, later ones score its results:

===========================================  ==========================================================================================
``bm25[engine=lucene; k1=1.2; b=0.75]``      BM25 over the dataset; ``stemmer``, ``stopwords``, ``language``, ``rm3=yes``, ``rm3=10,10,0.5``
``x.ance[backend=ivf; aggregation=mean]``    a dense index; ``prf=average:3``, ``prf=rocchio:5,0.4,0.6``
``bm25 >> x.ance[adaptive=ladr; graph=16]``  neighbours of what was found are scored too: ``gar``, ``ladr``, ``adaptive-ladr``
``runs/bert[passages=maxp:256,4]``           a reranker, on the dataset's texts
``runs/reader[by=score]``                    a reader at the end: one answer a question, from the dataset's titles and texts
``ance[model=runs/x; passages=maxp:128,4]``  a dense model on the dataset, whose index is kept in the cache folder; ``dpr`` likewise
``ance[model=M; instructions=yes]``          the same with the collection's instruction before each query; see ``ance_ir.eval.benchmarks``
``bert[model=runs/bert]``                    a reranker by its folder or hub name
``splade[model=runs/splade; bits=8]``        learned sparse retrieval over the dataset; ``x.splade`` is an index of it
``colbert[model=runs/colbert; cache=yes]``   late interaction on the dataset's texts, token vectors kept on disk; its folder, too
``http://gpu:8080/dense``                    the system ``dense`` of a server (``ance-ir serve``): retrieves, or scores results
``bm25 + 1.1 * ance``                        the weighted sum of scores; a document that one lacks gets its lowest score
``rrf(a, b)``                                reciprocal rank fusion
``minmax(a, 0.5 * b)``, ``z(a, b)``          the weighted sum of scores that are normalised in each query
``bm25-bert-rerank``                         a named system, one of ``SYSTEMS``
===========================================  ==========================================================================================

``NAME=…`` before it names the system. A path has a separator or a known ending (``./bert``, ``x.ance``) or stands in quotes; ``parser`` has
the grammar.
"""

from ance_ir.pipelines.systems.cache import dataset_dense
from ance_ir.pipelines.systems.context import OpenModels
from ance_ir.pipelines.systems.named import CHECKPOINTS, SYSTEMS, NamedSystem, describe
from ance_ir.pipelines.systems.own import load_pipelines
from ance_ir.pipelines.systems.several import check_serves_several
from ance_ir.pipelines.systems.systems import Systems, get

__all__ = [
    "CHECKPOINTS",
    "NamedSystem",
    "OpenModels",
    "SYSTEMS",
    "Systems",
    "check_serves_several",
    "dataset_dense",
    "describe",
    "get",
    "load_pipelines",
]
