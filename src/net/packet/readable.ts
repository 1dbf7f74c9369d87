// Tells when a file descriptor becomes readable, on Node's own event loop: no thread, no timer, no busy loop.
import {isMainThread} from 'node:worker_threads'
import {Failure} from '../../errors.ts'
import {foreignCallback, uv} from '../libc.ts'

const UV_POLL = 8
const UV_READABLE = 1

/** A running watch. While it is referenced it keeps the process alive, as a socket would. */
export interface Watch {
  ref(): void
  unref(): void
  /** Stops watching; resolves when libuv has let go of the descriptor, which may then be closed. */
  stop(): Promise<void>
}

/**
 * Calls `onReadable` whenever `fd` has something to read (level-triggered). A negative `status` is a libuv error code.
 *
 * Node offers no poll handle to JavaScript, but its binary exports libuv's; koffi calls it in-process.
 * Works on the main thread only, since other threads' loops cannot be reached.
 */
export function watchReadable(fd: number, onReadable: (status: number) => void): Watch {
  if (!isMainThread) throw new Failure('runtime', 'raw sockets can be read on the main thread only, not in a worker')
  const {uv_default_loop, uv_handle_size, uv_poll_init, uv_poll_start, uv_poll_stop, uv_close, uv_ref, uv_unref} = uv()
  // libuv keeps a pointer to this memory; the registered callback below keeps the memory alive as long.
  const handle = Buffer.alloc(Math.max(256, Number(uv_handle_size(UV_POLL))))
  const onPoll = foreignCallback('poll', (_handle, status) => {
    if (handle.length === 0) return
    onReadable(status!)
    // Node does not know that JavaScript ran: promises that it settled would wait for the next timer, seconds maybe. The
    // immediates of this turn come right behind the poll phase, and run them.
    setImmediate(nothing)
  })
  const started = uv_poll_init(uv_default_loop(), handle, fd) || uv_poll_start(handle, UV_READABLE, onPoll.pointer)
  if (started !== 0) throw new Failure('runtime', `the event loop does not take descriptor ${fd} (libuv ${started})`)

  let stopping: Promise<void> | undefined
  return {
    ref: () => uv_ref(handle),
    unref: () => uv_unref(handle),
    stop() {
      stopping ??= new Promise((resolve) => {
        uv_poll_stop(handle)
        const onClosed = foreignCallback('close', () => {
          // Not here: koffi is still inside the callback that would be unregistered.
          setImmediate(() => {
            onPoll.release()
            onClosed.release()
            resolve()
          })
        })
        uv_close(handle, onClosed.pointer)
      })
      return stopping
    },
  }
}

const nothing = (): void => {}
