"""gRPC calls of grpcio to a server of grpcio, through the gateway."""

import asyncio
import queue
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from h2.errors import ErrorCodes
from hyperframe.frame import RstStreamFrame

import hostile
import servers

ONE_MEGABYTE = 1024 * 1024
METADATA = (("x-text", "plain"), ("x-many", "one"), ("x-many", "two"), ("x-raw-bin", b"\x00\xff"))


@pytest.fixture
def serve():
    """Starts a server of one service with these methods, of bytes and without any schema."""
    stopping = []

    def serve(**methods):
        server = grpc.server(ThreadPoolExecutor(16))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("lab", methods),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        stopping.append(server)
        return SimpleNamespace(url=f"h2c://127.0.0.1:{port}", port=port)

    yield serve
    for server in stopping:
        server.stop(None).wait(servers.LIMIT)


@contextmanager
def calling(gateway):
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        yield channel


def test_every_kind_of_call_passes(serve, gate):
    app = serve(
        Unary=grpc.unary_unary_rpc_method_handler(lambda one, _: one[::-1]),
        Down=grpc.unary_stream_rpc_method_handler(lambda one, _: (bytes([it]) for it in one)),
        Up=grpc.stream_unary_rpc_method_handler(lambda many, _: b"".join(many)),
        Both=grpc.stream_stream_rpc_method_handler(lambda many, _: (it * 2 for it in many)),
    )
    with calling(gate(app)) as channel:
        assert channel.unary_unary("/lab/Unary")(b"abc", timeout=10) == b"cba"
        assert list(channel.unary_stream("/lab/Down")(b"abc", timeout=10)) == [b"a", b"b", b"c"]
        assert channel.stream_unary("/lab/Up")(iter([b"a", b"b"]), timeout=10) == b"ab"
        both = channel.stream_stream("/lab/Both")(iter([b"a", b"b"]), timeout=10)
        assert list(both) == [b"aa", b"bb"]


