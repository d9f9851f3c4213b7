"""What supervised local processes promise beyond the conformance suite."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from remediations.protocol import ActionRefused, EngineUnavailable, Health, Progress, Target, TargetNotFound
from remediations.runtimes import process as process_module
from remediations.runtimes.process import ProcessRuntime
from remediations.runtimes.process_box import Box, alive
from remediations.testing import Crashed, Lab, RuntimeLab

pytestmark = pytest.mark.anyio

ACTION = "a-1"
REPOSITORY = Path(__file__).parents[3]


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-E", "-c", code)


def target(code: str, **options: Any) -> Target:
    return Target("job", "process", {}, command=python(code), options={"stop_timeout": 1, **options})


def box_of(root: Path, name: str = "job-1", service: str = "job") -> Box:
    return Box(root / service / "instances" / name)


async def until(condition: Callable[[], bool], within: float = 10.0) -> None:
    for _ in range(int(within / 0.05)):
        if condition():
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"not within {within:g} s")


@pytest.fixture
async def runtime(tmp_path: Path) -> Any:
    made = ProcessRuntime(tmp_path, time.time)
    yield made
    for path in tmp_path.glob("*/instances"):
        await made.discard(Target(path.parent.name, "process", {}))
    await made.close()


async def test_a_relative_directory_such_as_the_default_database_s_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = ProcessRuntime(Path("remediator.processes"), time.time)
    job = target("import time; time.sleep(60)")
    try:
        await made.deploy(job)
        (one,) = await made.instances(job)
        assert one.running
    finally:
        await made.discard(job)
        await made.close()


async def test_processes_survive_the_remediator(runtime: ProcessRuntime, tmp_path: Path) -> None:
    code = (
        "import asyncio, sys, time; from pathlib import Path\n"
        "from remediations.runtimes.process import ProcessRuntime; from remediations.protocol import Target\n"
        "command = (sys.executable, '-c', 'import time; time.sleep(600)')\n"
        "target = Target('job', 'process', {}, command=command)\n"
        "asyncio.run(ProcessRuntime(Path(sys.argv[1]), time.time).deploy(target))"
    )
    starter = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=REPOSITORY, check=True, timeout=60)
    assert starter.returncode == 0
    (one,) = await runtime.instances(target(""))
    assert one.running


async def test_a_process_id_that_another_process_got_is_not_ours(runtime: ProcessRuntime, tmp_path: Path) -> None:
    await runtime.deploy(target("import time; time.sleep(600)"))
    box = box_of(tmp_path)
    # A number is given away again after a while only: two that began in the same clock tick are told apart by nothing.
    time.sleep(2 / os.sysconf("SC_CLK_TCK"))
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        await runtime.stop(target(""), "job-1")
        stored = json.loads((box.directory / "run.json").read_text())
        (box.directory / "run.json").write_text(json.dumps({**stored, "pid": bystander.pid}))
        (one,) = await runtime.instances(target(""))
        assert not one.running
        await runtime.restart(target(""), one)
        assert bystander.poll() is None, "it was not signalled"
    finally:
        bystander.kill()
        bystander.wait()


async def test_one_that_ignores_sigterm_is_killed_after_its_time(runtime: ProcessRuntime) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
    where = target(code)
    await runtime.deploy(where)
    (one,) = await runtime.instances(where)
    while not await runtime.logs(where, one, 1):
        await asyncio.sleep(0.05)
    began = time.monotonic()
    await runtime.stop(where, "job-1")
    assert time.monotonic() - began >= 1
    (one,) = await runtime.instances(where)
    assert one.status == "exited (by SIGKILL)"


async def test_what_a_process_leaves_behind_ends_with_it(runtime: ProcessRuntime, tmp_path: Path) -> None:
    file = tmp_path / "child"
    code = (
        "import subprocess, sys, time; child = subprocess.Popen(['sleep', '600']);"
        f"open({str(file)!r}, 'w').write(str(child.pid)); time.sleep(600)"
    )
    await runtime.deploy(target(code))
    await until(lambda: file.exists() and bool(file.read_text()))
    child = int(file.read_text())
    await runtime.stop(target(code), "job-1")
    await until(lambda: not Path(f"/proc/{child}").exists() or _zombie(child))


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_a_process_does_not_outlive_its_keeper_unseen(runtime: ProcessRuntime, tmp_path: Path) -> None:
    await runtime.deploy(target("import time; time.sleep(600)"))
    run = box_of(tmp_path).run()
    assert run is not None
    keeper = int(Path(f"/proc/{run.pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert "process_keeper" in Path(f"/proc/{keeper}/cmdline").read_text()
    os.kill(keeper, signal.SIGKILL)
    await until(lambda: not alive(run))
    (one,) = await runtime.instances(target(""))
    await runtime.restart(target(""), one)
    (one,) = await runtime.instances(target(""))
    assert one.running


async def test_the_log_is_bounded(runtime: ProcessRuntime, tmp_path: Path) -> None:
    code = "for n in range(20000): print('line', n)\nprint('last', flush=True)\nimport time; time.sleep(600)"
    where = target(code, log_bytes=20000)
    await runtime.deploy(where)
    (one,) = await runtime.instances(where)
    while await runtime.logs(where, one, 1) != ("last",):
        await asyncio.sleep(0.05)
    directory = box_of(tmp_path).directory
    assert sum(path.stat().st_size for path in directory.glob("log*")) <= 20000
    lines = await runtime.logs(where, one, 500)
    assert len(lines) == 500
    assert lines[-2] == "line 19999"


async def test_a_program_that_cannot_be_started_says_why(runtime: ProcessRuntime) -> None:
    where = Target("job", "process", {}, command=("/no/such/program",))
    await runtime.deploy(where)
    (one,) = await runtime.instances(where)
    assert not one.running
    assert "/no/such/program" in one.status


async def test_an_exit_code_is_told(runtime: ProcessRuntime, tmp_path: Path) -> None:
    where = target("raise SystemExit(3)")
    await runtime.deploy(where)
    (one,) = await runtime.instances(where)
    while one.running:
        await asyncio.sleep(0.05)
        (one,) = await runtime.instances(where)
    assert one.status in {"exited", "exited (3)"}
    await until(lambda: box_of(tmp_path).ending() == "exited (3)")


async def test_the_remediators_secrets_are_not_inherited(
    runtime: ProcessRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMEDIATOR_WEBHOOK_TOKEN", "s3cret")
    where = target("import os; print(sorted(k for k in os.environ if 'REMED' in k), os.environ['MINE'], flush=True)")
    where = Target(
        "job", "process", {}, command=where.command, options={"env": {"MINE": "port {port}"}, "base_port": 23995}
    )
    await runtime.deploy(where)
    (one,) = await runtime.instances(where)
    while not await runtime.logs(where, one, 1):
        await asyncio.sleep(0.05)
    assert await runtime.logs(where, one, 1) == ("[] port 23995",)


async def test_copies_get_ports_of_their_own(runtime_lab: RuntimeLab) -> None:
    async with runtime_lab() as lab:
        like = (await lab.runtime.instances(lab.target))[0]
        for name in ("api-3", "api-4"):
            await lab.runtime.add_instance(lab.target, like, name, ACTION)
        assert sorted(await serving(lab)) == ["api-1", "api-2", "api-3", "api-4"]


async def test_where_a_process_runs_and_how_its_health_is_asked_are_options(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    code = "import os, pathlib, time; pathlib.Path('here').write_text(os.getcwd()); time.sleep(60)"
    where = {"cwd": str(tmp_path / "elsewhere"), "base_port": 23990}
    nobody = {"health_url": "http://127.0.0.1:{port}/nobody"}
    for grace, health in ((60, Health.STARTING), (0, Health.UNHEALTHY)):
        asked = target(code, **where, **nobody, start_grace=grace)
        await runtime.discard(asked)
        await runtime.deploy(asked)
        await until((tmp_path / "elsewhere" / "here").exists)
        (one,) = await runtime.instances(asked)
        assert one.health is health
    assert (tmp_path / "elsewhere" / "here").read_text() == str(tmp_path / "elsewhere")
    plain = target(code, **where)
    await runtime.discard(plain)
    await runtime.deploy(plain)
    assert (await runtime.instances(plain))[0].health is Health.NONE


async def test_a_name_that_would_leave_the_directory_is_refused(runtime: ProcessRuntime) -> None:
    await runtime.deploy(target("import time; time.sleep(600)"))
    (one,) = await runtime.instances(target(""))
    for name in ("../../x", "", ".hidden", "a/b"):
        with pytest.raises(ActionRefused):
            await runtime.add_instance(target(""), one, name, ACTION)


async def test_a_damaged_state_file_says_which(runtime: ProcessRuntime, tmp_path: Path) -> None:
    await runtime.deploy(target("import time; time.sleep(600)"))
    path = box_of(tmp_path).directory / "instance.json"
    good = path.read_text()
    path.write_text("{half")
    with pytest.raises(EngineUnavailable, match=r"instance\.json can.t be read"):
        await runtime.instances(target(""))
    path.write_text(good)


async def test_a_service_that_was_never_started_says_what_there_is(runtime: ProcessRuntime) -> None:
    await runtime.deploy(target("import time; time.sleep(600)"))
    with pytest.raises(TargetNotFound, match=r"no process of other .* there are: job"):
        await runtime.instances(Target("other", "process", {}))


async def test_deploying_the_same_command_again_changes_nothing(runtime: ProcessRuntime) -> None:
    where = target("import time; time.sleep(600)")
    await runtime.deploy(where)
    before = await runtime.instances(where)
    await runtime.deploy(where)
    assert await runtime.instances(where) == before


# --- a replacement, cut at each of its operations ------------------------------------------------------------------


class Cut:
    """Dies before or after the n-th operation of a replacement; counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, *, after: bool) -> None:
        self.operations: list[str] = []
        self._at = at
        self._after = after
        for name in ("write", "write_journal", "close_journal"):
            monkeypatch.setattr(Box, name, self._sync(name, getattr(Box, name)))
        for name in ("start", "stop"):
            monkeypatch.setattr(process_module, name, self._async(name, getattr(process_module, name)))

    def _begins(self, name: str) -> bool:
        self.operations.append(name)
        cut = len(self.operations) == self._at
        if cut and not self._after:
            raise Crashed(f"before {name}")
        return cut

    def _sync(self, name: str, call: Callable[..., None]) -> Callable[..., None]:
        def cut(*arguments: Any) -> None:
            here = self._begins(name)
            call(*arguments)
            if here:
                raise Crashed(f"after {name}")

        return cut

    def _async(self, name: str, call: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def cut(*arguments: Any) -> None:
            here = self._begins(name)
            await call(*arguments)
            if here:
                raise Crashed(f"after {name}")

        return cut


async def replace_until_it_ends(lab: Lab, version: Any) -> str:
    """Replace the first instance, again after each crash, as the service does; return how it ended."""
    one = min(await lab.runtime.instances(lab.target), key=lambda instance: instance.name)
    for _ in range(3):
        try:
            await lab.runtime.replace_instance(lab.target, one, version, ACTION, healthy_within=3)
        except Crashed:
            assert await lab.runtime.replaced(lab.target, one.name, ACTION) is not Progress.SUPERSEDED
        except ActionRefused as error:
            return str(error)
        else:
            return "done"
    pytest.fail("it does not end")


async def serving(lab: Lab) -> dict[str, str]:
    for _ in range(100):
        found = await lab.runtime.instances(lab.target)
        if all(one.serving for one in found):
            return {one.name: one.image_id for one in found}
        await asyncio.sleep(0.05)
    pytest.fail("not serving")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 6))
async def test_a_replacement_that_died_at_any_operation_is_finished(
    runtime_lab: RuntimeLab, monkeypatch: pytest.MonkeyPatch, at: int, after: bool
) -> None:
    async with runtime_lab() as lab:
        with monkeypatch.context() as patch:
            cut = Cut(patch, at, after=after)
            assert await replace_until_it_ends(lab, lab.good) == "done"
        assert len(cut.operations) >= 5, cut.operations
        assert (await serving(lab))["api-1"] == lab.good.image_id
        assert await lab.runtime.replaced(lab.target, "api-1", ACTION) is Progress.DONE


@pytest.mark.parametrize("at", range(5, 10))
async def test_a_restore_that_died_at_any_operation_ends_with_the_old_one(
    runtime_lab: RuntimeLab, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    async with runtime_lab() as lab:
        before = await serving(lab)
        with monkeypatch.context() as patch:
            cut = Cut(patch, at, after=True)
            assert "the old one was restored" in await replace_until_it_ends(lab, lab.broken)
        assert len(cut.operations) >= 9, cut.operations
        assert await serving(lab) == before
