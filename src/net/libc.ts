// The C library and libuv through koffi: every foreign function gwswitch calls, with its C signature.
import koffi from 'koffi'

/** Foreign functions, loaded on first use so that importing this file stays free. */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number
  bind(fd: number, address: Uint8Array, length: number): number
  close(fd: number): number
  /** The same in a thread of libuv's; `done` is called when it has returned. */
  closeLater(fd: number, done: () => void): void
  getsockname(fd: number, address: Uint8Array, length: Uint8Array): number
  send(fd: number, data: Uint8Array, length: number, flags: number): number
  sendto(
    fd: number,
    data: Uint8Array,
    length: number,
    flags: number,
    address: Uint8Array,
    addressLength: number,
  ): number
  sendmmsg(fd: number, messages: Uint8Array, count: number, flags: number): number
  recvmmsg(fd: number, messages: Uint8Array, count: number, flags: number, timeout: null): number
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number
  getsockopt(
    fd: number,
    level: number,
    name: number,
    value: Uint8Array | BigUint64Array,
    length: Uint8Array | Uint32Array,
  ): number
  clock_gettime(clock: number, timespec: Uint8Array): number
  ppoll(fds: Uint8Array, count: number, timeout: Uint8Array | null, mask: null): number
  if_nametoindex(name: string): number
  sched_setscheduler(pid: number, policy: number, param: Uint8Array): number
  setns(fd: number, kind: number): number
  flock(fd: number, operation: number): number
  /** The third argument is variadic, and named by its type. */
  fcntl(fd: number, command: number, type: 'void *', argument: Uint8Array): number
  ioctl(fd: number, request: number, type: 'void *', argument: Uint8Array): number
}

/** libuv's poll handle (docs.libuv.org, "uv_poll_t"), from the Node that runs us. */
export interface Uv {
  uv_default_loop(): unknown
  uv_handle_size(type: number): number
  uv_poll_init(loop: unknown, handle: Uint8Array, fd: number): number
  uv_poll_start(handle: Uint8Array, events: number, callback: unknown): number
  uv_poll_stop(handle: Uint8Array): number
  uv_close(handle: Uint8Array, callback: unknown): void
  uv_ref(handle: Uint8Array): void
  uv_unref(handle: Uint8Array): void
}

function lazy<T>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}

export const libc: () => Libc = lazy(() => {
  const lib = koffi.load('libc.so.6')
  const close = lib.func('int close(int fd)')
  return {
    socket: lib.func('int socket(int domain, int type, int protocol)'),
    bind: lib.func('int bind(int fd, const void *addr, uint32_t len)'),
    close,
    closeLater: close.async,
    getsockname: lib.func('int getsockname(int fd, void *addr, void *len)'),
    send: lib.func('intptr_t send(int fd, const void *buf, size_t len, int flags)'),
    sendto: lib.func(
      'intptr_t sendto(int fd, const void *buf, size_t len, int flags, const void *addr, uint32_t addrlen)',
    ),
    sendmmsg: lib.func('int sendmmsg(int fd, void *msgvec, unsigned int vlen, int flags)'),
    recvmmsg: lib.func('int recvmmsg(int fd, void *msgvec, unsigned int vlen, int flags, void *timeout)'),
    setsockopt: lib.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t len)'),
    getsockopt: lib.func('int getsockopt(int fd, int level, int name, void *value, void *len)'),
    clock_gettime: lib.func('int clock_gettime(int clock, void *tp)'),
    ppoll: lib.func('int ppoll(void *fds, unsigned long nfds, const void *timeout, const void *sigmask)'),
    if_nametoindex: lib.func('unsigned int if_nametoindex(const char *name)'),
    sched_setscheduler: lib.func('int sched_setscheduler(int pid, int policy, const void *param)'),
    setns: lib.func('int setns(int fd, int kind)'),
    flock: lib.func('int flock(int fd, int operation)'),
    fcntl: lib.func('int fcntl(int fd, int command, ...)'),
    ioctl: lib.func('int ioctl(int fd, unsigned long request, ...)'),
  }
})

export const uv: () => Uv = lazy(() => {
  const node = koffi.load(null)
  return {
    uv_default_loop: node.func('void *uv_default_loop()'),
    uv_handle_size: node.func('size_t uv_handle_size(int type)'),
    uv_poll_init: node.func('int uv_poll_init(void *loop, void *handle, int fd)'),
    uv_poll_start: node.func('uv_poll_start', 'int', ['void *', 'int', koffi.pointer(pollCallback())]),
    uv_poll_stop: node.func('int uv_poll_stop(void *handle)'),
    uv_close: node.func('uv_close', 'void', ['void *', koffi.pointer(closeCallback())]),
    uv_ref: node.func('void uv_ref(void *handle)'),
    uv_unref: node.func('void uv_unref(void *handle)'),
  }
})

const pollCallback = lazy(() => koffi.proto('void gwswitch_poll_cb(void *handle, int status, int events)'))
const closeCallback = lazy(() => koffi.proto('void gwswitch_close_cb(void *handle)'))

/** A JavaScript function that libuv may call, and how to give it back. */
export function foreignCallback(kind: 'poll' | 'close', fn: (...args: number[]) => void) {
  const pointer = koffi.register(fn, koffi.pointer(kind === 'poll' ? pollCallback() : closeCallback()))
  return {pointer, release: () => koffi.unregister(pointer)}
}

/** Where `memory` lies. It must be off V8's heap (any Buffer or typed array over 64 bytes is) and be kept alive. */
export const addressOf = (memory: Uint8Array): bigint => koffi.address(memory)

/** The name (`EPERM`) of the last foreign call's errno. */
export function errorName(): string {
  const number = koffi.errno()
  return Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`
}

/** CLOCK_REALTIME in nanoseconds, the clock of the kernel's receive timestamps. */
export function realtimeNs(): bigint {
  const timespec = new Uint8Array(16)
  libc().clock_gettime(0, timespec)
  const view = new DataView(timespec.buffer)
  return view.getBigInt64(0, true) * 1_000_000_000n + view.getBigInt64(8, true)
}
