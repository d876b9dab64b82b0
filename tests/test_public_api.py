"""What users import: the names, the fixed paths, what an import loads; and the contracts of the imports."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest
from packaging.version import Version

import a2a_session_manager
from a2a_session_manager import public, storage, sync, testing
from a2a_session_manager.integrations import fastapi, openai_agents, opentelemetry
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.storage.memory import InMemorySessionStore
from a2a_session_manager.storage.store import BaseSessionStore
from tests.integrations.framework_versions import FRAMEWORKS

ROOT = Path(__file__).parent.parent
PUBLIC = [public, storage, sync, testing, fastapi, openai_agents, opentelemetry]
# Their names need no docstring.
SILENT = {"TokenCount.tokens", *(f"UsageNumbers.{name}" for name in vars(a2a_session_manager.UsageNumbers))}

# DESIGN §2: these stay where 0.1 had them.
FIXED_PATHS = [
    "models.session.Session",
    "models.session_event.SessionEvent",
    "models.event_source.EventSource",
    "models.event_type.EventType",
    "models.session_run.SessionRun",
    "models.session_run.RunStatus",
    "models.session_metadata.SessionMetadata",
    "models.token_usage.TokenUsage",
    "models.token_usage.TokenSummary",
    "exceptions.SessionManagerError",
    "exceptions.SessionNotFound",
    "exceptions.SessionAlreadyExists",
    "exceptions.InvalidSessionOperation",
    "storage.SessionStoreProvider",
    "storage.SessionStoreInterface",
    "storage.InMemorySessionStore",
    "storage.FileSessionStore",
    "storage.RedisSessionStore",
    "storage.create_file_session_store",
    "storage.create_redis_session_store",
]


def test_every_name_in_all_exists() -> None:
    missing = [name for name in public.__all__ if not hasattr(a2a_session_manager, name)]

    assert missing == []
    assert a2a_session_manager.__all__ == public.__all__
    assert {*public.__all__, "__version__"} == set(dir(a2a_session_manager))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = getattr(a2a_session_manager, "nope")  # noqa: B009 - mypy would report the plain form


@pytest.mark.parametrize("package", PUBLIC, ids=lambda package: package.__name__)
def test_every_public_name_that_is_imported_is_in_all(package: types.ModuleType) -> None:
    assert package.__file__ is not None
    tree = ast.parse(Path(package.__file__).read_text())
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("a2a_session_manager.")
        for alias in node.names
    }

    to_import_others = {"LAZY", "lazy_names", "MissingDependency"}  # an integration raises the latter
    assert imported - set(package.__all__) - to_import_others == set()


@pytest.mark.parametrize("package", PUBLIC, ids=lambda package: package.__name__)
def test_all_is_sorted_and_names_nothing_twice(package: types.ModuleType) -> None:
    assert package.__all__ == sorted(set(package.__all__))


@pytest.mark.parametrize("package", PUBLIC, ids=lambda package: package.__name__)
def test_every_public_name_says_what_it_is(package: types.ModuleType) -> None:
    found = {name: getattr(package, name) for name in package.__all__}
    said = {name: value for name, value in found.items() if inspect.isclass(value) or inspect.isfunction(value)}
    members = {
        f"{name}.{member}": value
        for name, owner in said.items()
        if inspect.isclass(owner)
        for member, value in inspect.getmembers_static(owner, _is_ours)
        if not member.startswith(("_", "test_"))
    }

    assert [name for name, value in (said | members).items() if not inspect.getdoc(value) and name not in SILENT] == []


def _is_ours(member: object) -> bool:
    function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
    return inspect.isfunction(function) and function.__module__.startswith("a2a_session_manager.")


def test_every_error_is_exported() -> None:
    exported = set(a2a_session_manager.__all__)

    assert set(a2a_session_manager.exceptions.__all__) <= exported


@pytest.mark.parametrize("path", FIXED_PATHS)
def test_a_fixed_import_path_leads_to_the_exported_name(path: str) -> None:
    module, _, name = path.rpartition(".")

    found = getattr(importlib.import_module(f"a2a_session_manager.{module}"), name)

    assert found is getattr(a2a_session_manager, name)


def test_the_old_name_of_the_base_is_the_base() -> None:
    assert a2a_session_manager.SessionStoreInterface is BaseSessionStore


def test_the_event_sources_and_types_are_those_of_the_design() -> None:
    assert [source.name for source in a2a_session_manager.EventSource] == ["USER", "LLM", "SYSTEM"]
    assert [kind.name for kind in a2a_session_manager.EventType] == [
        "MESSAGE",
        "TOOL_CALL",
        "TOOL_RESULT",
        "SUMMARY",
        "REFERENCE",
        "CONTEXT_BRIDGE",
        "USAGE",
        "BUDGET",
    ]


def test_mypy_accepts_the_memory_store_as_a_session_store() -> None:
    store: SessionStore = InMemorySessionStore()

    assert isinstance(store.namespace("n"), BaseSessionStore)


def verbs_of_the_contract() -> set[str]:
    """Return the verbs of SessionStore, and of the protocols by topic that it is made of."""
    return {name for name in dir(SessionStore) if not name.startswith("_") and callable(getattr(SessionStore, name))}


def test_the_verbs_of_the_contract_are_all_there() -> None:
    verbs = verbs_of_the_contract()

    assert verbs - set(dir(InMemorySessionStore)) == set()
    assert {"get", "save", "append", "commit", "retract", "delete", "follow", "usage", "tree", "page", "prune"} <= verbs


def test_a_manager_has_the_verbs_of_a_store() -> None:
    verbs = verbs_of_the_contract()

    assert {verb for verb in verbs if not hasattr(a2a_session_manager.SessionManager, verb)} == set()


def in_a_fresh_python(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("code", "is_light"),
    [("import a2a_session_manager", True), ("from a2a_session_manager import SessionManager", False)],
)
def test_an_import_brings_nothing_heavy_or_optional(code: str, is_light: bool) -> None:
    loaded = {name.partition(".")[0] for name in in_a_fresh_python(f"{code}; import sys; print(*sys.modules)").split()}

    assert loaded & {"tiktoken", "redis", "aiofiles", "pytest", "genai_prices", "hypothesis", "requests"} == set()
    assert ("pydantic" not in loaded) is is_light


def test_without_redis_the_store_says_what_to_install() -> None:
    code = """
