"""What was acknowledged arrives, whatever happens to the process, the destination and the disk.

MARTLET_CRASHES is the number of kills in each test; 10 without it, 50 for a thorough run. MARTLET_OUTAGE is how many seconds
the destination is down in the test of that; 5 without it, 180 for a thorough run.
"""
import os
import random
import resource
import shutil
import subprocess
import threading
import time

import pytest

from support import wire
from support.crash import Load, flip_bits, kill, kill_while_it_stops
from support.otlp import ids_of, spans_of, traces
from support.preload import shared_library
from support.process import configuration, to_sink
from support.waiting import wait_for

OUTAGE = float(os.environ.get("MARTLET_OUTAGE", "5"))
CRASHES = int(os.environ.get("MARTLET_CRASHES", "10"))
# Requests that a kill may send twice: those in flight, and those delivered in the moment before.
TWICE = 300
SPANS = 5


def on_disk(launch, sink, directory, *, queue=None, storage=None, processors=None, **options):
    """A collector whose queue is on a disk, not started."""
    config = configuration(
        {"otlp_http": to_sink(sink, queue={"storage": "file_storage", "queue_size": 1_000_000, **(queue or {})})},
        processors=processors, extensions={"file_storage": {
            "directory": str(directory), "create_directory": True, "timeout": "10s", "segment_size": 1 << 16,
            **(storage or {})}})
    return launch(config, ready=False, **options)


def sampled(launch, sink, directory, policy):
    """A tail sampler whose buffer is on a disk, before a queue that is there too; not started."""
    return on_disk(launch, sink, directory, processors={
        "tail_sampling": {"storage": "file_storage", "decision_wait": "300ms", "policies": [policy]}})


def segments(directory):
    return sorted(directory.glob("*/*.seg"))


def kill_often(martlet, numbers, longest, how="at any moment"):
    """`CRASHES` kills, each with a start behind it, after up to `longest` seconds each."""
    for _ in range(CRASHES):
        time.sleep(numbers.uniform(0.02, longest))
        if how == "at any moment":
            kill(martlet)
        else:
            kill_while_it_stops(martlet, numbers.uniform(0, 0.05))
        martlet.start(60)
    time.sleep(0.1)


def check(martlet, sink, load, kills, timeout=60):
    """All that was acknowledged is there; what came twice is bounded."""
    wanted = set(load.acknowledged)
    assert len(wanted) == len(load.acknowledged) and wanted, "the load sent nothing, or ids twice"
    wait_for(lambda: wanted <= set(sink.ids), "all acknowledged spans at the sink", timeout, 0.2)
    martlet.wait_for_metric("otelcol_exporter_queue_size", 0, timeout)
    ids = sink.ids
    twice = len(ids) - len(set(ids))
    print(f"{kills} kills, {len(wanted)} spans acknowledged, 0 missing, {twice} twice, "
          f"{len(load.refusals)} requests without 200")
    assert twice <= kills * TWICE * SPANS
    return twice


@pytest.mark.parametrize("how", ["at any moment", "while it stops"])
def test_killed_again_and_again(launch, sink, tmp_path, how):
    """Small segments: many kills come while one ends and the next begins."""
    numbers = random.Random(7)
    martlet = on_disk(launch, sink, tmp_path / "storage").start()
    with Load(martlet, spans=SPANS) as load:
        kill_often(martlet, numbers, 0.4, how)
    check(martlet, sink, load, CRASHES)
    assert martlet.stop(60) == 0
    assert not segments(tmp_path / "storage"), "what is delivered leaves the disk"


