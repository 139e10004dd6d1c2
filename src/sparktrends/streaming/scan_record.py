"""The compiled reader of plain records: what it takes it reads exactly as `bars` would; it takes only the plain.

Plain is a flat JSON object of printable ASCII without a backslash, times of up to 18 digits, price and size of up to 9
integer and 9 fractional digits without a sign or exponent, no condition. Any other
bytes, good or bad, are *odd*: the answer is False and `bars.judge` decides. Every index is compared with ``end``
before it is used, so any bytes at all are safe. A position below 0 means odd.
"""

from __future__ import annotations

from typing import Any

from sparktrends.streaming.scan_jit import compiled

Bytes = Any  # a one-dimensional array of uint8: Numba's own types are beyond mypy
Row = Any  # a one-dimensional array of int64

ODD = -1
# Nine characters of seven bits: the most that fit into a positive 64-bit integer.
MASK63 = (1 << 63) - 1
MAX_ID = 128
MAX_NAME = 64

# Fields of the row that `scan_record` fills. One that was not there is 0; SEEN has a bit where that is not enough.
SEEN, TS, RECEIVED, PRICE, SIZE, FILL, KIND, STATUS, SOURCE, SOURCE_END, SYMBOL, SYMBOL_END = range(12)
WIDTH = 12

BIT_SOURCE, BIT_SYMBOL, BIT_TS, BIT_PRICE, BIT_SIZE, BIT_RECEIVED = 1, 2, 4, 8, 16, 32
BIT_STATUS = 64


def packed(word: str) -> int:
    """The last nine characters as one integer, seven bits each: how the scanner compares words."""
    code = 0
    for byte in word.encode("ascii"):
        code = (code << 7 | byte) & MASK63
    return code


W_SOURCE, W_SYMBOL, W_TS, W_PRICE, W_SIZE = (packed(w) for w in ("source", "symbol", "ts", "price", "size"))
W_RECEIVED, W_ID, W_KIND, W_FILL, W_STATUS = (packed(w) for w in ("received", "id", "kind", "fill", "status"))
W_CONDITIONS = packed("conditions")
W_TRADE, W_HEARTBEAT = packed("trade"), packed("heartbeat")
W_OK, W_STALE, W_THROTTLED, W_START = (packed(w) for w in ("ok", "stale", "throttled", "start"))
W_TRUE, W_FALSE, W_NULL = packed("true"), packed("false"), packed("null")
LONGEST_WORD = 9

QUOTE, BACKSLASH, COMMA, COLON, DOT, MINUS, ZERO, NINE, SPACE, TILDE = 34, 92, 44, 58, 46, 45, 48, 57, 32, 126
OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY = 123, 125, 91, 93


@compiled
def scan_record(buf: Bytes, start: int, end: int, row: Row) -> bool:
    """Read the record in buf[start:end] into ``row``; False when it is odd."""
    row[SEEN] = row[RECEIVED] = row[SIZE] = row[FILL] = row[STATUS] = 0
    row[KIND] = W_TRADE
    i = skip_blanks(buf, start, end)
    if i >= end or buf[i] != OPEN_OBJECT:
        return False
    while True:
        i = scan_member(buf, skip_blanks(buf, i + 1, end), end, row)
        if i < 0:
            return False
        i = skip_blanks(buf, i, end)
        if i >= end:
            return False
        # An empty object never comes here: it has no member, so it is odd, and `bars` finds what it lacks.
        if buf[i] == CLOSE_OBJECT:
            return skip_blanks(buf, i + 1, end) == end
        if buf[i] != COMMA:
            return False


@compiled
def skip_blanks(buf: Bytes, i: int, end: int) -> int:
    """The first position from ``i`` on that holds no space."""
    while i < end and buf[i] == SPACE:
        i += 1
    return i


@compiled
def scan_member(buf: Bytes, i: int, end: int, row: Row) -> int:
    """Read ``"name" : value`` at ``i``; the position behind it, or ODD."""
    if i >= end or buf[i] != QUOTE:
        return ODD
    stop, name = scan_word(buf, i + 1, end)
    if stop < 0:
        return ODD
    length = stop - i - 1
    i = skip_blanks(buf, stop + 1, end)
    if i >= end or buf[i] != COLON:
        return ODD
    i = skip_blanks(buf, i + 1, end)
    if i >= end:
        return ODD
    # Ten letters of which nine are kept: another name that ends so is taken for it, and then at worst is odd, which is
    # safe.
    if length > LONGEST_WORD and name != W_CONDITIONS:
        return scan_ignored(buf, i, end)
    return scan_known(buf, i, end, name, row)


