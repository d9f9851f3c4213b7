"""An engine that can't be used: each way has its own words, and what may have happened is never called undone."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from deploy.parts.engine import Engine
from deploy.parts.process import poll_until
from remediations.protocol import ActionRefused, EngineUnavailable, OutcomeUnknown
from remediations.runtimes.containers import ContainersRuntime
from tests.integration.docker.conftest import Lab, target
from tests.integration.docker.fake_engine import Answer, fake_engine, fake_tls_engine
from tests.integration.docker.test_containers import healthy, only

# docker-py leaves the socket of a failed connection to the garbage collector, which Python then warns about.
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]


@asynccontextmanager
async def engine_at(url: str | Path, **settings: str) -> AsyncIterator[ContainersRuntime]:
    """Return the runtime of an engine that has a second for each answer."""
    where = url if isinstance(url, str) else f"unix://{url}"
    runtime = ContainersRuntime("local", where, timeout=1, **settings)
    try:
        yield runtime
    finally:
        await runtime.close()
        gc.collect()


@contextmanager
def stopped(engine: Engine) -> Iterator[None]:
    """Let the engine's process hang."""
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        # Its threads stop one after the other; one that still runs would answer.
        poll_until(lambda: set(_states(engine.pid)) == {"T"}, 10.0, "the engine does not stop")
        yield
    finally:
        os.kill(engine.pid, signal.SIGCONT)