import sys
sys.modules["redis"] = None
import a2a_session_manager as package
for use in (lambda: package.RedisSessionStore, lambda: package.store_from_url("redis://localhost")):
    try:
        use()
    except package.MissingDependency as error:
        print(error)
"""

    assert in_a_fresh_python(code).count("pip install 'a2a_session_manager[redis]'") == 2


@pytest.mark.parametrize("package", ["", ".public", ".storage", ".testing"])
def test_without_the_extras_listing_the_public_names_leaves_theirs_out(package: str) -> None:
    code = f"""
import sys
for name in ("redis", "redis.asyncio", "aiofiles", "blockbuster", "pytest_asyncio"):
    sys.modules[name] = None
import inspect, pydoc, a2a_session_manager{package} as package
from a2a_session_manager{package} import *
members = dict(inspect.getmembers(package))
assert pydoc.render_doc(package)
print(*package.__all__, *dir(package), *members)
"""

    listed = set(in_a_fresh_python(code).split())

    assert listed & {"RedisSessionStore", "create_redis_session_store", "FileSessionStore", "StoreContract"} == set()
    assert listed & {"InMemorySessionStore", "make_session"}


def test_using_a_name_whose_library_is_missing_raises_an_import_error_with_the_pip_line() -> None:
    code = """
import sys
sys.modules["redis"] = None
import a2a_session_manager as package
for ask in (hasattr, getattr):
    try:
        print(ask(package, "RedisSessionStore"))
    except ImportError as error:
        print(type(error).__name__, error.name, error)
"""

    line = "MissingDependency redis redis is not installed: pip install 'a2a_session_manager[redis]'"
    assert in_a_fresh_python(code).splitlines() == [line, line]


def test_the_redis_store_needs_no_hiredis() -> None:
    code = """
import asyncio, sys
sys.modules["hiredis"] = None
from fakeredis import FakeAsyncRedis
from a2a_session_manager import RedisSessionStore, SessionEvent

