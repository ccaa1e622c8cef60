"""deploy-local: real servers on the loopback interface, asked over real HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.digests import digest_bytes
from registry.errors import BadConfig, BadInput, RunFailed
from registry.extension import Deployed, DeploymentInput
from registry.extension.predictor import load_predictor
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.plugins.deploy import process
from registry.plugins.deploy.local import DeployLocal
from registry.plugins.deploy.protocol import read_question
from registry.plugins.deploy.service import Service
from registry.plugins.deploy.traffic import TrafficLog

SERVER = [sys.executable, "-m", "registry.plugins.deploy.server"]
SECRET = "PHASEGATE_TEST_SECRET"


class TestContract(PluginContract):
    plugin = DeployLocal


class Asker:
    """A client that knows nothing of the product: it speaks HTTP."""

    def __init__(self, endpoint: str) -> None:
        self.netloc = urlsplit(endpoint).netloc

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.netloc, timeout=30)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def infer(self, *texts: str, path: str = "/v2/models/model/infer", **fields: Any) -> dict[str, Any]:
        status, said = self("POST", path, {"inputs": [tensor(*texts)], **fields})
        assert status == 200, said
        assert isinstance(said, dict)
        return said


def tensor(*texts: Any, **changed: Any) -> dict[str, Any]:
    return {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)} | changed


def output(said: dict[str, Any], name: str) -> dict[str, Any]:
    return next(tensor for tensor in said["outputs"] if tensor["name"] == name)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(true: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False


def deployment_of(folder: Path, endpoint: str, details: dict[str, Any]) -> DeploymentInput:
    return DeploymentInput(
        id=1, target="local", endpoint=endpoint, plugin="deploy-local", folder=folder, details=details
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, sentiment_test: pa.Table) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("data")
    return {"test": dataset_input(folder, sentiment_test, ref="films-test/1", role="test", text="text")}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def deployed(tiny_artifact: Path, data: dict[str, Any], run_folder: Path) -> Iterator[Deployed]:
    """One deployment that the tests of this module share; none may stop it."""
    os.environ[SECRET] = "s3cret"
    try:
        result = run_plugin(DeployLocal(), run_folder, artifact=tiny_artifact, data=data)
    finally:
        del os.environ[SECRET]
    shutil.copyfile(run_folder / "keep" / "traffic.jsonl", run_folder / "traffic-when-deployed")
    yield result
    DeployLocal().stop(deployment_of(run_folder / "keep", result.endpoint, result.details))


@pytest.fixture(scope="module")
def ask(deployed: Deployed) -> Asker:
    return Asker(deployed.endpoint)


@pytest.fixture
def folder(deployed: Deployed, run_folder: Path, tmp_path: Path) -> Path:
    """A copy of what was deployed, for a server of the test's own."""
    target = tmp_path / "served"
    target.mkdir()
    for name in ("deployment.json", "model.onnx", "tokenizer.json"):
        shutil.copyfile(run_folder / "keep" / name, target / name)
    return target


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[DeploymentInput]:
    """A server of a folder, started as its documentation says, for as long as the test wants."""
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*SERVER, str(folder)], stdin=subprocess.DEVNULL, stderr=log, start_new_session=True
        )
    try:
        assert wait_until((folder / "server.json").exists), (folder / "server.log").read_text()
        note = json.loads((folder / "server.json").read_text())
        service = Service.read(folder)
        details = note | service.model_dump(include={"model", "version", "artifact"}) | {"digest": ""}
        deployment = deployment_of(folder, f"http://127.0.0.1:{note['port']}", details)
        assert wait_until(lambda: DeployLocal().healthy(deployment))
        yield deployment
    finally:
        server.kill()
        server.wait()


# -- a deployment ---------------------------------------------------------------------------------


def test_a_deployment_answers_and_says_how_well(deployed: Deployed) -> None:
    metrics = deployed.evidence.metrics
    assert metrics["healthy"] == 1.0
    assert metrics["parity.agreement"] == 1.0
    assert metrics["parity.rows"] == 200
    assert 0 <= metrics["parity.max_abs_diff"] < 1e-5
    assert 0 < metrics["latency_ms.p50"] < 1000
    assert metrics["bytes"] > 10_000
    assert deployed.evidence.facts["endpoint"] == deployed.endpoint
    assert deployed.evidence.facts["inputs_logged"] == "texts"


