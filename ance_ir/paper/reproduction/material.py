"""What a reproduction needs, each a step: what it does, what it takes, whether it is done, and what to put where without a network."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ance_ir.datasets import IrDataset, QuestionFile, load_dataset
from ance_ir.datasets.archives import innermost, unpack
from ance_ir.downloads import DownloadError, download, partial_of
from ance_ir.errors import DatasetNotFoundError, ModelError, UsageError
from ance_ir.eval.measures import parse_measures, required_evidence
from ance_ir.files import cache_folder, remove_folder
from ance_ir.hub import check_blobs, hub_cache
from ance_ir.indexes import AnceIndex, parse_passages
from ance_ir.indexes.formats import import_index
from ance_ir.locks import make_once
from ance_ir.models import DenseEncoder
from ance_ir.models.dense.checkpoint import split_name
from ance_ir.models.dense.published import pair_of
from ance_ir.models.loading.source import resolve
from ance_ir.paper.reproduction.catalogue import Figure, Reproduction, Texts, Vectors
from ance_ir.paper.reproduction.planned import encoded_bytes, size

Space = Sequence[tuple[Path, int]]
"""Bytes that are needed, by place."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that is fetched or made before anything is evaluated.

    Attributes:
        does: what, for people.
        run: does it; again is no harm.
        done: whether nothing is to be done.
        space: what it takes at most, where it is not done.
        by_hand: what to put where, if it cannot be fetched; empty where the error of ``run`` says it.
    """

    does: str
    run: Callable[[], object]
    done: Callable[[], bool] = lambda: False
    space: Callable[[], Space] = lambda: ()
    by_hand: str = ""


def index_path(folder: Path, reproduction: Reproduction) -> Path:
    """The index that is made of a reproduction's vectors."""
    return folder / reproduction.name / "index.ance"


def steps(reproduction: Reproduction, folder: Path, device: str | None, *, verbose: bool) -> Iterator[Step]:
    """The steps of a reproduction, the smallest downloads first.

    Args:
        reproduction: what is reproduced.
        folder: where vectors and indexes go.
        device: where models compute.
        verbose: show progress.
    """
    for figure in {(figure.dataset, figure.queries): figure for figure in reproduction.figures}.values():
        yield _questions(figure)
    if reproduction.model:
        yield _checkpoint(reproduction, folder, device)
    if reproduction.corpus:
        yield _corpus(reproduction, reproduction.corpus, verbose=verbose)
    if reproduction.vectors:
        yield _vectors(reproduction, reproduction.vectors, folder, device, verbose=verbose)


def _questions(figure: Figure) -> Step:
    def run() -> None:
        dataset = load_dataset(figure.dataset)
        found = len(dataset.queries())
        if found != figure.queries:
            raise UsageError(f"{figure.dataset} was expected to have {figure.queries:,} queries, and has {found:,}: another version of it")
        if "answers" in required_evidence(parse_measures(figure.measures)):
            dataset.answers()
        else:
            dataset.qrels()

    return Step(does=f"queries and judgements of {figure.dataset}", run=run)


def model_of(reproduction: Reproduction, folder: Path) -> str:
    """The checkpoint as ``DenseEncoder.from_pretrained`` takes it: a name on the hub, or the file that is put into the folder by hand."""
    return str(folder / reproduction.name / Path(reproduction.model).name) if reproduction.by_hand else reproduction.model


def _checkpoint(reproduction: Reproduction, folder: Path, device: str | None) -> Step:
    model = model_of(reproduction, folder)

    def run() -> None:
        if reproduction.by_hand and not Path(model).exists():
            raise DownloadError(f"no checksum of {reproduction.model} is published, so it is not fetched: put it there as {model}")
        for name in pair_of(split_name(model)):
            check_blobs(resolve(name))
        DenseEncoder.from_pretrained(model, device=device)

    return Step(
        does=f"checkpoint {reproduction.model} ({size(reproduction.model_bytes)})",
        run=run,
        space=lambda: ((hub_cache(), reproduction.model_bytes),),
    )


def _corpus(reproduction: Reproduction, corpus: Texts, *, verbose: bool) -> Step:
    named = reproduction.figures[0].dataset

    def space() -> Space:
        import ir_datasets

        return (
            (ir_datasets.util.home_path(), max(0, corpus.download + corpus.disk - _there(named))),
            (cache_folder(), corpus.disk + encoded_bytes(reproduction)),
        )

    return Step(
        does=f"{corpus.documents:,} documents ({size(corpus.download)} to download), unpacked and in the cache",
        run=lambda: load_dataset(named).store(verbose=verbose),
        done=lambda: load_dataset(named).has_store,
        space=space,
        by_hand=f"the documents of {named} ({size(corpus.download)}) where ir_datasets keeps them",
    )


