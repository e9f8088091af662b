/** Why a command of the client is refused. Becomes an error reply; the connection lives on. */

/** Errnos of Linux that replies carry. */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  E2BIG: 7,
  ENOMEM: 12,
  EACCES: 13,
  EEXIST: 17,
  EINVAL: 22,
  ENOSPC: 28,
  ENOTSUP: 95,
} as const

export class Refusal extends Error {
  readonly errno: number

  constructor(errno: number, why: string) {
    super(why)
    this.errno = errno
  }
}
