"""The wire format of Protocol Buffers, as far as logs need it: fields by number, nothing copied."""

from collections.abc import Iterator


class MalformedError(ValueError):
    """Bytes are no Protocol Buffers message. Readers turn it into a remark; users never see it."""


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Decode the unsigned variable-length integer at `at`.

    Returns:
        The integer, below 2**64, and the position behind it.

    Raises:
        MalformedError: The integer does not end before `end` or within ten bytes.

    Example:
        >>> varint(bytes([0xAC, 0x02]), 0, 2)
        (300, 2)
    """
    number = shift = 0
    for here in range(at, min(end, at + 10)):
        byte = data[here]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, here + 1
        shift += 7
    raise MalformedError(f"no integer ends between bytes {at} and {end}")


def signed(number: int) -> int:
    """Read an unsigned 64-bit number as the int64 it stands for.

    Example:
        >>> signed(2**64 - 3)
        -3
    """
    return number - (1 << 64) if number >> 63 else number


def fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Walk over the fields of the message in `data[start:end]`.

    Yields:
        Field number, wire type (0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes), and
        the half-open range of bytes that holds the value.

    Raises:
        MalformedError: A field is cut off, or has a wire type that does not exist.

    Example:
        >>> list(fields(bytes([0x08, 0x96, 0x01, 0x12, 0x02, 0x68, 0x69]), 0, 7))
        [(1, 0, 1, 3), (2, 2, 5, 7)]
    """
    at = start
    while at < end:
        key, at = varint(data, at, end)
        number, wire = key >> 3, key & 7
        at, stop = _extent(data, at, end, wire)
        if number == 0 or stop > end:
            raise MalformedError(f"field {number} at byte {at} does not fit its message")
        yield number, wire, at, stop
        at = stop


def _extent(data: bytes, at: int, end: int, wire: int) -> tuple[int, int]:
    if wire == 2:
        length, at = varint(data, at, end)
        return at, at + length
    if wire == 0:
        return at, varint(data, at, end)[1]
    if wire == 1:
        return at, at + 8
    if wire == 5:
        return at, at + 4
    raise MalformedError(f"unknown wire type {wire} at byte {at}")