def test_the_server_is_a_process_of_its_own_without_torch_and_without_our_secrets(
    deployed: Deployed,
) -> None:
    pid = deployed.details["pid"]
    assert pid != os.getpid()
    assert os.getsid(pid) == pid
    server = psutil.Process(pid)
    assert abs(server.create_time() - deployed.details["started"]) < 0.1
    assert SECRET not in server.environ()
    assert not [mapped.path for mapped in server.memory_maps() if "libtorch" in mapped.path]
    addresses = [tuple(found.laddr) for found in server.net_connections() if found.status == "LISTEN"]
    assert addresses == [("127.0.0.1", deployed.details["port"])]


def test_the_record_holds_the_digest_of_what_is_served(deployed: Deployed, run_folder: Path) -> None:
    keep = run_folder / "keep"
    assert digest_bytes((keep / "deployment.json").read_bytes()) == deployed.details["digest"]
    files = json.loads((keep / "deployment.json").read_text())["files"]
    assert files == {
        name: digest_bytes((keep / name).read_bytes()) for name in ("model.onnx", "tokenizer.json")
    }


def test_predictions_over_http_are_those_of_the_artifact(
    ask: Asker, tiny_artifact: Path, sentiment_test: pa.Table
) -> None:
    rows = sentiment_test.slice(0, 50)
    predictor = load_predictor(tiny_artifact)
    expected = predictor.probabilities(rows)
    said = ask.infer(*rows["text"].to_pylist(), id="42")
    assert (said["model_name"], said["model_version"], said["id"]) == ("model", "1", "42")
    probabilities, label = output(said, "probabilities"), output(said, "label")
    assert (probabilities["shape"], probabilities["datatype"]) == ([50, 2], "FP64")
    assert probabilities["data"] == pytest.approx(expected.ravel().tolist(), abs=1e-6)
    assert (label["shape"], label["datatype"]) == ([50], "BYTES")
    assert label["data"] == [predictor.labels[best] for best in expected.argmax(axis=1)]


def test_long_empty_and_foreign_texts_are_answered_as_by_the_artifact(
    ask: Asker, tiny_artifact: Path
) -> None:
    texts = ["", " ", "word " * 2000, "好电影", "\U0001f600", "tab\tnew\nline\x00"]
    expected = load_predictor(tiny_artifact).probabilities(pa.table({"text": texts}))
    probabilities = output(ask.infer(*texts), "probabilities")["data"]
    assert probabilities == pytest.approx(expected.ravel().tolist(), abs=1e-6)


def test_an_answer_has_an_id_and_the_outputs_that_were_asked_for(ask: Asker) -> None:
    path = "/v2/models/model/versions/1/infer"
    one, other = (ask.infer("a film", path=path, outputs=[{"name": "label"}]) for _ in range(2))
    assert one["id"]
    assert one["id"] != other["id"]
    assert [tensor["name"] for tensor in one["outputs"]] == ["label"]


def test_health_and_metadata(ask: Asker) -> None:
    assert ask("GET", "/v2/health/live") == (200, {"live": True})
    assert ask("GET", "/v2/health/ready")[0] == 200
    assert ask("GET", "/v2/models/model/ready") == (200, {"name": "model", "ready": True})
    assert ask("GET", "/v2/models/model/versions/1/ready")[0] == 200
    status, server = ask("GET", "/v2")
    assert (status, set(server)) == (200, {"name", "version", "extensions"})
    assert ask("GET", "/v2/models/model") == (
        200,
        {
            "name": "model",
            "versions": ["1"],
            "platform": "onnx_onnxv1",
            "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
            "outputs": [
                {"name": "label", "datatype": "BYTES", "shape": [-1]},
                {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]},
            ],
        },
    )


