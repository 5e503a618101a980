# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""characters.py in C: what is a dozen calls there, of texts of some characters, is one pass here.

The same bytes come out; without this module a pseudonym is the same, only slower. Texts beyond
ASCII, which are few, are left to the other.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t

from .characters import characters as _in_python

cdef enum:
    LONG = 12  # marks.LONG, as are the characters of a run that carries a mark
    MARK = 4
    LOWER = 1
    UPPER = 2
    DIGIT = 4
    ALPHANUMERIC = 7
    DASHES = 8  # what may stand within a run: + _ -
    SMALL_HEX = 16
    LARGE_HEX = 32
    HEX = 48

cdef uint8_t[256] CLASS
cdef uint8_t[256] NEXT  # spelling._NEXT
cdef uint32_t[256] CRC


cdef void _tables() noexcept:
    cdef int byte, turn
    cdef uint32_t crc
    for byte in range(256):
        CLASS[byte] = 0
        NEXT[byte] = byte
        crc = byte
        for turn in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
        CRC[byte] = crc
    for byte in range(26):
        CLASS[97 + byte] = LOWER
        CLASS[65 + byte] = UPPER
        # The next letter, where it is one of hexadecimal digits one of those.
        NEXT[97 + byte] = 97 + _after(byte)
        NEXT[65 + byte] = 65 + _after(byte)
    for byte in range(6):
        CLASS[97 + byte] |= SMALL_HEX
        CLASS[65 + byte] |= LARGE_HEX
    for byte in range(10):
        CLASS[48 + byte] = DIGIT | SMALL_HEX | LARGE_HEX
        NEXT[48 + byte] = 48 + byte % 9 + 1
    for byte in b"+_-":
        CLASS[byte] = DASHES


cdef int _after(int letter) noexcept:
    if letter == 5:
        return 0
    return 6 if letter == 25 else letter + 1


cdef bint _is_hexadecimal(const uint8_t *text, Py_ssize_t size) noexcept:
    """At least eight hexadecimal digits of one case, among them a decimal one, then groups."""
    cdef Py_ssize_t at = 0, begin
    cdef uint8_t every = HEX, any = 0
    while at < size and CLASS[text[at]] & HEX:
        every &= CLASS[text[at]]
        any |= CLASS[text[at]]
        at += 1
    if at < 8 or not every:
        return False
    while at < size:
        if text[at] != 45:
            return False
        at += 1
        begin = at
        while at < size and CLASS[text[at]] & HEX:
            any |= CLASS[text[at]]
            at += 1
        if not 4 <= at - begin <= 12:
            return False
    return any & DIGIT


cdef void _move(const uint8_t *text, uint8_t *out, Py_ssize_t size) noexcept:
    """The last character of each word that is by chance what stood there becomes the next one."""
    cdef Py_ssize_t at = 0
    cdef bint same
    while at < size:
        if not CLASS[text[at]] & ALPHANUMERIC:
            at += 1
            continue
        same = True
        while at < size and CLASS[text[at]] & ALPHANUMERIC:
            same &= text[at] == out[at]
            at += 1
        if same:
            out[at - 1] = NEXT[out[at - 1]]


cdef void _mark(uint8_t *out, Py_ssize_t begin, Py_ssize_t end, int letters) noexcept:
    """Set the last letters and digits of a run, dashes in it left out, to its checksum."""
    cdef Py_ssize_t count = 0, at, place = begin
    cdef uint32_t crc = 0xFFFFFFFF
    for at in range(begin, end):
        if CLASS[out[at]] & ALPHANUMERIC:
            count += 1
    if count < LONG:
        return
    count -= MARK
    while count:
        if CLASS[out[place]] & ALPHANUMERIC:
            crc = CRC[(crc ^ out[place]) & 0xFF] ^ (crc >> 8)
            count -= 1
        place += 1
    crc = ~crc
    for at in range(place, end):
        if CLASS[out[at]] & DIGIT:
            out[at] = 48 + crc % 10
            crc //= 10
        elif CLASS[out[at]] & ALPHANUMERIC:
            out[at] = (97 if CLASS[out[at]] & LOWER else 65) + crc % letters
            crc //= letters


cdef void _mark_all(uint8_t *out, Py_ssize_t size, int letters) noexcept:
    """Mark each long run of letters and digits, or all of a part with dashes that has none."""
    cdef Py_ssize_t at = 0, end, run, stop
    cdef bint marked
    while at < size:
        end = at
        while end < size and CLASS[out[end]] & (ALPHANUMERIC | DASHES):
            end += 1
        if end - at >= LONG:
            marked = False
            run = at
            while run < end:
                stop = run
                while stop < end and CLASS[out[stop]] & ALPHANUMERIC:
                    stop += 1
                if stop - run >= LONG:
                    _mark(out, run, stop, letters)
                    marked = True
                run = stop + 1
            if not marked:
                _mark(out, at, end, letters)
        at = end + 1


def characters(bytes text not None, bytes draws not None):
    """The draws (as many as the text has bytes, or more) as a pseudonym of the text."""
    cdef Py_ssize_t size = len(text), at
    cdef const uint8_t *plain = <const uint8_t *>PyBytes_AS_STRING(text)
    cdef const uint8_t *drawn = <const uint8_t *>PyBytes_AS_STRING(draws)
    cdef uint8_t kind
    cdef int letters = 26
    if len(draws) < size or not text.isascii():
        return _in_python(text, draws)
    cdef bytes done = PyBytes_FromStringAndSize(NULL, size)
    cdef uint8_t *out = <uint8_t *>PyBytes_AS_STRING(done)
    if _is_hexadecimal(plain, size):
        letters = 6
    cdef bint words = size == 0
    for at in range(size):
        kind = CLASS[plain[at]]
        if kind & LOWER:
            out[at] = 97 + drawn[at] % letters
        elif kind & UPPER:
            out[at] = 65 + drawn[at] % letters
        elif kind & DIGIT:
            out[at] = 48 + drawn[at] % 10
        else:
            out[at] = plain[at]
            words = True
    if words:
        _move(plain, out, size)
    if size >= LONG:
        _mark_all(out, size, letters)
    return done


_tables()
