"""Indexes of whole corpora: of a document store, or of a stream of documents."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ance_ir.datasets import DocumentStore, OnError
from ance_ir.files import as_path
from ance_ir.indexes.ance_index import AnceIndex
from ance_ir.indexes.cluster.connection import connect
from ance_ir.indexes.cluster.encoding import PartTasks
from ance_ir.indexes.store.corpus import POLL, CorpusEncoding
from ance_ir.indexes.store.workspace import Workspace
from ance_ir.models import DenseEncoder, PassageScheme
from ance_ir.world import ALONE, World


def index_corpus(
    path: Path | str,
    model: DenseEncoder,
    store: DocumentStore,
    passages: PassageScheme,
    *,
    overwrite: bool = False,
    world: World = ALONE,
    cluster: str | None = None,
    **options: Any,
) -> AnceIndex:
    """Encode the documents of a store into an index; if interrupted, the same call resumes after the last complete part.

    The work is done in a folder next to the index (``x.ance.building``), which takes the index's place when it is complete. Processes that
    make the same call at the same time, on one machine or on several that see the folder, share the parts.

    Args:
        path: the index's folder.
        model: the encoder.
        store: the corpus.
        passages: how documents are cut.
        overwrite: whether an existing index may be replaced.
        world: the processes that share the work, unless a cluster does it.
        cluster: the Ray cluster on whose nodes parts are encoded, ``"ray"`` or ``"ray://HOST:PORT"``; see ``cluster.connection``. They see
            the folders of the index and of the store under the same paths as this process.
        **options: of ``CorpusEncoding``.

    Raises:
        IndexingError: there is an index at the path, or a vector is not finite, or no cluster answers, or a node does not see a folder.
        UsageError: there is something other than an index at the path, or the text names no cluster.
        MissingDependencyError: a cluster is named and Ray is not installed.
    """
    space = Workspace(as_path(path), "building")
    space.check(overwrite=overwrite)
    check_passages(model, passages)
    if cluster is not None:
        connect(cluster)  # before anything is written
    work = CorpusEncoding(space.index, store, model, passages, **options)
    with contextlib.ExitStack() as stack:
        if world.leads:
            stack.enter_context(space.claimed(partial(_help, work) if cluster is None else None))
        if world.broadcast(int(world.leads and space.has_placed(work.description))):
            if world.leads:
                space.remove()
        else:
            space.check(overwrite=overwrite)
            if cluster is not None:
                work.lead(PartTasks(cluster, work, cores=1 + (options.get("workers") or 0)))
            else:
                _share(work, world)
            if world.leads:
                space.put_in_place()
        world.wait()
    return AnceIndex(space.target)


def _share(work: CorpusEncoding, world: World) -> None:
    """Encode a corpus with several processes."""
    if world.leads:
        work.begin()
    world.wait()
    if world.leads:
        work.lead()
    else:
        while not work.built():
            _help(work)
    world.wait()


def _help(work: CorpusEncoding) -> None:
    work.help()
    time.sleep(POLL)


def index_documents(
    path: Path | str,
    model: DenseEncoder,
    documents: Iterable[Mapping[str, Any]],
    passages: PassageScheme,
    *,
    count: int | None = None,
    overwrite: bool = False,
    on_error: OnError = "raise",
    verbose: bool = False,
    **options: Any,
) -> AnceIndex:
    """Encode a stream of documents into an index; if interrupted, the same call resumes if the stream is the same.

    The stream is first written to a folder next to the index (``x.ance.building``), which is removed in the end.

    Args:
        path: the index's folder.
        model: the encoder.
        documents: dictionaries with ``docno`` and ``text`` (``title``, ``url``); read once.
        passages: how they are cut.
        count: how many documents there are, if known; only for the progress bar.
        overwrite: whether an existing index may be replaced.
        on_error: how to treat documents that cannot be used; see ``OnError``.
        verbose: show progress.
        **options: of ``CorpusEncoding``.

    Raises:
        DatasetError: no documents; or, unless these are skipped, a docno that occurs twice or something that is not a document.
        IndexingError: there is an index at the path, or a vector is not finite.
        UsageError: there is something other than an index at the path.
    """
    space = Workspace(as_path(path), "building")
    space.check(overwrite=overwrite)
    check_passages(model, passages)
    with space.claimed():
        store = DocumentStore.build(documents, space.documents, count=count, on_error=on_error, verbose=verbose)
        work = CorpusEncoding(space.index, store, model, passages, verbose=verbose, **options)
        if space.has_placed(work.description):
            space.remove()
        else:
            space.check(overwrite=overwrite)
            work.lead()
            space.put_in_place()
    return AnceIndex(space.target)


def check_passages(model: DenseEncoder, passages: PassageScheme) -> None:
    """Refuse passages that the model does not take, before any work begins.

    Raises:
        UsageError: they are too long or too short.
    """
    model.tokenizer.cut([""], passages)
