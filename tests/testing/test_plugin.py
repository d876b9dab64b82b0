"""The fixtures as users run them: in a pytest of its own, under each way to run async tests, over each store."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "test_with_fixtures.py"
STORES = ["memory", "file", "redis"]
HEAVY = {"pydantic", "redis", "fakeredis", "aiofiles", "tiktoken", "genai_prices", "blockbuster", "agents", "fastapi"}

MODES = {
    "asyncio-strict": ("pytest.mark.asyncio", ["-o", "asyncio_mode=strict"]),
    "asyncio-auto": ("[]", ["-o", "asyncio_mode=auto"]),
    "anyio": ("pytest.mark.anyio", ["-p", "no:asyncio"]),
    "anyio-beside-asyncio": ("pytest.mark.anyio", ["-o", "asyncio_mode=strict"]),
}
ONLY_ASYNCIO = """
    import pytest

    @pytest.fixture
    def anyio_backend():
        return "asyncio"
"""


# A run over each store, in one process: starting it takes longer than all of them.
OVER_EACH_STORE = f"""
import sys
import pytest

for store in {STORES}:
    print("over", store, flush=True)
    if code := pytest.main([*sys.argv[1:], f"--session-store={{store}}"]):
        sys.exit(code)
"""


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess(*_lean(options), timeout=300)


def check_over_each_store(pytester: pytest.Pytester, *options: str, passed: int) -> None:
    """Check that so many tests pass in a run over each store, and no others; the last one named is at fault."""
    result = pytester.run(sys.executable, "-c", OVER_EACH_STORE, *_lean(options), timeout=300)

    assert result.ret == 0
    outcomes = [line for line in result.outlines if line.startswith("over ") or " in " in line]
    found = [re.sub(r"=|in [0-9.]+s.*", "", line).strip() for line in outcomes]
    assert found == [line for store in STORES for line in (f"over {store}", f"{passed} passed")]


def _lean(options: Iterable[str]) -> Iterator[str]:
    yield from ("-W", "error", "-p", "no:cacheprovider")
    # Importing all of Hypothesis would take longer than the rest of a run.
    yield from ("-p", "no:hypothesispytest")
    yield from options
    if "no:asyncio" not in options:
        yield from ("-o", "asyncio_default_fixture_loop_scope=function")


@pytest.mark.parametrize("mode", MODES)
def test_the_example_passes_in_every_mode_over_every_store(pytester: pytest.Pytester, mode: str) -> None:
    mark, options = MODES[mode]
    example = EXAMPLE.read_text(encoding="utf-8")
    assert "pytestmark = pytest.mark.asyncio" in example
    pytester.makeconftest(ONLY_ASYNCIO)
    pytester.makepyfile(test_user=example.replace("pytestmark = pytest.mark.asyncio", f"pytestmark = {mark}"))

    check_over_each_store(pytester, *options, passed=4)


def test_the_readme_s_test_passes_and_its_table_names_every_fixture(pytester: pytest.Pytester) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Test your code\n")[2]
    section = section.partition("\n## ")[0]
    pytester.makepyfile(section.partition("```python\n")[2].partition("```")[0])

    run(pytester).assert_outcomes(passed=1)
    listed = run(pytester, "--fixtures", "-q").outlines
    fixtures = {line.split()[0] for line in listed if "testing/plugin.py" in line}
    assert len(fixtures) == 10
    assert fixtures <= set(re.findall(r"`(\w+)`", section))


def test_the_fixtures_clean_up_after_each_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio, gc, os, threading
        import pytest
        from a2a_session_manager import Session, SessionEvent, SessionStoreProvider, StoreUnavailable

        mine = object()
        kept = []  # of one run: the module stays for the next

        def test_before(monkeypatch):
            SessionStoreProvider.set_store(mine)
            kept[:] = [threading.active_count(), len(os.listdir("/proc/self/fd"))]

        @pytest.mark.asyncio
        async def test_it_is_the_current_store(session_store, session_ids, session_clock, make_session):
            assert SessionStoreProvider.get_store() is session_store
            session = Session()
            await session_store.save(session)
            await make_session(("user", "Hello"), id="trip")
            assert [child.id for child in await session.descendants()] == []
            kept.append(session_store)

        @pytest.mark.asyncio
        async def test_afterwards():
            gc.collect()
            assert SessionStoreProvider.get_store() is mine
            threads, files, store = kept
            assert threading.active_count() <= threads
            assert len(os.listdir("/proc/self/fd")) <= files + 3  # this test's own loop
            with pytest.raises(StoreUnavailable, match="closed"):
                await store.list_sessions()
            assert not Session().id.startswith("id-")
            assert SessionEvent(message="x").timestamp.year != 2026 or SessionEvent(message="x").timestamp.month != 1

        @pytest.mark.asyncio
        async def test_the_next_store_is_empty(session_store):
            assert await session_store.list_sessions() == []
        """
    )

    check_over_each_store(pytester, passed=4)


