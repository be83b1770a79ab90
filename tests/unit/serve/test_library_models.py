"""Systems with late interaction and learned sparse retrieval: how they are served, and what they share."""

from __future__ import annotations

import itertools
from pathlib import Path

import pandas as pd
import pytest
from starlette.testclient import TestClient

from ance_ir.datasets import Dataset
from ance_ir.models import SparseEncoder
from ance_ir.pipelines import LateInteractionReranker, SparseIndex, Systems
from ance_ir.serve.app import create_app
from ance_ir.serve.live import Live
from ance_ir.serve.server import Server
from ance_ir.serve.systems import groups, open_systems

pytest.importorskip("sentence_transformers", minversion="6.2", reason="sentence-transformers 6.2 is not installed")
library_models = pytest.importorskip("tests.library_models")

QUERY = "the king sleeps"


def test_late_interaction_is_served_and_reranks(dataset: Dataset, folder: Path, tmp_path: Path) -> None:
    colbert = library_models.write_multi_vector(tmp_path / "colbert")
    texts = {name: f"{name} % 20 >> colbert[model={colbert}]" for name in ("bm25", str(folder / "x.ance"))}
    systems = open_systems(dataset, [f"words={texts['bm25']}", f"vectors={texts[str(folder / 'x.ance')]}"], device="cpu")
    assert len(groups(systems)) == 1, "they share the model"
    server = Server(dataset, systems)
    docnos = ["d/9", "d/1", "d/5"]
    frame = pd.DataFrame({"qid": "1", "query": QUERY, "docno": docnos, "score": 0.0, "rank": range(3)})
    scored = LateInteractionReranker.from_pretrained(colbert, dataset=dataset, device="cpu")(frame).set_index("docno")["score"]
    with TestClient(create_app(server)) as client:
        for name, text in zip(("words", "vectors"), texts.values(), strict=True):
            expected = Systems(dataset, device="cpu").parse(text)[1](frame[["qid", "query"]].head(1)).sort_values("rank")
            found = client.get(f"/v1/{name}/search", params={"q": QUERY, "k": 5}).json()["results"]
            assert [one["docno"] for one in found] == expected["docno"].tolist()[:5]
            reply = client.post(f"/v1/{name}/rerank", json={"query": QUERY, "docnos": docnos}).json()
            assert reply["scores"] == pytest.approx(scored[docnos].tolist(), abs=1e-4)
    server.close()


def test_sparse_systems_with_one_encoder_take_turns(dataset: Dataset, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyterrier_pisa", reason="PISA is not installed")
    splade = library_models.write_splade(tmp_path / "splade")
    texts = [f"a=splade[model={splade}]", f"dense={folder / 'x.ance'}", f"b=splade[model={splade}; bits=4]"]
    systems = open_systems(dataset, texts, device="cpu")
    assert sorted(sorted(one.name for one in group) for group in groups(systems)) == [["a", "b"], ["dense"]]
    server = Server(dataset, systems)
    Live(server).look()
    with TestClient(create_app(server)) as client:
        assert client.get("/v1/a/search", params={"q": QUERY}).json()["results"]
    server.close()


def test_a_sparse_index_has_the_documents_that_it_has_and_is_seen_when_it_is_built_again(dataset: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("pyterrier_pisa", reason="PISA is not installed")
    model = SparseEncoder.from_pretrained(library_models.write_splade(tmp_path / "splade"), device="cpu")
    index = SparseIndex(tmp_path / "x.splade", model, overwrite=True)
    index.index(itertools.islice(dataset.store(), 50))
    server = Server(dataset, open_systems(dataset, [f"sparse={index.folder}"], device="cpu"))
    live = Live(server)
    with TestClient(create_app(server)) as client:
        assert client.get("/v1/sparse/documents/d%2F49").status_code == 200
        assert client.get("/v1/sparse/documents/d%2F55").status_code == 404
        index.index(dataset.store())
        live.look()
        found = client.get("/v1/sparse/search", params={"q": QUERY, "k": 100}).json()["results"]
        assert {one["docno"] for one in found} & {f"d/{number}" for number in range(50, 60)}
        assert client.get("/v1/sparse/documents/d%2F55").status_code == 200
    server.close()
