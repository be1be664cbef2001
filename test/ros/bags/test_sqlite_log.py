"""SQLite recordings as a killed recorder leaves them: half of the messages lie in a log beside the file.

The logs are SQLite's own, copied while a connection still writes, which is what a recorder's end leaves on the disk.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from made_bags import check_drive, drive, imported, write_bag

from transposenet_core.errors import UserError
from transposenet_ros.bag_import.recording import Recording
from transposenet_ros.bags import sqlite_log
from transposenet_ros.bags.reading import BagReader
from transposenet_ros.bags.sqlite_log import logs_of

IMAGES = "/camera/image"


def killed(folder: Path, mode: str = "WAL", metadata: bool = False) -> Path:
    """The drive in a folder whose recorder was killed: the second half of its rows lie in a log.

    With mode DELETE the second half is a transaction without an end, which has begun to overwrite the file.
    """
    whole = write_bag(folder.parent / "whole", drive(), "sqlite3")
    with sqlite3.connect(whole / "whole.db3") as connection:
        rows = connection.execute("SELECT topic_id, timestamp, data FROM messages WHERE id > 68").fetchall()
        connection.execute("DELETE FROM messages WHERE id > 68")
    connection.execute("VACUUM")
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("PRAGMA cache_size=1")  # so that an open transaction reaches the file
    connection.executemany("INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)", rows)
    if mode == "WAL":
        connection.commit()
    folder.mkdir()
    for file in whole.iterdir():
        if metadata or file.name != "metadata.yaml":
            shutil.copyfile(file, folder / file.name)
    connection.close()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("metadata", [False, True])
def test_e04_messages_in_a_write_ahead_log_are_read(tmp_path, capsys, monkeypatch, metadata):
    bag, temporary = killed(tmp_path / "bag", metadata=metadata), tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    (bag / "whole.db3-shm").unlink()  # of the dead process; SQLite makes it anew
    for file in bag.iterdir():
        file.chmod(0o444)
    bag.chmod(0o555)
    before = contents(bag)
    check_drive(imported(bag, tmp_path / "data", "--pose", "/odom"))
    output = capsys.readouterr().out
    assert "whole.db3: read together with whole.db3-wal: its recorder did not close it" in output
    for path in (bag, bag / "whole.db3"):
        with BagReader(path) as reader:
            assert reader.count(IMAGES) == len(list(reader.messages(IMAGES))) == 19
    assert contents(bag) == before and not list(temporary.iterdir()), "neither changed nor left behind"


def test_e04_a_link_leads_to_the_log_as_well(tmp_path):
    bag = killed(tmp_path / "bag")
    (tmp_path / "link.db3").symlink_to(bag / "whole.db3")
    with BagReader(tmp_path / "link.db3") as reader:
        assert reader.count(IMAGES) == 19


def test_e04_a_transaction_without_an_end_is_taken_back(tmp_path):
    """The file alone has pages of both times; the journal has what was there before."""
    bag = killed(tmp_path / "bag", mode="DELETE")
    assert [log.name for log in logs_of(bag / "whole.db3")] == ["whole.db3-journal"]
    with BagReader(bag) as reader, Recording(bag) as recording:
        count = sum(reader.count(topic) for topic in reader.topics)
        assert count == len([*recording.messages(list(recording.topics))]) == 68


def test_e04_a_log_that_is_cut_off_is_read_up_to_its_last_whole_transaction(tmp_path):
    bag = killed(tmp_path / "bag")
    log = bag / "whole.db3-wal"
    log.write_bytes(log.read_bytes()[:-100])
    with Recording(bag) as recording:
        assert len([*recording.messages(list(recording.topics))]) == 68, "the one transaction behind them has no end"


def test_e04_without_room_for_the_copy_nothing_is_read_by_halves(tmp_path, monkeypatch):
    bag = killed(tmp_path / "bag")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sqlite_log.shutil, "copyfile", full)
    for open_bag in (BagReader, Recording):
        with pytest.raises(UserError, match=r"together with whole.db3-wal, in a copy of .* MB, .* TMPDIR"):
            open_bag(bag)
