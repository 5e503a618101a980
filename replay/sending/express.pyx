# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The short way of quick.py in C: what a plain request costs is its system calls and little more.

`Express` is `Quick` for wires with a bare socket: the same interface, where the docstrings are, and
the same results. Without this module a replay is the same, only slower.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cdef extern from "sys/socket.h" nogil:
    int MSG_DONTWAIT, MSG_NOSIGNAL
    ssize_t send(int fd, const void *data, size_t size, int flags)
    ssize_t recv(int fd, void *data, size_t size, int flags)

cdef extern from "sys/epoll.h" nogil:
    enum: EPOLLIN
    ctypedef union epoll_data_t:
        int fd
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_wait(int epoll, epoll_event *events, int most, int timeout)

cdef enum:
    RECEIVE = 65536
    MOST_EVENTS = 256
    LATE_NS = 1000000
    LATE_BY_LOOP = 1  # Lateness.LOOP


cdef inline int64_t now_ns() noexcept nogil:
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return <int64_t>time.tv_sec * 1000000000 + time.tv_nsec


cdef class Rows:
    """The columns of a batch that plain requests need, as they are in the shared memory."""

    cdef object batch
    cdef int64_t reached, count
    cdef const unsigned char[::1] memory
    cdef const int64_t[::1] due, lane, target, plain, close_after, following, at, size
    cdef int64_t[::1] sent_at, answered_at, answer, late_cause
    cdef uint64_t[::1] digest

    def __cinit__(self, batch):
        self.batch = batch
        self.reached, self.count = 0, batch.rows
        self.memory, self.at, self.size, self.sent_at = batch.outgoing
        self.following, self.answered_at, self.answer, self.digest = batch.quick
        self.due, self.lane, self.target = batch.due, batch.lane, batch.targets
        self.plain, self.close_after = batch.plain, batch.close_after
        self.late_cause = batch.late_cause


cdef class Lent:
    """See quick.Lent."""

    cdef int fd
    cdef int64_t row, sent, received, served
    cdef Rows rows  # of the request that is on its way; None where there is none
    cdef object key, waiting