def test_the_ini_file_names_the_store_and_the_command_line_wins(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nsession_store = file")
    pytester.makepyfile("def test_kind(session_store): print('over', type(session_store).__name__)")

    run(pytester, "-s").stdout.fnmatch_lines(["*over FileSessionStore"])
    run(pytester, "-s", "--session-store=memory").stdout.fnmatch_lines(["*over InMemorySessionStore"])


def test_a_store_that_is_not_known_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nsession_store = paper")
    pytester.makepyfile("def test_kind(session_store): pass")

    result = run(pytester)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*session_store = paper in the ini file: take one of memory, file, redis*"])


@pytest.mark.parametrize("missing", ["fakeredis", "lupa"])
def test_without_fakeredis_the_pip_line_is_the_error(pytester: pytest.Pytester, missing: str) -> None:
    pytester.makeconftest(
        f"""
        import importlib.util

        find = importlib.util.find_spec
        importlib.util.find_spec = lambda name: None if name == {missing!r} else find(name)
        from a2a_session_manager.testing import plugin
        plugin.find_spec = importlib.util.find_spec
        """
    )
    pytester.makepyfile("def test_redis(fake_redis): pass")

    result = run(pytester)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*MissingDependency: fakeredis?lua? is not installed: pip install 'a2a_session_*"])


@pytest.mark.parametrize("mode", MODES)
def test_a_fake_redis_is_empty_and_runs_lua_in_every_mode(pytester: pytest.Pytester, mode: str) -> None:
    mark, options = MODES[mode]
    pytester.makeconftest(ONLY_ASYNCIO)
    pytester.makepyfile(
        f"""
        import pytest
        from redis.exceptions import ConnectionError

        pytestmark = {mark}

        @pytest.mark.parametrize("time", [1, 2])
        async def test_redis(time, fake_redis):
            assert await fake_redis.keys() == []
            await fake_redis.set("a", 1)
            assert await fake_redis.eval("return redis.call('GET', KEYS[1])", 1, "a") == b"1"

        async def test_out_of_reach(fake_redis, fake_redis_server):
            fake_redis_server.connected = False
            with pytest.raises(ConnectionError):
                await fake_redis.get("a")
        """
    )

    run(pytester, *options).assert_outcomes(passed=3)


def test_loading_the_plugin_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        early="""
        import sys
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_load_initial_conftests(early_config):
            assert early_config.pluginmanager.has_plugin("a2a_session_manager")
            print("loaded:", *sys.modules)
        """,
        test_nothing="def test_nothing(): pass",
    )

    result = run(pytester, "-p", "early", "-s")

    [line] = [line for line in result.outlines if line.startswith("loaded:")]
    assert {name.partition(".")[0] for name in line.split()} & HEAVY == set()
    assert {name for name in line.split() if name.startswith("a2a_session_manager")} == {
        "a2a_session_manager",
        "a2a_session_manager.exceptions",
        "a2a_session_manager.hierarchy",
        "a2a_session_manager.lazy",
        "a2a_session_manager.provider",
        "a2a_session_manager.testing",
        "a2a_session_manager.testing.plugin",
    }


def test_coverage_sees_a_users_package_and_the_modules_that_fixtures_import(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        agent="""
        import pydantic
        from a2a_session_manager import SessionManager

        class Question(pydantic.BaseModel):
            text: str

        async def answer(sessions: SessionManager, question: Question) -> None:
            async with sessions.open("trip") as chat:
                await chat.user(question.text)
        """,
        test_agent="""
        import agent
        import pytest

        @pytest.mark.asyncio
        async def test_answer(session_manager, assert_transcript):
            await agent.answer(session_manager, agent.Question(text="Hello"))
            await assert_transcript("trip", [("user", "Hello")])
        """,
    )

    result = run(pytester, "--cov=agent", "--cov=a2a_session_manager.models", "--cov-report=term-missing")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*models/event_source.py * 100%*", "agent.py * 100%*"])
    assert "CoverageWarning" not in result.stdout.str() + result.stderr.str()


def test_a_pricer_of_one_s_own_prices_in_the_fixtures_store(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest
        from a2a_session_manager import ListPricer, Prices

        @pytest.fixture
        def session_pricer():
            return ListPricer({"ours": Prices(2, 8)})

        @pytest.mark.asyncio
        async def test_it(session_manager):
            async with session_manager.open("trip") as chat:
                await chat.assistant("x", model="ours", usage={"prompt_tokens": 10, "completion_tokens": 1})
                assert (await chat.usage()).cost_pico_usd == 28_000_000
    """)

    check_over_each_store(pytester, "-o", "asyncio_mode=strict", passed=1)
