"""The registries, one for each kind of thing that is extended by adding a file: the kind, its package, and the name of its entries,
unless its files are data.

A layer that uses a registry gives it the type of its entries: ``LOSSES: Registry[Loss] = registries.LOSSES``.
"""

from __future__ import annotations

from typing import Any

from ance_ir.registry import DataFiles, Registry

ADAPTIVES = Registry[Any]("adaptive retrieval", "ance_ir.pipelines.adaptive.kinds", "ADAPTIVE")
ANALYSES = Registry[Any]("analysis", "ance_ir.paper.analyses", "ANALYSIS")
BENCHMARKS = DataFiles("benchmark", "ance_ir.eval.benchmarks")
BM25_ENGINES = Registry[Any]("BM25 engine", "ance_ir.pipelines.bm25.engines", "ENGINE")
BOARDS = Registry[Any]("board", "ance_ir.training.run.boards", "BOARD")
CHECKPOINT_LAYOUTS = Registry[Any]("checkpoint layout", "ance_ir.models.dense.layouts", "LAYOUT")
CHECKS = Registry[Any]("check of the doctor", "ance_ir.eval.doctor.checks", "check")
DATASET_SOURCES = Registry[Any]("dataset source", "ance_ir.datasets.sources", "SOURCE")
DATASET_LAYOUTS = Registry[Any]("layout", "ance_ir.datasets.layouts", "LAYOUT")
DISTILLATIONS = Registry[Any]("distillation", "ance_ir.training.objectives.distillations", "loss")
EXPORT_FORMATS = Registry[Any]("format of exported models", "ance_ir.models.export.formats", "FORMAT")
FAISS_PARTS = Registry[Any]("part of a Faiss family", "ance_ir.indexes.ann.parts", "PART")
FEEDBACKS = Registry[Any]("feedback", "ance_ir.pipelines.feedback.kinds", "FEEDBACK")
FUSIONS = Registry[Any]("fusion", "ance_ir.pipelines.fusion.named", "FUSION")
INDEX_FORMATS = Registry[Any]("index format", "ance_ir.indexes.formats.vectors", "FORMAT")
LOSSES = Registry[Any]("loss", "ance_ir.training.objectives.losses", "loss")
MACHINES = DataFiles("machine", "ance_ir.workflows.planning.machines")
MEASURES = Registry[Any]("measure", "ance_ir.eval.measures.own", "MEASURE")
MODEL_FAMILIES = DataFiles("family of models", "ance_ir.models.dense.families")
NEGATIVES = Registry[Any]("negatives", "ance_ir.training.negatives.named", "make")
OPTIMISERS = Registry[Any]("optimiser", "ance_ir.training.run.optimisers", "make")
PASSAGES = Registry[Any]("passage scheme", "ance_ir.indexes.passages", "SCHEME")
POOLINGS = Registry[Any]("pooling", "ance_ir.models.dense.poolings", "POOLING")
PROTOCOLS = Registry[Any]("protocol", "ance_ir.serve.protocols", "ROUTER")
PUBLICATIONS = DataFiles("publication", "ance_ir.eval.published")
RECIPES = DataFiles("recipe", "ance_ir.workflows.recipes")
REPRODUCTIONS = DataFiles("reproduction", "ance_ir.paper.reproductions")
RERANKER_LAYOUTS = Registry[Any]("layout of rerankers", "ance_ir.models.cross.layouts", "LAYOUT")
RUN_FORMATS = Registry[Any]("format of runs", "ance_ir.eval.runs.formats", "FORMAT")
SCHEDULES = Registry[Any]("schedule", "ance_ir.training.run.schedules", "factor")
STAGES = Registry[Any]("kind of stage", "ance_ir.pipelines.systems.kinds", "KIND")
SUITES = Registry[Any]("suite", "ance_ir.eval.suites", "SUITE")
TABLE_FILES = Registry[Any]("file of records", "ance_ir.datasets.tables", "FORM")
TABLE_FORMS = Registry[Any]("form of tables", "ance_ir.eval.formats", "FORM")