cdef class Express:
    """See quick.Quick. A batch is made known with `add`, and is told how far it was reached."""

    cdef int epoll, targets
    cdef object known, learn, settled, unsent, heard, failed, freed
    cdef dict rows, by_lane, by_fd
    cdef char *buffer
    cdef epoll_event events[MOST_EVENTS]
    cdef int64_t answered

    def __cinit__(self, int epoll, int targets, answers, told):
        self.epoll, self.targets = epoll, targets
        self.known, self.learn = answers.known, answers.learn
        self.settled, self.unsent, self.heard, self.failed, self.freed = told
        self.rows, self.by_lane, self.by_fd = {}, {}, {}
        self.buffer = <char *>PyMem_Malloc(RECEIVE)
        if self.buffer is NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.buffer)

    def add(self, batch):
        self.rows[batch.number] = Rows(batch)

    def drop(self, batch):
        self.rows.pop(batch.number, None)

    def reach(self, batch):
        cdef Rows rows = self.rows[batch.number]
        rows.reached = batch.reached

    def lend(self, wire):
        cdef Lent lent = Lent()
        lent.fd, lent.waiting = wire.fd, wire.waiting
        lent.key = wire.lane * self.targets + wire.target
        self.by_fd[lent.fd] = self.by_lane[lent.key] = lent

    def take_back(self, fd):
        on_its_way = self.on_its_way(fd)
        cdef Lent wire = self.by_fd.pop(fd)
        del self.by_lane[wire.key]
        return on_its_way, wire.sent, wire.received, wire.served

    def on_its_way(self, fd):
        cdef Lent wire = self.by_fd[fd]
        return None if wire.rows is None else (wire.rows.batch, wire.row)

    def carry(self, fd, batch, int64_t row):
        cdef Lent wire = self.by_fd[fd]
        wire.rows, wire.row = self.rows[batch.number], row

    def send(self, fd, batch, int64_t row):
        cdef Lent wire = self.by_fd[fd]
        if wire.rows is not None:
            return False
        self._send(wire, self.rows[batch.number], row, now_ns())
        return True

    def send_due(self, batch, int64_t row, int64_t start, int most):
        cdef Rows rows = self.rows[batch.number]
        cdef Lent wire
        cdef int64_t now, due
        cdef int64_t end = min(rows.count, row + most)
        while row < end:
            if not rows.plain[row] or rows.close_after[row] >= 0:
                break
            due, now = start + rows.due[row], now_ns()
            if due > now:
                break
            wire = self.by_lane.get(rows.lane[row] * self.targets + rows.target[row])
            if wire is None or wire.rows is not None:
                break
            if now - due > LATE_NS and not rows.late_cause[row]:
                rows.late_cause[row] = LATE_BY_LOOP
            self._send(wire, rows, row, now)
            row += 1
        return row

    cdef int _send(self, Lent wire, Rows rows, int64_t row, int64_t now) except -1:
        cdef ssize_t size = rows.size[row], sent
        rows.sent_at[row] = now
        wire.rows, wire.row = rows, row
        sent = send(wire.fd, &rows.memory[rows.at[row]], size, MSG_DONTWAIT | MSG_NOSIGNAL)
        if sent < 0 and errno != EAGAIN:
            self.failed(wire.fd, errno)
            return 0
        sent = max(sent, 0)
        wire.sent += sent
        if sent < size:
            self.unsent(wire.fd, sent)
        return 0

    def taken(self):
        answered, self.answered = self.answered, 0
        return answered

    def poll(self, double timeout, int limit):
        cdef int wait = <int>(timeout * 1000 + 0.999), found, place
        cdef list others = [], ready = []
        cdef Lent wire
        cdef Rows rows = None
        cdef int64_t settled = 0
        limit = min(limit, MOST_EVENTS)
        if wait:
            with nogil:
                found = epoll_wait(self.epoll, self.events, limit, wait)
        else:
            found = epoll_wait(self.epoll, self.events, limit, 0)
        if found < 0 and errno != EINTR:
            PyErr_SetFromErrno(OSError)
        PyErr_CheckSignals()
        for place in range(found):
            wire = self.by_fd.get(self.events[place].data.fd)
            if wire is None or wire.rows is None or self.events[place].events != EPOLLIN:
                others.append((self.events[place].data.fd, self.events[place].events))
                continue
            if wire.rows is not rows:
                self._settle(rows, settled)
                rows, settled = wire.rows, 0
            settled += self._take(wire, ready)
        self._settle(rows, settled)
        for wire in ready:
            self._send(wire, wire.rows, wire.row, now_ns())
        return others

    cdef int _take(self, Lent wire, list ready) except -1:
        # 1 where that is the whole answer to the wire's request.
        cdef Rows rows = wire.rows
        cdef int64_t row = wire.row, now
        cdef ssize_t size = recv(wire.fd, self.buffer, RECEIVE, MSG_DONTWAIT)
        if size < 0:
            if errno != EAGAIN:
                self.failed(wire.fd, errno)
            return 0
        now = now_ns()
        data = PyBytes_FromStringAndSize(self.buffer, size)
        answer = self.known.get(data)
        if answer is None:
            answer = self.learn(data)
            if answer is None:
                self.heard(wire.fd, data, now)
                return 0
        rows.answered_at[row] = now
        rows.answer[row], rows.digest[row] = answer
        wire.received += size
        wire.served += 1
        row = rows.following[row]
        if -1 < row < rows.reached:
            wire.row = row
            ready.append(wire)
            return 1
        wire.rows = None
        if row >= 0:
            rows.batch.parked.add(row)
        if wire.waiting:
            self.freed(wire.fd)
        return 1

    cdef int _settle(self, Rows rows, int64_t count) except -1:
        if count:
            self.answered += count
            rows.batch.open_rows -= count
            if not rows.batch.open_rows:
                self.settled(rows.batch)
        return 0
