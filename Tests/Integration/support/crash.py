"""Load that knows what was acknowledged, and ends that nobody expects."""
import random
import signal
import threading
import time

from . import wire
from .otlp import ids_of, traces


class Load:
    """Threads that send requests of unique spans, as fast as they are answered, also while nobody answers; with `pause`
    seconds between two of a thread."""

    def __init__(self, martlet, *, threads=4, spans=5, padding=200, pause=0, make=None):
        """`make` returns a request and the ids of it that must arrive; all of them unless it is given."""
        self.martlet = martlet
        self.make = make or self._make
        self.spans = spans
        self.padding = padding
        self.pause = pause
        self.lock = threading.Lock()
        # Ids of spans whose request was answered with 200, and which must arrive; statuses of the others, 0 for a broken
        # connection.
        self.acknowledged = []
        self.refusals = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stopped.set()
        for thread in self._threads:
            thread.join(30)

    def _make(self):
        request = traces(self.spans, padding=self.padding)
        return request, ids_of(request)

    def _run(self):
        while not self._stopped.is_set():
            request, wanted = self.make()
            try:
                answer = wire.post(self.martlet.port, request, timeout=20)
                status = answer.status if answer else 0
            except (OSError, AssertionError):
                status = 0
            with self.lock:
                if status == 200:
                    self.acknowledged += wanted
                else:
                    self.refusals.append(status)
            if status != 200:
                time.sleep(0.005)
            if self.pause:
                time.sleep(self.pause)


def kill(martlet):
    martlet.process.kill()
    martlet.process.wait()


def kill_while_it_stops(martlet, wait):
    martlet.signal(signal.SIGTERM)
    time.sleep(wait)
    kill(martlet)


def flip_bits(paths, count, seed):
    """Flips one bit in each of `count` random bytes of the files, behind their headers."""
    numbers = random.Random(seed)
    for _ in range(count):
        path = numbers.choice([path for path in paths if path.stat().st_size > 200])
        data = bytearray(path.read_bytes())
        data[numbers.randrange(64, len(data))] ^= 1 << numbers.randrange(8)
        path.write_bytes(data)