def test_large_messages_pass_whole_both_ways(serve, gate):
    app = serve(Echo=grpc.unary_unary_rpc_method_handler(lambda one, _: one))
    message = bytes(range(256)) * (ONE_MEGABYTE // 256)
    with calling(gate(app)) as channel:
        assert channel.unary_unary("/lab/Echo")(message, timeout=20) == message


def test_metadata_passes_both_ways_and_trailers_back(serve, gate):
    def answer(_, context):
        # The gateway adds fields of its own beside these.
        seen = [it for it in context.invocation_metadata() if it[0] in dict(METADATA)]
        context.send_initial_metadata(seen)
        context.set_trailing_metadata([(f"{name[:1]}-end{name[1:]}", it) for name, it in seen])
        return b""

    app = serve(Say=grpc.unary_unary_rpc_method_handler(answer))
    with calling(gate(app)) as channel:
        _, call = channel.unary_unary("/lab/Say").with_call(b"", timeout=10, metadata=METADATA)
    said = [tuple(it) for it in call.initial_metadata() if it.key in dict(METADATA)]
    ended = [tuple(it) for it in call.trailing_metadata() if it.key.startswith("x-end")]
    assert sorted(said) == sorted(METADATA)
    assert sorted(ended) == sorted((f"x-end{name[1:]}", it) for name, it in METADATA)


def test_a_failing_status_of_the_server_passes_unchanged(serve, gate):
    why = any_pb2.Any()
    why.Pack(error_details_pb2.ErrorInfo(reason="TAKEN", domain="lab"))
    status = status_pb2.Status(code=code_pb2.ALREADY_EXISTS, message="größer, 100 %", details=[why])
    with_details = rpc_status.to_status(status)

    def fail(_, context):
        context.abort_with_status(with_details)

    def fail_midway(_, context):
        yield b"first"
        context.abort_with_status(with_details)

    app = serve(
        Fail=grpc.unary_unary_rpc_method_handler(fail),
        Midway=grpc.unary_stream_rpc_method_handler(fail_midway),
    )
    gateway = gate(app)
    with calling(gateway) as channel:
        with pytest.raises(grpc.RpcError) as at_once:
            channel.unary_unary("/lab/Fail")(b"", timeout=10)
        midway = channel.unary_stream("/lab/Midway")(b"", timeout=10)
        assert next(midway) == b"first"
        with pytest.raises(grpc.RpcError) as later:
            next(midway)
    for failed in (at_once.value, later.value):
        assert failed.code() == grpc.StatusCode.ALREADY_EXISTS
        assert rpc_status.from_call(failed) == status
    for path in ("/lab/Fail", "/lab/Midway"):
        record = gateway.record(path)
        assert (record["grpc_status"], record["end"]) == (6, "complete"), record


def test_the_server_is_told_what_is_left_of_the_callers_deadline(gate):
    fields = [("content-type", "application/grpc"), ("grpc-status", "5")]
    with hostile.Upstream(lambda it: it.answer(200, *fields)) as upstream:
        with calling(gate(upstream)) as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary("/lab/Any")(b"", timeout=5)
    amount, unit = re.fullmatch(r"(\d{1,8})([HMSmun])", upstream.asked[0]["grpc-timeout"]).groups()
    seconds = int(amount) * {"H": 3600, "M": 60, "S": 1, "m": 1e-3, "u": 1e-6, "n": 1e-9}[unit]
    assert 0 < seconds < 5


def test_a_deadline_ends_the_call_on_both_sides(serve, gate):
    ended = threading.Event()

    def wait(_, context):
        context.add_callback(ended.set)
        ended.wait(servers.LIMIT)
        return b""

    gateway = gate(serve(Wait=grpc.unary_unary_rpc_method_handler(wait)))
    with calling(gateway) as channel, pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/lab/Wait")(b"", timeout=0.3)
    assert failed.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert ended.wait(servers.LIMIT), "the server is told"


def test_a_server_that_ignores_the_deadline_is_reset_and_named(gate):
    reset = queue.Queue()
    with hostile.Upstream(lambda it: reset.put(it.find(RstStreamFrame))) as upstream:
        gateway = gate(upstream)
        with calling(gateway) as channel, pytest.raises(grpc.RpcError) as failed:
            channel.unary_unary("/lab/Any")(b"", timeout=0.3)
        assert reset.get(timeout=servers.LIMIT).error_code == ErrorCodes.CANCEL
    assert failed.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert gateway.record("/lab/Any")["cause"] == "total_deadline_exceeded"


def test_a_call_that_is_cancelled_ends_at_the_server(serve, gate):
    ended = threading.Event()

    def stream(_, context):
        context.add_callback(ended.set)
        yield b"first"
        ended.wait(servers.LIMIT)

    gateway = gate(serve(Stream=grpc.unary_stream_rpc_method_handler(stream)))
    with calling(gateway) as channel:
        call = channel.unary_stream("/lab/Stream")(b"")
        assert next(call) == b"first"
        call.cancel()
        assert ended.wait(servers.LIMIT), "the server is told"
    assert gateway.record("/lab/Stream")["end"] == "client_closed"


def test_nobody_listening_is_unavailable_with_the_cause_in_its_details(gate):
    nobody = SimpleNamespace(url=f"h2c://127.0.0.1:{servers.free_port()}")
    with calling(gate(nobody)) as channel, pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/lab/Any")(b"", timeout=10)
    assert failed.value.code() == grpc.StatusCode.UNAVAILABLE
    # It fails where code and message in the details are not those of the call.
    status = rpc_status.from_call(failed.value)
    details = {it.TypeName().rpartition(".")[2]: it for it in status.details}
    why, request = error_details_pb2.ErrorInfo(), error_details_pb2.RequestInfo()
    assert details["ErrorInfo"].Unpack(why) and details["RequestInfo"].Unpack(request)
    assert (why.domain, why.reason) == ("goodgate", "process_down")
    assert request.request_id == why.metadata["request_id"]


def test_a_stream_that_breaks_off_ends_with_a_status_of_ours(gate):
    def breaks(it):
        it.head(200, ("content-type", "application/grpc"))
        it.data(b"\0\0\0\0\5first")
        it.hang_up()

    with hostile.Upstream(breaks) as upstream, calling(gate(upstream)) as channel:
        call = channel.unary_stream("/lab/Any")(b"", timeout=10)
        assert next(call) == b"first"
        with pytest.raises(grpc.RpcError) as failed:
            next(call)
    why = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(failed.value).details[0].Unpack(why)
    assert (failed.value.code(), why.reason) == (grpc.StatusCode.UNAVAILABLE, "response_truncated")


def test_each_message_arrives_as_it_comes(serve, gate):
    """The next message of either side is sent only when the last one has been seen at the other."""
    seen = threading.Semaphore(0)

    def down(_, context):
        for number in range(5):
            yield bytes([number])
            assert seen.acquire(timeout=servers.LIMIT), "the caller has seen it"

    app = serve(
        Down=grpc.unary_stream_rpc_method_handler(down),
        Both=grpc.stream_stream_rpc_method_handler(lambda many, _: many),
    )
    with calling(gate(app)) as channel:
        for number, message in enumerate(channel.unary_stream("/lab/Down")(b"", timeout=20)):
            assert message == bytes([number])
            seen.release()

        answered = threading.Semaphore(1)

        def questions():
            for number in range(5):
                assert answered.acquire(timeout=servers.LIMIT), "the last one is answered"
                yield bytes([number])

        for number, message in enumerate(channel.stream_stream("/lab/Both")(questions(), timeout=20)):
            assert message == bytes([number])
            answered.release()


CALLS = 320
# Of one channel's connection; the gateway takes 100 requests at a time on each.
CALLS_A_CHANNEL = 80


def test_hundreds_of_calls_are_under_way_at_once(gate):
    """None is answered before all have arrived."""

    async def play():
        arrived, all_there = 0, asyncio.Event()

        async def meet(request, _):
            nonlocal arrived
            arrived += 1
            if arrived == CALLS:
                all_there.set()
            await all_there.wait()
            return request

        server = grpc.aio.server()
        methods = {"Meet": grpc.unary_unary_rpc_method_handler(meet)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("lab", methods),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        gateway = await asyncio.to_thread(gate, SimpleNamespace(url=f"h2c://127.0.0.1:{port}"))
        # Without it channels to the same address share one connection.
        options = [("grpc.use_local_subchannel_pool", 1)]
        address = f"127.0.0.1:{gateway.port}"
        channels = [
            grpc.aio.insecure_channel(address, options) for _ in range(CALLS // CALLS_A_CHANNEL)
        ]
        calls = [
            channels[at % len(channels)].unary_unary("/lab/Meet")(b"%d" % at, timeout=servers.LIMIT)
            for at in range(CALLS)
        ]
        answers = await asyncio.gather(*calls)
        for channel in channels:
            await channel.close()
        await server.stop(None)
        return answers

    assert asyncio.run(play()) == [b"%d" % at for at in range(CALLS)]
