"""Storage files without an end or an index: read from the beginning up to the first damage.

A recorder that was killed leaves an MCAP file without its summary, a SQLite file without its last pages. `rosbags`
refuses both; the fast-write profile of rosbag2 leaves the summary out of whole files as well.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import quote

from mcap.records import Channel, Footer, Message, Schema
from mcap.stream_reader import StreamReader

# A damaged length must not lead to an allocation of all memory.
LARGEST_RECORD = 2**30
Stored = tuple[str, int, bytes]
CDR = "cdr"


class SalvagedMcap:
    """An MCAP file read as a stream. ``topics`` gives type and count by name, ``encodings`` how the messages are
    written, ``fault`` why and where reading ended."""

    def __init__(self, path: Path) -> None:
        self.path, self.fault = path, ""
        self.topics: dict[str, tuple[str, int]] = {}
        self.encodings: dict[str, str] = {}
        kinds, counts = dict[str, str](), Counter[str]()
        for channel, kind, _ in self._messages():
            kinds[channel.topic], self.encodings[channel.topic] = kind, channel.message_encoding
            counts[channel.topic] += 1
        self.topics = {topic: (kinds[topic], count) for topic, count in counts.items()}

    def messages(self, topics: Collection[str]) -> Iterator[Stored]:
        for channel, _, message in self._messages():
            if channel.topic in topics:
                yield channel.topic, message.log_time, message.data

    def close(self) -> None:
        pass

    def _messages(self) -> Iterator[tuple[Channel, str, Message]]:
        schemas, channels = dict[int, str](), dict[int, Channel]()
        with open(self.path, "rb") as file:
            good = 0
            try:
                for record in StreamReader(file, record_size_limit=LARGEST_RECORD).records:
                    good = file.tell()
                    if isinstance(record, Schema):
                        schemas[record.id] = record.name
                    elif isinstance(record, Channel):
                        channels[record.id] = record
                    elif isinstance(record, Message):
                        channel = channels[record.channel_id]
                        yield channel, schemas.get(channel.schema_id, ""), record
                    elif isinstance(record, Footer):
                        return
            # A damaged file can fail anywhere inside the parsers, with any exception.
            except Exception as error:  # noqa: BLE001
                size = self.path.stat().st_size
                detail = str(error) or type(error).__name__
                self.fault = f"whole up to byte {good:,} of {size:,} ({good / max(size, 1):.0%}), then {detail}"


class SalvagedSqlite:
    """A SQLite storage read in the order of its rows; the attributes are those of :class:`SalvagedMcap`."""

    def __init__(self, path: Path) -> None:
        self.path, self.fault = path, ""
        self._connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?immutable=1", uri=True)
        # Without it SQLite refuses every file that is shorter than its header says.
        self._connection.execute("PRAGMA writable_schema=ON")
        rows = self._connection.execute("SELECT id, name, type, serialization_format FROM topics").fetchall()
        self._names = {int(number): (str(name), str(kind)) for number, name, kind, _ in rows}
        self.encodings = {str(name): str(encoding) for _, name, _, encoding in rows}
        counts = Counter(topic for topic, _, _ in self._rows())
        self.topics = {name: (kind, counts[name]) for name, kind in self._names.values() if counts[name]}

    def messages(self, topics: Collection[str]) -> Iterator[Stored]:
        return (row for row in self._rows() if row[0] in topics)

    def close(self) -> None:
        self._connection.close()

    def _rows(self) -> Iterator[Stored]:
        read = 0
        try:
            query = "SELECT topic_id, timestamp, data FROM messages ORDER BY id"
            for number, time_ns, data in self._connection.execute(query):
                read += 1
                if number in self._names:
                    yield self._names[number][0], int(time_ns), bytes(data)
        except (sqlite3.DatabaseError, TypeError, ValueError) as error:
            self.fault = f"{read:,} messages could be read, then {error}"