@compiled
def scan_known(buf: Bytes, i: int, end: int, name: int, row: Row) -> int:
    """Read the value of the field ``name`` at ``i`` < end into ``row``; the position behind it, or ODD."""
    if name == W_TS:
        row[TS], i = scan_integer(buf, i, end)
        return seen(row, BIT_TS, i)
    if name == W_PRICE:
        row[PRICE], i = scan_amount(buf, i, end)
        return seen(row, BIT_PRICE, i)
    if name == W_SIZE:
        row[SIZE], i = scan_amount(buf, i, end)
        return seen(row, BIT_SIZE, i)
    if name == W_SYMBOL:
        row[SYMBOL], row[SYMBOL_END] = scan_name(buf, i, end)
        return seen(row, BIT_SYMBOL, row[SYMBOL_END] + 1 if row[SYMBOL] > 0 else ODD)
    if name == W_SOURCE:
        row[SOURCE], row[SOURCE_END] = scan_name(buf, i, end)
        return seen(row, BIT_SOURCE, row[SOURCE_END] + 1 if row[SOURCE] > 0 else ODD)
    if name == W_RECEIVED:
        row[RECEIVED], i = scan_integer(buf, i, end)
        return seen(row, BIT_RECEIVED, i)
    return scan_rare(buf, i, end, name, row)


@compiled
def scan_rare(buf: Bytes, i: int, end: int, name: int, row: Row) -> int:
    """As `scan_known`, for the other names; a name that nobody knows is read over."""
    if name == W_ID:
        return scan_id(buf, i, end)
    if name == W_KIND:
        row[KIND], i = scan_quoted(buf, i, end)
        return i
    if name == W_STATUS:
        row[STATUS], i = scan_quoted(buf, i, end)
        return seen(row, BIT_STATUS, i)
    if name == W_FILL:
        i, word = scan_literal(buf, i, end)
        row[FILL] = word == W_TRUE
        # Null means absent to `bars`, and a doubled name may have had a value before: not for us to decide.
        return i if word != W_NULL else ODD
    if name == W_CONDITIONS:
        return scan_empty_array(buf, i, end)
    return scan_ignored(buf, i, end)


@compiled
def seen(row: Row, bit: int, i: int) -> int:
    """Note that the field of this bit is there; ``i``. Of a doubled name the last value counts, as in `bars`."""
    row[SEEN] |= bit
    return i


@compiled
def scan_word(buf: Bytes, i: int, end: int) -> tuple[int, int]:
    """The position of the quote that ends the string from ``i`` on (or ODD), and its packed last nine characters."""
    code = 0
    while i < end:
        c = int(buf[i])
        if c == QUOTE:
            return i, code
        # An escape would need decoding, and UTF-8 a look at what is printable: both are for `bars`.
        if c < SPACE or c > TILDE or c == BACKSLASH:
            return ODD, 0
        code = (code << 7 | c) & MASK63
        i += 1
    return ODD, 0


@compiled
def scan_string(buf: Bytes, i: int, end: int) -> int:
    """The position of the quote that ends the string from ``i`` on, or ODD."""
    while i < end:
        c = buf[i]
        if c == QUOTE:
            return i
        if c < SPACE or c > TILDE or c == BACKSLASH:
            return ODD
        i += 1
    return ODD


@compiled
def scan_quoted(buf: Bytes, i: int, end: int) -> tuple[int, int]:
    """A quoted word of at most nine characters at ``i`` < end: packed, and the position behind it (or ODD)."""
    if buf[i] != QUOTE:
        return 0, ODD
    stop, code = scan_word(buf, i + 1, end)
    if stop < 0 or stop - i - 1 > LONGEST_WORD:
        return 0, ODD
    return code, stop + 1


@compiled
def scan_name(buf: Bytes, i: int, end: int) -> tuple[int, int]:
    """A source or symbol at ``i`` < end: its first and the position behind its last character; (0, 0) when odd."""
    if buf[i] != QUOTE:
        return 0, 0
    # First and last character must not be blank, as `model.check_name` has it.
    stop = scan_string(buf, i + 1, end)
    if stop < 0 or stop == i + 1 or stop - i - 1 > MAX_NAME or buf[i + 1] == SPACE or buf[stop - 1] == SPACE:
        return 0, 0
    return i + 1, stop