@pytest.mark.parametrize("how", ["at any moment", "while it stops"])
def test_a_tail_sampler_killed_again_and_again(launch, sink, tmp_path, how):
    """Traces wait on the disk, are decided about, and go to the queue's disk: all of them."""
    numbers = random.Random(9)
    martlet = sampled(launch, sink, tmp_path / "storage", {"name": "all", "type": "always_sample"}).start()
    # Each thread's trace goes on over three requests, so that requests share traces across a kill.
    open_traces, lock = {}, threading.Lock()

    def make():
        request = traces(SPANS, padding=200)
        with lock:
            trace_id, left = open_traces.get(threading.get_ident(), (None, 0))
            if left == 0:
                trace_id, left = spans_of(request)[0].trace_id, 3
            open_traces[threading.get_ident()] = trace_id, left - 1
        spans_of(request)[0].trace_id = trace_id
        return request, ids_of(request)

    with Load(martlet, make=make) as load:
        kill_often(martlet, numbers, 0.8, how)
    check(martlet, sink, load, CRASHES)
    assert martlet.metric("martlet_tail_sampling_lost_spans_total") == 0
    assert martlet.stop(60) == 0


def test_a_tail_sampler_that_keeps_errors(launch, sink, tmp_path):
    """Every trace with an error that was acknowledged arrives whole, and no other one."""
    numbers = random.Random(10)
    policy = {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
    martlet = sampled(launch, sink, tmp_path / "storage", policy).start()
    failed = set()

    def make():
        requests = [traces(SPANS, padding=100) for _ in range(3)]
        spans_of(requests[1])[2].status.code = 2
        # Before anybody may see it at the sink.
        failed.update(ids_of(requests[1]))
        for other in requests[1:]:
            requests[0].resource_spans.extend(other.resource_spans)
        return requests[0], ids_of(requests[1])

    with Load(martlet, make=make) as load:
        kill_often(martlet, numbers, 0.8)
    check(martlet, sink, load, CRASHES)
    assert set(sink.ids) <= failed


def test_killed_while_the_destination_is_down(launch, sink, tmp_path):
    numbers = random.Random(8)
    martlet = on_disk(launch, sink, tmp_path / "storage", queue={"queue_bytes": 1 << 20}).start()
    sink.stop()
    with Load(martlet, spans=SPANS) as load:
        for number in range(CRASHES):
            time.sleep(numbers.uniform(0.02, 0.4))
            kill(martlet)
            martlet.start(60)
            # Once it is there for a moment.
            if number == CRASHES // 2:
                sink.start()
                time.sleep(0.2)
                sink.stop()
    assert len(segments(tmp_path / "storage")) > 1
    sink.start()
    check(martlet, sink, load, CRASHES + 2)
    assert martlet.stop(60) == 0


def test_down_for_minutes(launch, sink, tmp_path):
    """A kill at every tenth of a long outage; memory holds a part of what the disk holds."""
    martlet = on_disk(launch, sink, tmp_path / "storage", queue={"queue_bytes": 1 << 20},
                      storage={"segment_size": 1 << 20, "max_size": 4 << 30}).start()
    sink.stop()
    # What a test process can still check: a bounded rate over the whole outage.
    with Load(martlet, threads=2, spans=SPANS, pause=OUTAGE / 2500) as load:
        for number in range(10):
            time.sleep(OUTAGE / 10)
            if number % 3 == 2:
                kill(martlet)
                martlet.start(60)
        held = martlet.metric("otelcol_exporter_queue_size")
        assert held * SPANS >= len(load.acknowledged) - 100
        assert martlet.metric("martlet_exporter_queue_bytes") <= 2 << 20
    sink.start()
    check(martlet, sink, load, 4, timeout=120)
    assert martlet.metric("otelcol_exporter_send_failed_spans_total") == 0
    assert martlet.stop(60) == 0


@pytest.mark.parametrize("kinds", ["w", "s", "ws"], ids=["writing", "synchronising", "both"])
def test_a_disk_that_fails_while_it_is_used(launch, sink, tmp_path, kinds):
    """EIO: nothing is acknowledged that is not durable; with a disk that works again everything goes on."""
    directory, flag = tmp_path / "storage", tmp_path / "fails"
    environment = {**os.environ, "LD_PRELOAD": str(shared_library("eio", tmp_path)), "EIO_DIRECTORY": str(directory),
                   "EIO_FLAG": str(flag)}
    martlet = on_disk(launch, sink, directory, env=environment).start()
    acknowledged, refused = [], []

    def send(count):
        for _ in range(count):
            request = traces(SPANS)
            answer = martlet.post(request)
            (acknowledged if answer.status == 200 else refused).append((request, answer))
    send(20)
    sink.stop()
    send(20)
    assert not refused
    flag.write_text(kinds)
    send(10)
    assert len(refused) == 10 and {answer.status for _, answer in refused} == {503}
    assert all("retry-after" in answer.headers for _, answer in refused)
    assert martlet.metric("martlet_storage_failed_records_total") >= 10 and martlet.health() == 200
    assert "the storage did not take data" in martlet.log and "Input/output error" in martlet.log
    flag.unlink()
    send(20)
    assert len(refused) == 10, "it takes data again without a restart"
    kill(martlet)
    martlet.start(60)
    sink.start()
    wanted = set(ids_of(*(request for request, _ in acknowledged)))
    wait_for(lambda: wanted <= set(sink.ids), "all that was acknowledged", 60, 0.1)
    assert martlet.stop(60) == 0


def test_a_disk_that_cannot_be_read_back_for_a_while(launch, sink, tmp_path):
    """EIO of reading loses nothing: it is asked again."""
    directory, flag = tmp_path / "storage", tmp_path / "fails"
    environment = {**os.environ, "LD_PRELOAD": str(shared_library("eio", tmp_path)), "EIO_DIRECTORY": str(directory),
                   "EIO_FLAG": str(flag)}
    martlet = on_disk(launch, sink, directory, env=environment, queue={"queue_bytes": 10_000}).start()
    sink.stop()
    sent = [traces(SPANS, padding=500) for _ in range(60)]
    assert {martlet.post(request).status for request in sent} == {200}
    flag.write_text("r")
    sink.start()
    wait_for(lambda: "Input/output error" in martlet.log, "a line about it", 30)
    assert len(set(sink.ids)) < 60 * SPANS and martlet.health() == 200
    flag.unlink()
    wait_for(lambda: set(ids_of(*sent)) <= set(sink.ids), "all of it", 60, 0.1)
    assert martlet.metric("otelcol_exporter_send_failed_spans_total") == 0
    assert martlet.stop(60) == 0


def test_stopped_while_the_destination_is_down(launch, sink, tmp_path):
    martlet = on_disk(launch, sink, tmp_path / "storage").start()
    sink.stop()
    sent = [traces(SPANS) for _ in range(20)]
    assert [martlet.post(request).status for request in sent] == [200] * 20
    begun = time.monotonic()
    assert martlet.stop(25) == 0
    assert time.monotonic() - begun < 20, "a stop does not wait for a destination when the data is safe"
    kept = [line for line in martlet.log_records() if "stays in the storage" in str(line)]
    assert kept and not [line for line in martlet.log_records() if "data lost" in str(line)]
    sink.start()
    martlet.start()
    assert set(sink.wait_for_spans(20 * SPANS)) == set(ids_of(*sent))


def test_order_is_kept_over_a_restart(launch, sink, tmp_path):
    martlet = on_disk(launch, sink, tmp_path / "storage", queue={"num_consumers": 1, "queue_bytes": 20_000}).start()
    sink.stop()
    sent = [traces(1, padding=1000) for _ in range(100)]
    assert [martlet.post(request).status for request in sent] == [200] * 100
    kill(martlet)
    sink.start()
    martlet.start()
    more = [traces(1) for _ in range(20)]
    assert [martlet.post(request).status for request in more] == [200] * 20
    assert sink.wait_for_spans(120, 30) == ids_of(*sent, *more)


@pytest.mark.parametrize("flips", [1, 3, 20])
def test_flipped_bits(launch, sink, tmp_path, flips):
    martlet = on_disk(launch, sink, tmp_path / "storage").start()
    sink.stop()
    sent = [traces(SPANS, padding=300) for _ in range(100)]
    assert [martlet.post(request).status for request in sent] == [200] * 100
    kill(martlet)
    flip_bits(segments(tmp_path / "storage"), flips, seed=flips)
    sink.start()
    martlet.start()
    martlet.wait_for_metric("otelcol_exporter_queue_size", 0, 30)
    wait_for(lambda: len(sink.ids) >= (100 - flips) * SPANS, "the undamaged requests", 30)
    missing = set(ids_of(*sent)) - set(sink.ids)
    assert len(missing) <= flips * SPANS
    # A bit may also hit padding or a footer, and damaged neighbours are one place.
    if missing:
        assert martlet.metric("martlet_storage_corrupt_records_total") > 0
        assert list((tmp_path / "storage").glob("*/*.corrupt"))
    assert martlet.post(traces(1)).status == 200


def test_a_torn_end_is_cut_off(launch, sink, tmp_path):
    martlet = on_disk(launch, sink, tmp_path / "storage").start()
    sink.stop()
    sent = [traces(SPANS) for _ in range(10)]
    assert [martlet.post(request).status for request in sent] == [200] * 10
    kill(martlet)
    last = segments(tmp_path / "storage")[-1]
    whole = last.read_bytes()
    # Half of a record that was never acknowledged.
    last.write_bytes(whole + whole[64:64 + 200])
    sink.start()
    martlet.start()
    assert set(sink.wait_for_spans(10 * SPANS)) == set(ids_of(*sent))


# ---- disks


def fill(martlet, limit=5000):
    """Sends until the disk does not take more; the requests that were taken."""
    taken = []
    for _ in range(limit):
        request = traces(SPANS, padding=2000)
        answer = martlet.post(request)
        if answer.status != 200:
            assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1, answer
            return taken
        taken.append(request)
    raise AssertionError("the disk never got full")


def check_full_disk(martlet, sink, directory):
    sink.stop()
    taken = fill(martlet)
    assert taken and martlet.health() == 200
    assert martlet.metric("martlet_storage_failed_records_total", error_type="no_space") >= 1
    assert martlet.metric("otelcol_exporter_enqueue_failed_spans_total") >= SPANS
    assert "the storage did not take data" in martlet.log
    kill(martlet)
    martlet.start()
    sink.start()
    sink.wait_for_spans(len(taken) * SPANS, 60)
    assert set(ids_of(*taken)) <= set(sink.ids)
    # There is room again, and nothing was refused for ever.
    wait_for(lambda: martlet.post(traces(1)).status == 200, "room after the delivery", 20)


def test_a_full_disk_that_needs_no_privilege(launch, sink, tmp_path):
    """The limit of file sizes stands for the disk's end."""
    martlet = on_disk(launch, sink, tmp_path / "storage", storage={"segment_size": 8 << 20}).start()
    size = 300_000
    resource.prlimit(martlet.process.pid, resource.RLIMIT_FSIZE, (size, size))
    check_full_disk(martlet, sink, tmp_path / "storage")


@pytest.fixture
def tmpfs(tmp_path):
    """A file system of 1 MiB; a directory with a quota is what users without privileges have instead."""
    directory = tmp_path / "small"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(directory)], capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("mounting needs root; test_a_full_disk_that_needs_no_privilege covers the rest")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)