def _states(pid: int) -> Iterator[str]:
    """Yield the state of each thread of a process, by proc(5)'s letters."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield (task / "stat").read_text().rpartition(")")[2].split()[0]


# --- it can't be reached --------------------------------------------------------------------------------------------


async def test_a_missing_socket_says_so(tmp_path: Path) -> None:
    async with engine_at(tmp_path / "none.sock") as runtime:
        with pytest.raises(EngineUnavailable, match=r"engine local \(unix:///.*none.sock\): there is no such socket"):
            await runtime.check()


async def test_a_refused_connection_says_so(tmp_path: Path) -> None:
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    async with engine_at(path) as runtime:
        with pytest.raises(EngineUnavailable, match="nobody listens"):
            await runtime.check()


async def test_a_host_name_that_nobody_knows_says_so() -> None:
    async with engine_at("tcp://engine.invalid:2375") as runtime:
        with pytest.raises(EngineUnavailable, match="host name can't be resolved"):
            await runtime.check()


@pytest.mark.skipif(os.geteuid() != 0, reason="root may do anything; only root can become somebody else")
def test_a_socket_that_we_may_not_use_says_so(tmp_path: Path) -> None:
    code = (
        "import asyncio, os, socket, sys\n"
        "from remediations.runtimes.containers import ContainersRuntime\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "asyncio.run(ContainersRuntime('local', 'unix://' + sys.argv[1], timeout=1).check())\n"
    )
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o711)
    path = tmp_path / "roots.sock"
    with fake_engine(path):
        path.chmod(0o600)
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, check=False
        )
    assert "no permission; add this user to the socket's group" in done.stderr


# --- what answers is no engine that we can use ----------------------------------------------------------------------


@pytest.mark.parametrize("version", [(200, b"<html>"), (200, {}), (200, {"ApiVersion": "new"}), (404, {})])
async def test_what_is_no_engine_says_so(tmp_path: Path, version: Answer) -> None:
    with fake_engine(tmp_path / "web.sock") as played:
        played.version = version
        async with engine_at(tmp_path / "web.sock") as runtime:
            with pytest.raises(EngineUnavailable, match="is no container engine"):
                await runtime.check()


async def test_an_engine_that_is_too_old_is_not_acted_on(tmp_path: Path) -> None:
    with fake_engine(tmp_path / "old.sock") as played:
        played.version = 200, {"Version": "18.09", "ApiVersion": "1.39"}
        async with engine_at(tmp_path / "old.sock") as runtime:
            with pytest.raises(EngineUnavailable, match=r"too old: API 1\.39, at least 1\.40 is needed"):
                await runtime.instances(target())
        assert set(played.asked) == {"GET /version"}


async def test_another_engine_in_the_place_of_this_one_is_spoken_to_in_its_own_version(tmp_path: Path) -> None:
    with fake_engine(tmp_path / "engine.sock") as played:
        async with engine_at(tmp_path / "engine.sock") as runtime:
            assert (await runtime.check())["api"] == "1.41"
            played.version = 200, {"Version": "19.03", "ApiVersion": "1.40"}
            with pytest.raises(EngineUnavailable, match="speak no common API version"):
                await runtime.check()
            assert (await runtime.check())["api"] == "1.40"


# --- its answers ----------------------------------------------------------------------------------------------------


async def test_reading_is_tried_again_and_changing_never(tmp_path: Path) -> None:
    with fake_engine(tmp_path / "engine.sock", lambda *_: (500, {"message": "driver failed"})) as played:
        async with engine_at(tmp_path / "engine.sock") as runtime:
            with pytest.raises(EngineUnavailable, match="driver failed"):
                await runtime.inspect("api-1")
            with pytest.raises(ActionRefused, match=r"refused \(500\): driver failed"):
                await runtime.do(lambda api: api.start("api-1"))
        assert played.asked.count("GET /containers/api-1/json") == 2
        assert played.asked.count("POST /containers/api-1/start") == 1


@pytest.mark.parametrize("code", [502, 503, 504])
async def test_a_proxy_that_lost_the_engines_answer_leaves_the_outcome_unknown(tmp_path: Path, code: int) -> None:
    with fake_engine(tmp_path / "proxy.sock", lambda *_: (code, b"gateway")):
        async with engine_at(tmp_path / "proxy.sock") as runtime:
            with pytest.raises(OutcomeUnknown, match=f"answers {code}; the request may have arrived"):
                await runtime.do(lambda api: api.start("api-1"))


async def test_a_call_that_a_proxy_forbids_is_refused_and_not_tried_again(tmp_path: Path) -> None:
    with fake_engine(tmp_path / "proxy.sock", lambda *_: (403, b"no")) as played:
        async with engine_at(tmp_path / "proxy.sock") as runtime:
            for call in (runtime.inspect("api-1"), runtime.do(lambda api: api.start("api-1"))):
                with pytest.raises(ActionRefused, match=r"refused \(403\)"):
                    await call
        assert len([one for one in played.asked if "/containers/" in one]) == 2


# --- it hangs -------------------------------------------------------------------------------------------------------


async def test_many_calls_to_an_engine_that_hangs_end_with_the_first(tmp_path: Path) -> None:
    path = tmp_path / "hangs.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        async with engine_at(path) as runtime:
            begun = time.monotonic()
            answers = await asyncio.gather(*(runtime.check() for _ in range(16)), return_exceptions=True)
            assert all(isinstance(one, EngineUnavailable) and "it hangs" in str(one) for one in answers)
            # Sixteen one after another would take sixteen seconds.
            assert time.monotonic() - begun < 8


@pytest.mark.docker
async def test_an_engine_that_stops_answering_is_told_and_a_change_is_unknown_until_it_is_asked(
    lab: Lab, engine: Engine
) -> None:
    lab.image("api:good")
    lab.run("api-1", "api:good")
    healthy(lab, "api-1")
    async with engine_at(engine.socket) as runtime:
        before = await only(runtime)
        with stopped(engine):
            with pytest.raises(EngineUnavailable, match="does not answer: it hangs"):
                await runtime.instances(target())
            with pytest.raises(OutcomeUnknown, match="its answer was lost"):
                await runtime.do(lambda api: api.restart("api-1", timeout=0))
        # The engine got the request all the same: it carries it out as soon as it can.
        for _ in range(100):
            if (await only(runtime)).started_at != before.started_at:
                return
            await asyncio.sleep(0.1)
        pytest.fail("the call that was answered by nobody was lost")


@pytest.mark.docker
async def test_an_engine_that_hangs_before_a_change_has_begun_changed_nothing(lab: Lab, engine: Engine) -> None:
    lab.image("api:good")
    lab.run("api-1", "api:good")
    async with engine_at(engine.socket) as runtime:
        instance = await only(runtime)
        with stopped(engine), pytest.raises(EngineUnavailable, match="it hangs"):
            await runtime.restart(target(), instance)
        assert (await only(runtime)).started_at == instance.started_at


# --- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two authorities, a server of the first and a client of the first."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=30)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for authority in ("ca", "other"):
        openssl(
            "req", "-x509", *new, "-keyout", f"{authority}.key", "-out", f"{authority}.pem",
            "-subj", f"/CN={authority}",
            # Python 3.13 takes no authority without it.
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-extfile", "names", "-out", f"{name}.pem",
        )  # fmt: skip
    return folder


@pytest.fixture
def url(certificates: Path) -> Iterator[str]:
    """Serve an engine that wants a client certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    tls.load_verify_locations(certificates / "ca.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    with fake_tls_engine(tls) as found:
        yield found


def files(certificates: Path, authority: str = "ca") -> dict[str, str]:
    names = {"ca": f"{authority}.pem", "cert": "client.pem", "key": "client.key"}
    return {name: str(certificates / file) for name, file in names.items()}


async def test_the_environments_authorities_do_not_replace_the_engines_own(
    certificates: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "other.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with engine_at(url, **files(certificates)) as runtime:
        assert (await runtime.check())["api"] == "1.41"


async def test_a_certificate_of_another_authority_says_so(certificates: Path, url: str) -> None:
    async with engine_at(url, **files(certificates, "other")) as runtime:
        with pytest.raises(EngineUnavailable, match="its certificate is not to be trusted; check `ca`"):
            await runtime.check()
        with pytest.raises(EngineUnavailable, match="not to be trusted"):
            await runtime.do(lambda api: api.start("api-1"))


async def test_an_engine_that_wants_our_certificate_says_so(certificates: Path, url: str) -> None:
    async with engine_at(url, ca=str(certificates / "ca.pem")) as runtime:
        with pytest.raises(EngineUnavailable, match="engine local"):
            await runtime.check()


async def test_a_certificate_of_ours_alone_is_not_sent_in_the_clear(certificates: Path, url: str) -> None:
    async with engine_at(url, cert=files(certificates)["cert"], key=files(certificates)["key"]) as runtime:
        with pytest.raises(EngineUnavailable, match="its certificate is not to be trusted"):
            await runtime.check()


async def test_a_missing_certificate_file_says_so(certificates: Path, url: str) -> None:
    async with engine_at(url, **{**files(certificates), "cert": "/nowhere/client.pem"}) as runtime:
        with pytest.raises(EngineUnavailable, match="can't be used"):
            await runtime.check()