async def main():
    async with RedisSessionStore(client=FakeAsyncRedis()) as store:
        session = await store.create()
        await store.append(session, SessionEvent(message="hello"))
        print((await store.get(session.id)).events[0].message)

asyncio.run(main())
"""

    assert in_a_fresh_python(code).strip() == "hello"


@pytest.mark.parametrize(
    ("package", "name"),
    [("pytest", "make_session"), ("pytest_asyncio", "StoreContract"), ("blockbuster", "blocking_calls_refused")],
)
def test_without_what_the_testing_extra_brings_the_pip_line_is_the_error(package: str, name: str) -> None:
    code = f"""
import sys
sys.modules[{package!r}] = None
from a2a_session_manager import MissingDependency
try:
    from a2a_session_manager.testing import {name}
except MissingDependency as error:
    print(error)
"""

    assert in_a_fresh_python(code).strip() == f"{package} is not installed: pip install 'a2a_session_manager[testing]'"


def test_the_lua_scripts_lie_beside_the_modules() -> None:
    folder = Path(a2a_session_manager.__file__).parent / "storage" / "redis" / "lua"

    assert {"common.lua", "commit.lua", "create_root.lua"} <= {path.name for path in folder.iterdir()}


def modules() -> list[str]:
    package = ROOT / "a2a_session_manager"
    found = sorted(package.rglob("*.py"))
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in found)
    # The suite for implementers needs pytest, which is its extra.
    return [name.removesuffix(".__init__") for name in names if ".testing" not in name]


@pytest.mark.parametrize("step", [25, pytest.param(1, marks=pytest.mark.soak)])
def test_any_module_can_be_imported_first(step: int) -> None:
    """Importing a module imports the packages it lies in, so each starts from what those alone have brought."""
    code = f"""
import importlib, sys

def forget(but):
    for name in [each for each in sys.modules if each.startswith("a2a_session_manager") and each not in but]:
        package, _, child = name.rpartition(".")
        del sys.modules[name]
        vars(sys.modules.get(package, sys)).pop(child, None)

def is_imported(name):
    try:
        importlib.import_module(name)
    except ImportError as error:
        if not hasattr(error, "extra"):
            raise
        return False  # a bridge whose framework is not installed: `.ci/bridges` has them all
    return True

for package, names in {by_package(modules()[::step])!r}.items():
    forget(but=())
    if not is_imported(package):
        continue
    brought = set(sys.modules)
    for name in names:
        forget(but=brought)
        is_imported(name)
"""

    in_a_fresh_python(code)


def by_package(names: list[str]) -> dict[str, list[str]]:
    packages: dict[str, list[str]] = {}
    for name in names:
        packages.setdefault(name.rpartition(".")[0] or name, []).append(name)
    return packages


def test_the_type_marker_is_in_the_package() -> None:
    assert (Path(a2a_session_manager.__file__).parent / "py.typed").is_file()


def test_the_import_contracts_are_kept() -> None:
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_the_extra_all_names_each_extra_for_users_and_ci_tests_each_bridge() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    [everything] = extras["all"]
    of_developers = {"all", "testing", "dev", "bridges", "clients"}
    folders = {path.parent.name for path in (ROOT / "a2a_session_manager" / "integrations").glob("*/__init__.py")}
    bridges = folders - {"fastapi", "openai_agents", "opentelemetry"}  # those come with `dev`

    assert set(everything.partition("[")[2].rstrip("]").split(",")) == set(extras) - of_developers
    [brought] = [each for each in extras["bridges"] if each.startswith("a2a_session_manager[")]
    assert {each.replace("-", "_") for each in brought.partition("[")[2].rstrip("]").split(",")} == bridges
    assert {each.replace("-", "_") for each in FRAMEWORKS} == bridges
    commands = (ROOT / ".ci" / "bridges").read_text(encoding="utf-8")
    assert [each for each in bridges if each not in commands.replace("-", "_")] == []
    for extra, framework in FRAMEWORKS.items():
        allowed = [each.partition(",")[0].partition(">=") for each in extras[extra]]
        pins = {package: Version(number) for package, number in framework.lowest.items()}
        assert {package: Version(lowest) for package, _, lowest in allowed} == pins