def test_a_full_tmpfs(launch, sink, tmpfs):
    check_full_disk(on_disk(launch, sink, tmpfs).start(), sink, tmpfs)


def test_killed_on_a_full_tmpfs(launch, sink, tmpfs):
    martlet = on_disk(launch, sink, tmpfs).start()
    sink.stop()
    with Load(martlet, spans=SPANS, padding=1000) as load:
        for _ in range(max(3, CRASHES // 3)):
            time.sleep(0.3)
            kill(martlet)
            martlet.start(60)
        wait_for(lambda: 503 in load.refusals, "a refusal", 30)
    sink.start()
    check(martlet, sink, load, CRASHES)


def test_a_read_only_disk(launch, sink, tmpfs):
    martlet = on_disk(launch, sink, tmpfs).start()
    assert martlet.post(traces(1)).status == 200
    sink.wait_for_spans(1)
    # A file system with a file open for writing cannot be remounted read-only.
    kill(martlet)
    subprocess.run(["mount", "-o", "remount,ro", str(tmpfs)], check=True)
    martlet.launch()
    assert martlet.wait(20) == 1
    assert "Read-only file system" in martlet.log and "choose another directory" in martlet.log
    subprocess.run(["mount", "-o", "remount,rw", str(tmpfs)], check=True)
    martlet.start()
    assert martlet.post(traces(1)).status == 200


def test_the_log_is_bounded(launch, sink, tmp_path):
    storage = {"max_size": 1 << 20}
    martlet = on_disk(launch, sink, tmp_path / "storage", storage=storage).start()
    sink.stop()
    taken = fill(martlet)
    assert sum(path.stat().st_size for path in segments(tmp_path / "storage")) <= 1 << 20
    assert martlet.metric("martlet_storage_failed_records_total", error_type="full") >= 1
    sink.start()
    sink.wait_for_spans(len(taken) * SPANS, 60)
    assert set(ids_of(*taken)) <= set(sink.ids)


def test_the_oldest_make_room(launch, sink, tmp_path):
    storage = {"max_size": 1 << 20}
    queue = {"on_overflow": "drop_oldest", "queue_bytes": 20_000}
    martlet = on_disk(launch, sink, tmp_path / "storage", storage=storage, queue=queue).start()
    sink.stop()
    sent = [traces(SPANS, padding=2000) for _ in range(300)]
    assert [martlet.post(request).status for request in sent] == [200] * 300
    assert sum(path.stat().st_size for path in segments(tmp_path / "storage")) <= 1 << 20
    dropped = martlet.metric("otelcol_exporter_send_failed_spans_total", error_type="overflow")
    assert dropped > 0 and martlet.metric("martlet_storage_dropped_records_total") * SPANS >= dropped
    sink.start()
    ids = sink.wait_for_spans(300 * SPANS - int(dropped), 60)
    assert ids[-1] in ids_of(*sent[-15:]) and set(ids_of(sent[-1])) <= set(ids)
    assert len(set(ids)) == 300 * SPANS - dropped


def test_blocked_senders_get_room(launch, sink, tmp_path):
    storage = {"max_size": 1 << 18}
    martlet = on_disk(
        launch, sink, tmp_path / "storage", storage=storage, queue={"on_overflow": "block", "overflow_timeout": "60s"}
    ).start()
    sink.stop()
    with Load(martlet, threads=4, spans=SPANS, padding=2000) as load:
        time.sleep(2)
        before = len(load.acknowledged)
        sink.start()
        wait_for(lambda: len(load.acknowledged) > before + 20 * SPANS, "blocked requests to go on", 60)
    assert not load.refusals
    check(martlet, sink, load, 0)


# ---- directories


def test_a_second_process_is_refused(launch, sink, tmp_path):
    directory = tmp_path / "storage"
    martlet = on_disk(launch, sink, directory).start()
    second = on_disk(launch, sink, directory, storage={"timeout": "200ms"})
    second.launch()
    assert second.wait(20) == 1
    assert "another process has this directory" in second.log
    assert martlet.post(traces(1)).status == 200
    kill(martlet)
    second.start()
    assert wire.post(second.port, traces(1)).status == 200


def test_a_directory_that_is_not_there(launch, sink, tmp_path):
    martlet = on_disk(launch, sink, tmp_path / "none", storage={"create_directory": False})
    martlet.launch()
    assert martlet.wait(20) == 1
    assert str(tmp_path / "none") in martlet.log and "create_directory" in martlet.log


def test_a_directory_without_permission(launch, sink, tmp_path):
    """Root may do anything, so a file stands in the way there."""
    directory = tmp_path / "storage"
    if os.geteuid() == 0:
        directory.write_text("no directory")
        expected = "create the directory"
    else:
        directory.mkdir(mode=0o500)
        expected = "make it writable"
    martlet = on_disk(launch, sink, directory, storage={"create_directory": False})
    martlet.launch()
    assert martlet.wait(20) == 1
    assert expected in martlet.log


def test_data_that_no_exporter_takes_is_named(launch, sink, tmp_path):
    directory = tmp_path / "storage"
    martlet = on_disk(launch, sink, directory).start()
    sink.stop()
    assert martlet.post(traces(1)).status == 200
    martlet.stop(30)
    shutil.move(directory / "exporter_otlp_http__traces", directory / "exporter_otlp_http_old_traces")
    sink.start()
    martlet.start()
    assert "exporter_otlp_http_old_traces" in martlet.log