INFER = "/v2/models/model/infer"


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (INFER, b"", 400, "JSON"),
        (INFER, b"\xff\xfe", 400, "JSON"),
        (INFER, b"[1]", 400, "object"),
        (INFER, {}, 400, "inputs: Field required"),
        (INFER, {"inputs": []}, 400, "one tensor named 'text'"),
        (INFER, {"inputs": [tensor("a", name="texts")]}, 400, "'texts'"),
        (INFER, {"inputs": [tensor("a"), tensor("b")]}, 400, "one tensor"),
        (INFER, {"inputs": [tensor("a", datatype="FP32")]}, 400, "BYTES (got 'FP32')"),
        (INFER, {"inputs": [tensor("a", shape=[2])]}, 400, "shape [2] does not fit 1"),
        (INFER, {"inputs": [tensor("a", shape=[1, 1])]}, 400, "shape [1, 1]"),
        (INFER, {"inputs": [tensor("a", shape=["1"])]}, 400, "inputs.0.shape.0"),
        (INFER, {"inputs": [tensor("a", shape=[-1])]}, 400, "shape [-1]"),
        (INFER, {"inputs": [tensor()]}, 400, "nothing in it"),
        (INFER, {"inputs": [tensor("a", 7)]}, 400, "element 1 is no string but int"),
        (INFER, {"inputs": [tensor(None)]}, 400, "element 0 is no string"),
        (INFER, {"inputs": [tensor(["a"])]}, 400, "element 0 is no string but list"),
        (
            INFER,
            b'{"inputs":[{"name":"text","shape":[1],"datatype":"BYTES","data":["\\ud800"]}]}',
            400,
            "JSON",
        ),
        (INFER, {"inputs": [tensor("a")], "id": 42}, 400, "id:"),
        (INFER, {"inputs": [tensor("a")], "outputs": [{"name": "logits"}]}, 400, "'logits'"),
        (INFER, {"inputs": [tensor(*["a"] * 257)]}, 413, "257 rows, at most 256"),
        (INFER, {"inputs": [tensor("a" * (1 << 20))]}, 413, "over 1048576 bytes"),
        ("/v2/models/other/infer", {"inputs": [tensor("a")]}, 404, "no model 'other' here; there is model/1"),
        ("/v2/models/model/versions/2/infer", {"inputs": [tensor("a")]}, 404, "'model/2'"),
        ("/v2/nothing", {}, 404, "Not Found"),
    ],
)
def test_a_bad_request_is_told_why_and_does_no_harm(
    ask: Asker, path: str, body: Any, status: int, says: str
) -> None:
    found, said = ask("POST", path, body)
    assert (found, list(said)) == (status, ["error"])
    assert says in said["error"]
    assert ask("GET", "/v2/health/ready")[0] == 200


def test_a_wrong_method_is_an_error_of_the_protocol_too(ask: Asker) -> None:
    assert ask("GET", INFER) == (405, {"error": "Method Not Allowed"})


@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(["inputs", "outputs", "id", "name", "shape", "datatype", "data"]), inner
                )
            ),
            max_leaves=20,
        ).map(lambda value: json.dumps(value).encode()),
        st.lists(st.text(max_size=5) | st.none() | st.integers(), max_size=5).map(
            lambda texts: json.dumps({"inputs": [tensor(*texts)]}).encode()
        ),
    )
)
def test_whatever_is_sent_is_a_question_or_bad_input(body: bytes) -> None:
    try:
        question = read_question(body, max_rows=3)
    except BadInput:
        return
    assert 1 <= len(question.texts) <= 3
    assert all(isinstance(text, str) for text in question.texts)


def test_requests_beside_each_other_get_each_its_own_answer(
    ask: Asker, tiny_artifact: Path, sentiment_test: pa.Table
) -> None:
    texts = sentiment_test["text"].to_pylist()[:64]
    expected = load_predictor(tiny_artifact).probabilities(pa.table({"text": texts}))
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask.infer, texts))
    for said, truth in zip(answers, expected, strict=True):
        assert output(said, "probabilities")["data"] == pytest.approx(truth.tolist(), abs=1e-6)
    assert len({said["id"] for said in answers}) == 64


# -- refusals ---------------------------------------------------------------------------------------


def test_a_difference_above_the_tolerance_deploys_nothing(
    tiny_artifact: Path, data: dict[str, Any], tmp_path: Path
) -> None:
    config = {"tolerance": 0.0, "parity_rows": 50}
    with pytest.raises(RunFailed, match=r"the exported model does not predict.*tolerance 0\).*of 50 rows"):
        run_plugin(DeployLocal(), tmp_path, artifact=tiny_artifact, data=data, config=config)
    assert list((tmp_path / "keep").iterdir()) == []


