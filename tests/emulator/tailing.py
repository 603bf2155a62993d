"""A tail in a thread, as its readers have to hold it."""

import contextlib
import threading
from collections.abc import Iterator

from google.api_core import exceptions
from google.cloud.logging_v2 import types
from google.protobuf.duration_pb2 import Duration

from tests.fix_emulator import PROJECT
from tests.google_clients import until

EVERY = [f"projects/{PROJECT}"]


class Tail:
    """One session; what it has delivered stands in ``lines``."""

    def __init__(self, google, wanted, window=0):
        # api-core waits for a first message otherwise: on a quiet log, for ever.
        google.logs.transport.tail_log_entries._prefetch_first_result_ = False
        self.lines, self.suppressed, self.error = [], 0, None
        self._over = threading.Event()
        request = types.TailLogEntriesRequest(
            resource_names=EVERY, filter=wanted, buffer_window=Duration(seconds=window)
        )
        self._stream = google.logs.tail_log_entries(self._requests(request), timeout=60)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _requests(self, request):
        # Open for as long as the session: the end of the requests would end it.
        yield request
        self._over.wait(60)

    def _read(self):
        try:
            for response in self._stream:
                self.lines += [entry.text_payload for entry in response.entries]
                for info in response.suppression_info:
                    self.suppressed += info.suppressed_count
        except exceptions.GoogleAPICallError as error:
            self.error = error

    def stop(self):
        """End the session from the client's side."""
        self._stream.cancel()
        self._over.set()
        self._thread.join(10)


@contextlib.contextmanager
def tailed(google, job) -> Iterator[Tail]:
    """Hold a tail of a job's lines that the server has begun."""
    before = google.emulator.state()["tails_asked"]
    wanted = f'resource.labels.job_name="{job.name.rsplit("/", 1)[1]}" logName:stdout'
    session = Tail(google, wanted)
    until(lambda: google.emulator.state()["tails_asked"], lambda now: now > before)
    try:
        yield session
    finally:
        session.stop()