@compiled
def scan_id(buf: Bytes, i: int, end: int) -> int:
    """An id at ``i`` < end: a string; the position behind it, or ODD."""
    # Its bytes are not kept: a bar does not need the id, only whether the record is one.
    stop = scan_string(buf, i + 1, end) if buf[i] == QUOTE else ODD
    return ODD if stop < 0 or stop - i - 1 > MAX_ID else stop + 1


@compiled
def scan_empty_array(buf: Bytes, i: int, end: int) -> int:
    """``[]`` at ``i`` < end; the position behind it, or ODD."""
    if buf[i] != OPEN_ARRAY:
        return ODD
    i = skip_blanks(buf, i + 1, end)
    return i + 1 if i < end and buf[i] == CLOSE_ARRAY else ODD


@compiled
def scan_literal(buf: Bytes, i: int, end: int) -> tuple[int, int]:
    """true, false or null at ``i``: the position behind it (or ODD), and the packed word."""
    code = 0
    for k in range(i, min(i + 5, end)):
        code = code << 7 | int(buf[k])
        if code in (W_TRUE, W_NULL, W_FALSE):
            return k + 1, code
    return ODD, 0


@compiled
def scan_digits(buf: Bytes, i: int, end: int, most: int) -> tuple[int, int]:
    """The number that the digits from ``i`` on make, and the position behind them; ODD for none or over ``most``."""
    value = 0
    first = i
    while i < end and ZERO <= buf[i] <= NINE:
        if i - first == most:
            return 0, ODD
        # At most 18 digits: below 2**60, so no product or sum of this file wraps.
        value = value * 10 + (int(buf[i]) - ZERO)
        i += 1
    return value, ODD if i == first else i


@compiled
def scan_integer(buf: Bytes, i: int, end: int) -> tuple[int, int]:
    """An integer of up to 18 digits at ``i`` < end, no sign; it and the position behind it (or ODD)."""
    value, stop = scan_digits(buf, i, end, 18)
    # A leading zero is no JSON.
    if stop < 0 or (buf[i] == ZERO and stop > i + 1):
        return 0, ODD
    return value, stop


@compiled
def scan_amount(buf: Bytes, i: int, end: int) -> tuple[int, int]:
    """A price or size at ``i`` < end, bare or quoted, in units of 10**-9; it and the position behind it (or ODD)."""
    quoted = buf[i] == QUOTE
    i += int(quoted)
    value, stop = scan_digits(buf, i, end, 9)
    if stop < 0 or (buf[i] == ZERO and stop > i + 1):
        return 0, ODD
    value *= 1_000_000_000
    if stop < end and buf[stop] == DOT:
        fraction, stop = scan_fraction(buf, stop + 1, end)
        if stop < 0:
            return 0, ODD
        value += fraction
    if quoted:
        stop = stop + 1 if stop < end and buf[stop] == QUOTE else ODD
    return value, stop


@compiled
def scan_fraction(buf: Bytes, i: int, end: int) -> tuple[int, int]:
    """The digits behind a dot in units of 10**-9, and the position behind them; ODD for none, or more than fit."""
    value = 0
    digits = 0
    while i < end and ZERO <= buf[i] <= NINE:
        if digits < 9:
            value = value * 10 + (int(buf[i]) - ZERO)
        elif buf[i] != ZERO or digits == 18:  # zeros add nothing, and many files write prices with twelve of them
            return 0, ODD
        digits += 1
        i += 1
    # Nothing is left to do for more than nine digits: those beyond were zeros.
    for _ in range(9 - digits):
        value *= 10
    return value, ODD if digits == 0 else i


@compiled
def scan_ignored(buf: Bytes, i: int, end: int) -> int:
    """Any string, number or literal at ``i`` < end; the position behind it, or ODD (arrays and objects are odd)."""
    c = buf[i]
    if c == QUOTE:
        stop = scan_string(buf, i + 1, end)
        return stop + 1 if stop > 0 else ODD
    if c == MINUS or ZERO <= c <= NINE:
        return scan_number(buf, i, end)
    stop, _ = scan_literal(buf, i, end)
    return stop


@compiled
def scan_number(buf: Bytes, i: int, end: int) -> int:
    """A number of any plain size at ``i`` < end; the position behind it, or ODD (also for exponents)."""
    i += int(buf[i] == MINUS)
    _, stop = scan_digits(buf, i, end, 18)
    if stop < 0 or (buf[i] == ZERO and stop > i + 1):
        return ODD
    if stop < end and buf[stop] == DOT:
        _, stop = scan_digits(buf, stop + 1, end, 18)
    return stop
