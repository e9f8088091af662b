/**
 * The system calls that a confined process is refused, by what they would allow. Numbers are those of x86-64
 * (arch/x86/entry/syscalls/syscall_64.tbl).
 */

/** `start`: from the first instruction of the process; `service`: once all is open and clients are served. */
export type Stage = 'start' | 'service'

export interface RefusedCall {
  readonly name: string
  readonly number: number
  readonly stage: Stage
  /** Refused only if this holds for the lower half of argument `argument`; always if there is none. */
  readonly when?: {
    readonly argument: number
    readonly is: 'with' | 'without' | 'equal' | 'other'
    readonly value: number
  }
  /** The error instead of EPERM: the C library then takes another way. */
  readonly error?: number
}

export const EPERM = 1
export const ENOSYS = 38
/** The last number known here; what came after it is ENOSYS, as on an older kernel. */
export const LAST_KNOWN = 470

const ALWAYS: Readonly<Record<Stage, Readonly<Record<string, number>>>> = {
  start: {
    // Other processes' memory and threads.
    ...{ ptrace: 101, process_vm_readv: 310, process_vm_writev: 311, kcmp: 312, process_madvise: 440 },
    ...{ process_mrelease: 448, pidfd_getfd: 438, move_pages: 279, migrate_pages: 256 },
    ...{ shmget: 29, shmat: 30, shmctl: 31, semget: 64, semop: 65, semctl: 66, semtimedop: 220 },
    ...{ msgget: 68, msgsnd: 69, msgrcv: 70, msgctl: 71, mq_open: 240, mq_unlink: 241 },
    // What attacks on the kernel start with.
    ...{ bpf: 321, perf_event_open: 298, userfaultfd: 323, add_key: 248, request_key: 249, keyctl: 250 },
    ...{ modify_ldt: 154, personality: 135, uselib: 134, lookup_dcookie: 212, fanotify_init: 300 },
    // io_uring does what it is asked without passing this filter. Node.js does without it.
    ...{ io_uring_setup: 425, io_uring_enter: 426, io_uring_register: 427 },
    // The view of the file system, and ways around it.
    ...{
      mount: 165,
      umount2: 166,
      pivot_root: 155,
      chroot: 161,
      open_tree: 428,
      move_mount: 429,
      fsopen: 430,
    },
    ...{ fsconfig: 431, fsmount: 432, fspick: 433, mount_setattr: 442, open_tree_attr: 467 },
    ...{ name_to_handle_at: 303, open_by_handle_at: 304, unshare: 272, setns: 308 },
    // The machine.
    ...{ kexec_load: 246, kexec_file_load: 320, init_module: 175, finit_module: 313, delete_module: 176 },
    ...{ reboot: 169, swapon: 167, swapoff: 168, acct: 163, quotactl: 179, quotactl_fd: 443, syslog: 103 },
    ...{ sethostname: 170, setdomainname: 171, settimeofday: 164, clock_settime: 227, clock_adjtime: 305 },
    ...{ adjtimex: 159, ioperm: 173, iopl: 172, vhangup: 153 },
  },
  service: {
    // Other programs.
    ...{ execve: 59, execveat: 322, fork: 57, vfork: 58 },
    // Other rights.
    ...{ setuid: 105, setgid: 106, setreuid: 113, setregid: 114, setresuid: 117, setresgid: 119 },
    ...{ setgroups: 116, setfsuid: 122, setfsgid: 123, capset: 126 },
    // Other processes.
    ...{ tkill: 200, rt_sigqueueinfo: 129, rt_tgsigqueueinfo: 297, pidfd_send_signal: 424, pidfd_open: 434 },
    // New connections: only those of clients are accepted, on sockets that listen already.
    ...{ socket: 41, connect: 42, bind: 49, listen: 50 },
    // Files are read, and those that are open are written. Removing one stays: the sockets go at the end.
    ...{ creat: 85, truncate: 76, mkdir: 83, mkdirat: 258, rmdir: 84, mknod: 133, mknodat: 259 },
    ...{ rename: 82, renameat: 264, renameat2: 316, link: 86, linkat: 265, symlink: 88, symlinkat: 266 },
    ...{
      chmod: 90,
      fchmod: 91,
      fchmodat: 268,
      fchmodat2: 452,
      chown: 92,
      fchown: 93,
      lchown: 94,
      fchownat: 260,
    },
    ...{ utime: 132, utimes: 235, futimesat: 261, utimensat: 280, file_setattr: 469 },
    ...{ setxattr: 188, lsetxattr: 189, fsetxattr: 190, setxattrat: 463 },
    ...{ removexattr: 197, lremovexattr: 198, fremovexattr: 199, removexattrat: 466 },
  },
}

/** O_WRONLY, O_RDWR, O_CREAT, O_TRUNC */
const WRITING = 0o1 | 0o2 | 0o100 | 0o1000
const CLONE_THREAD = 0x10000
const TIOCSTI = 0x5412
const TIOCLINUX = 0x541c
const TIOCSETD = 0x5423

/** Those that are refused in some cases only. */
function conditional(pid: number): RefusedCall[] {
  return [
    // The terminal is the operator's: no typing in their name.
    ...[TIOCSTI, TIOCLINUX, TIOCSETD].map((value): RefusedCall => {
      return { name: 'ioctl', number: 16, stage: 'start', when: { argument: 1, is: 'equal', value } }
    }),
    { name: 'open', number: 2, stage: 'service', when: { argument: 1, is: 'with', value: WRITING } },
    { name: 'openat', number: 257, stage: 'service', when: { argument: 2, is: 'with', value: WRITING } },
    // Their flags are in memory, where no filter looks. The C library tries openat and clone instead.
    { name: 'openat2', number: 437, stage: 'service', error: ENOSYS },
    { name: 'clone3', number: 435, stage: 'service', error: ENOSYS },
    {
      name: 'clone',
      number: 56,
      stage: 'service',
      when: { argument: 0, is: 'without', value: CLONE_THREAD },
    },
    { name: 'kill', number: 62, stage: 'service', when: { argument: 0, is: 'other', value: pid } },
    { name: 'tgkill', number: 234, stage: 'service', when: { argument: 0, is: 'other', value: pid } },
    { name: 'prlimit64', number: 302, stage: 'service', when: { argument: 0, is: 'other', value: 0 } },
  ]
}

export interface Refused {
  readonly stage: Stage
  /** Files will be opened for writing even then. */
  readonly writesFiles: boolean
  /** This process, which may send itself signals. */
  readonly pid?: number
}

/** All that is refused at `stage`; at `service`, that is everything. */
export function refusals({ stage, writesFiles, pid = process.pid }: Refused): RefusedCall[] {
  const always = (['start', 'service'] as const).flatMap((from) =>
    Object.entries(ALWAYS[from]).map(([name, number]): RefusedCall => ({ name, number, stage: from })),
  )
  return [...conditional(pid), ...always].filter(
    ({ when, stage: from }) =>
      (stage === 'service' || from === 'start') && !(writesFiles && when?.value === WRITING),
  )
}