def test_a_failure_after_the_start_leaves_no_server_behind(
    tiny_artifact: Path, data: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(RunFailed, match=r"refused a request of 8 row.*over 50 bytes"):
        run_plugin(DeployLocal(), tmp_path, artifact=tiny_artifact, data=data, config={"max_body_bytes": 50})
    note = json.loads((tmp_path / "keep" / "server.json").read_text())
    assert gone(note["pid"])


def test_an_artifact_of_another_format_is_refused(tmp_path: Path, data: dict[str, Any]) -> None:
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    (artifact / "phasegate.json").write_text('{"format": "image-classifier"}')
    with pytest.raises(BadInput, match="serves artifacts of format 'text-classifier'; this one is 'image-cl"):
        run_plugin(DeployLocal(), tmp_path / "run", artifact=artifact, data=data)


def test_without_data_there_is_nothing_to_compare_on(tiny_artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="names no test or validation or train data"):
        run_plugin(DeployLocal(), tmp_path, artifact=tiny_artifact)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_bytes_that_were_not_deployed_are_not_served(folder: Path, name: str) -> None:
    bytes_ = bytearray((folder / name).read_bytes())
    bytes_[len(bytes_) // 2] ^= 1
    (folder / name).write_bytes(bytes_)
    done = subprocess.run([*SERVER, str(folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    assert f"refused to start: {name} is not what was deployed" in done.stderr
    assert not (folder / "server.json").exists()


def test_a_changed_description_is_not_served(folder: Path, deployed: Deployed) -> None:
    path = folder / "deployment.json"
    path.write_text(path.read_text().replace('"neg"', '"good"'))
    command = [*SERVER, str(folder), "--digest", deployed.details["digest"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    assert "deployment.json is not what was deployed" in done.stderr


def test_a_port_that_is_taken_is_named(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = folder / "deployment.json"
        path.write_text(Service.read(folder).model_copy(update={"port": port}).model_dump_json())
        done = subprocess.run([*SERVER, str(folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr


# -- its life ---------------------------------------------------------------------------------------


def test_a_killed_server_is_unhealthy_and_stopping_it_is_no_error(folder: Path) -> None:
    plugin = DeployLocal()
    with serving(folder) as deployment:
        os.kill(deployment.details["pid"], signal.SIGKILL)
        assert wait_until(lambda: not plugin.healthy(deployment))
        plugin.stop(deployment)
        plugin.stop(deployment)


def test_a_server_is_stopped_once_and_may_be_stopped_again(folder: Path) -> None:
    plugin = DeployLocal()
    with serving(folder) as deployment:
        plugin.stop(deployment)
        assert gone(deployment.details["pid"])
        assert not plugin.healthy(deployment)
        plugin.stop(deployment)
    assert "Finished server process" in (folder / "server.log").read_text()


def test_a_process_that_began_at_another_time_is_left_alone(folder: Path) -> None:
    plugin = DeployLocal()
    with serving(folder) as deployment:
        details = deployment.details | {"started": deployment.details["started"] - 3600}
        stranger = deployment_of(folder, deployment.endpoint, details)
        with pytest.raises(RunFailed, match=r"still serves model/1.*process that was deployed"):
            plugin.stop(stranger)
        assert plugin.healthy(deployment)


def test_a_server_that_does_not_listen_to_reason_is_killed(folder: Path) -> None:
    with serving(folder) as deployment:
        pid, started = deployment.details["pid"], deployment.details["started"]
        os.kill(pid, signal.SIGSTOP)
        process.stop(pid, started, grace_s=0.3)
        assert gone(pid)


@pytest.mark.parametrize("kept", [True, False])
def test_a_server_outlives_its_killed_deployer_only_once_it_is_kept(
    folder: Path, deployed: Deployed, kept: bool
) -> None:
    script = """
import sys, time
from pathlib import Path
from registry.plugins.deploy.process import on_probation
from registry.plugins.deploy.service import Service
folder = Path(sys.argv[1])
with on_probation(folder, Service.read(folder), sys.argv[2], timeout_s=60, alive=lambda: None) as server:
    if sys.argv[3] == "True":
        server.keep()
    print(server.endpoint, flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", script, str(folder), deployed.details["digest"], str(kept)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as deployer:
        assert deployer.stdout
        endpoint = deployer.stdout.readline().strip()
        deployer.kill()
    note = json.loads((folder / "server.json").read_text())
    if kept:
        assert Asker(endpoint)("GET", "/v2/health/ready")[0] == 200
        process.stop(note["pid"], note["started"], grace_s=10)
    assert wait_until(lambda: gone(note["pid"]))


# -- traffic ----------------------------------------------------------------------------------------


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_traffic_is_logged_row_by_row_and_only_for_its_owner(folder: Path) -> None:
    with serving(folder) as deployment:
        ask = Asker(deployment.endpoint)
        said = ask.infer("a lovely film", "schön \n!", id="42")
        ask("POST", INFER, {"inputs": [tensor(7)]})
        os.kill(deployment.details["pid"], signal.SIGKILL)
    rows = lines(folder / "traffic.jsonl")
    assert [(row["id"], row["row"], row["text"]) for row in rows] == [
        ("42", 0, "a lovely film"),
        ("42", 1, "schön \n!"),
    ]
    assert [(row["characters"], row["words"]) for row in rows] == [(13, 3), (8, 2)]
    assert [row["label"] for row in rows] == output(said, "label")["data"]
    positive = output(said, "probabilities")["data"][1::2]
    assert [row["score"] for row in rows] == pytest.approx(positive, abs=1e-6)
    assert abs(rows[0]["at"] - time.time()) < 60
    assert stat.S_IMODE((folder / "traffic.jsonl").stat().st_mode) == 0o600


def test_every_answer_that_left_is_in_the_log_of_a_killed_server(folder: Path) -> None:
    with serving(folder) as deployment:
        ask, answered = Asker(deployment.endpoint), []

        def until_it_dies(_: int) -> None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                while True:
                    answered.append(ask.infer("a lovely film", "an awful one")["id"])

        with ThreadPoolExecutor(4) as threads:
            asking = threads.map(until_it_dies, range(4))
            assert wait_until(lambda: len(answered) > 50)
            os.kill(deployment.details["pid"], signal.SIGKILL)
            list(asking)
    whole = (folder / "traffic.jsonl").read_bytes().rpartition(b"\n")[0].decode()
    logged = [(row["id"], row["row"]) for row in map(json.loads, whole.splitlines())]
    assert set(logged) >= {(request, row) for request in answered for row in (0, 1)}


def test_without_log_inputs_no_text_is_written_anywhere(folder: Path) -> None:
    path = folder / "deployment.json"
    path.write_text(Service.read(folder).model_copy(update={"log_inputs": False}).model_dump_json())
    with serving(folder) as deployment:
        Asker(deployment.endpoint).infer("call Zebulon Quux", id="1")
    (row,) = lines(folder / "traffic.jsonl")
    assert (row["characters"], row["words"]) == (17, 3)
    assert "text" not in row
    assert not [path for path in folder.iterdir() if b"Zebulon" in path.read_bytes()]


def test_the_deployers_own_requests_are_no_traffic(deployed: Deployed, run_folder: Path) -> None:
    assert deployed.evidence.metrics["latency_ms.p50"] > 0
    assert (run_folder / "traffic-when-deployed").read_bytes() == b""


def test_the_log_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    log = TrafficLog(tmp_path / "traffic.jsonl", max_bytes=2000, log_inputs=True)
    log.open()
    for number in range(100):
        log.append(str(number), [("a text", "pos", 0.5)])
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) <= 2000
    rows = lines(tmp_path / "traffic.1.jsonl") + lines(tmp_path / "traffic.jsonl")
    assert [int(row["id"]) for row in rows] == list(range(100 - len(rows), 100))


def test_a_torn_last_line_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    path.write_text('{"at": 1, "id": "a"}\n{"at": 2, "i')
    log = TrafficLog(path, max_bytes=10_000, log_inputs=False)
    log.open()
    log.append("b", [("text", "pos", 0.5)])
    first, torn, last = path.read_text().splitlines()
    assert json.loads(first)["id"] == "a"
    assert torn == '{"at": 2, "i'
    assert json.loads(last)["id"] == "b"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_costs_lines_and_no_answer(tmp_path: Path) -> None:
    log = TrafficLog(Path("/dev/full"), max_bytes=10_000, log_inputs=True)
    log.open()
    log.append("1", [("one", "pos", 0.5), ("two", "neg", 0.5)])
    assert log.dropped == 2


def test_nothing_is_logged_before_it_begins(tmp_path: Path) -> None:
    log = TrafficLog(tmp_path / "traffic.jsonl", max_bytes=10_000, log_inputs=True)
    log.append("1", [("one", "pos", 0.5)])
    assert list(tmp_path.iterdir()) == []
    assert log.dropped == 0
