"""LevelDB log blocks."""

import struct
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st

from poise.read.leveldb import Damage, payloads
from tests.read.binaries import wandb_file


def read(data: bytes) -> tuple[list[bytes], Damage]:
    """All payloads behind a header of seven bytes."""
    damage = Damage()
    return list(payloads(data, 7, damage)), damage


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([1, 5, 200, 32_740, 32_747, 32_754, 70_000]), max_size=6))
def test_round_trip(sizes: list[int]) -> None:
    """Payloads that end anywhere near a block's end come back whole."""
    wanted = [bytes([number]) * size for number, size in enumerate(sizes)]
    assert read(wandb_file(wanted)) == (wanted, Damage())


def test_a_lost_beginning_loses_its_payload_only() -> None:
    """Middle and last pieces without their first are counted once."""
    data = bytearray(wandb_file([b"a" * 70_000, b"b"]))
    data[100] ^= 1
    found, damage = read(bytes(data))
    assert found == [b"b"]
    assert (damage.pieces, damage.cut) == (1, False)


def test_a_beginning_without_an_end_is_damage() -> None:
    """A writer that died in a payload and went on with another."""
    first = struct.pack("<IHB", zlib.crc32(b"\x02abc"), 3, 2) + b"abc"
    whole = wandb_file([b"b"])
    found, damage = read(whole[:7] + first + whole[7:])
    assert found == [b"b"]
    assert (damage.pieces, damage.cut) == (1, False)
    found, damage = read(whole + first)
    assert (found, damage.cut) == ([b"b"], True)


def test_unwritten_blocks_are_no_damage() -> None:
    """Zeros up to the next block."""
    assert read(wandb_file([b"b"]) + bytes(70_000)) == ([b"b"], Damage())