def _there(named: str) -> int:
    """Bytes of a dataset's documents that ``ir_datasets`` has, as after an interruption; it uses no file that is not whole."""
    import ir_datasets

    try:
        dataset = load_dataset(named)
    except DatasetNotFoundError:  # its step says so
        return 0
    dataset = dataset.corpus if isinstance(dataset, QuestionFile) else dataset
    if not isinstance(dataset, IrDataset):
        return 0
    folder = ir_datasets.util.home_path() / ir_datasets.docs_parent_id(dataset.identifier)
    files = (*folder.glob("*"), *folder.glob("*.pklz4/*"))  # queries and judgements have folders of their own
    return sum(file.stat().st_size for file in files if file.is_file() and ".tmp" not in file.name)


def _vectors(reproduction: Reproduction, vectors: Vectors, folder: Path, device: str | None, *, verbose: bool) -> Step:
    index, archive = index_path(folder, reproduction), folder / reproduction.name / "vectors.tar.gz"
    unpacked = archive.with_name("unpacked")

    def done() -> bool:
        return AnceIndex(index).built() and not unpacked.exists()

    def make() -> None:
        if not (unpacked.exists() or archive.exists()):
            download(vectors.url, archive, size=vectors.bytes, md5=vectors.md5, verbose=verbose)
        if not unpacked.exists():
            unpack(archive, unpacked)
        archive.unlink(missing_ok=True)
        if not AnceIndex(index).built():
            import_index(
                index,
                innermost(unpacked / "content"),
                format="pyserini-faiss",
                model=DenseEncoder.from_pretrained(reproduction.model, device=device),
                passages=parse_passages(vectors.passages) if vectors.passages else None,
                verbose=verbose,
            )
        remove_folder(unpacked)

    def space() -> Space:
        """Of the archive, what is in it, and the index two are there at a time; less what has come already."""
        partial = partial_of(archive)
        there = vectors.bytes if archive.exists() else partial.stat().st_size if partial.exists() else 0
        if unpacked.exists():
            return ((folder, vectors.unpacked),)
        return ((folder, max(vectors.bytes - there + vectors.unpacked, 2 * vectors.unpacked - there)),)

    return Step(
        does=f"vectors from {vectors.url} ({size(vectors.bytes)}, md5 {vectors.md5}), imported into {index}",
        run=lambda: make_once(index, done, make, "fetching vectors"),
        done=done,
        space=space,
        by_hand=f"{vectors.url} ({size(vectors.bytes)}, md5 {vectors.md5}) as {partial_of(archive)}, where it is checked",
    )


def fetch(wanted: Sequence[Step], say: Callable[[str], object]) -> None:
    """Do steps. What cannot be fetched is said of all of them together; large files are not begun without the small ones.

    Raises:
        DownloadError: something cannot be fetched; says what to put where.
        UsageError: a disk has too little room; nothing is fetched then.
    """
    todo = unfinished(wanted)
    check_space(todo)
    missing: list[str] = []
    for step in todo:
        if missing and step.by_hand:
            missing.append(f"put {step.by_hand}")
            continue
        say(step.does)
        try:
            step.run()
        except (DownloadError, DatasetNotFoundError, ModelError) as error:
            missing.append(f"{error}{f'. Or put {step.by_hand}' if step.by_hand else ''}")
    if len(missing) > 1:
        missing = [f"({number}) {one}" for number, one in enumerate(missing, start=1)]
    if missing:
        raise DownloadError("; ".join(missing))


def unfinished(wanted: Sequence[Step]) -> list[Step]:
    """The steps in which something is to be done."""

    def done(step: Step) -> bool:
        with contextlib.suppress(DatasetNotFoundError):  # of the dataset that it would be asked of
            return step.done()
        return False

    return [step for step in wanted if not done(step)]


def check_space(todo: Sequence[Step]) -> None:
    """Refuse to begin what the disks have no room for.

    Raises:
        UsageError: says what is needed, and what is free.
    """
    needed: dict[int, tuple[Path, int]] = {}
    for place, amount in (one for step in todo for one in step.space()):
        there = next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.exists())
        disk = there.stat().st_dev
        needed[disk] = there, needed.get(disk, (there, 0))[1] + amount
    for there, amount in needed.values():
        free = shutil.disk_usage(there).free
        if amount > free:
            raise UsageError(
                f"{there}: {size(amount)} of disk are needed, {size(free)} are free; nothing was fetched. Choose another place: --out for "
                "vectors and indexes, IR_DATASETS_HOME, HF_HOME and ANCE_IR_CACHE for documents and models"
            )
