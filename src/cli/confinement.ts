/**
 * What a server of NICs gives up before it serves the first client: its user, and most of what a process may do.
 *
 *   enter()   sets no_new_privs, Landlock and a first filter of system calls, and runs the program again in its own place: Landlock
 *             restricts one thread and what it starts, and Node.js has made others before the first line of JavaScript runs
 *   become()  once what takes root is open: another user
 *   seal()    once everything is open: the second filter
 */
import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { IxyError, asIxyError } from '../errors.ts'
import { close, O_RDONLY, open } from '../linux/file.ts'
import { type Capability, effectiveCapabilities, limitCapabilities } from '../linux/capabilities.ts'
import { landlockVersion, restrictThread } from '../linux/landlock.ts'
import { isErrno } from '../linux/libc.ts'
import { type User, asUser, becomeUser, findUser, isUser, replaceProgram } from '../linux/privileges.ts'
import { runtimeDirectory } from '../linux/runtime-dir.ts'
import * as seccomp from '../linux/seccomp.ts'
import { type Needs, namedDescriptors, namesOfTaps, rulesFor, writesFiles } from './confinement-rules.ts'
import { stopListening } from './stop.ts'

export interface ConfinementFlags {
  readonly user?: string
  /** 'strict': all of it or nothing. */
  readonly confine: boolean
  readonly confineStrict: boolean
}

export class Confinement {
  private readonly user: User | null
  private readonly wanted: boolean
  private readonly strict: boolean
  private writesFiles = false
  private noNewPrivileges = ''
  private seccomp = ''
  private landlock = ''
  /** Measures that can't be had, with the reason. */
  private readonly missing: string[] = []

  /** Throws IXY_ERR_USAGE, IXY_ERR_PERMISSION. */
  constructor({ user, confine, confineStrict }: ConfinementFlags) {
    this.user = user === undefined ? null : findUser(user)
    this.wanted = confine || confineStrict
    this.strict = confineStrict
    if (this.user !== null && process.getuid?.() !== 0 && !isUser(this.user))
      throw new IxyError(
        'IXY_ERR_PERMISSION',
        `only root can become user ${this.user.name}`,
        'start as root, or without --user',
      )
  }

  /**
   * Does not return if there is something to be restricted: the program runs again from its start, and then passes here.
   * To be called before anything is open. Throws IXY_ERR_SYSTEM if --confine-strict can't be had.
   */
  enter(needs: Needs): void {
    if (this.user !== null) useEnvironmentOf(this.user)
    if (!this.wanted) return
    this.writesFiles = writesFiles(needs)
    // Tells the program that runs again what it runs under: the version of Landlock, or why there is none.
    const mark = process.env['IXY_TS_LANDLOCK']
    delete process.env['IXY_TS_LANDLOCK']
    if (mark === undefined) this.runAgain(needs)
    if (!seccomp.hasNoNewPrivileges()) this.lack('no new privileges', 'the kernel has not kept it')
    else this.noNewPrivileges = 'no new privileges'
    if (/^\d+$/.test(mark) && isRestricted()) this.landlock = `Landlock (ABI ${mark})`
    else this.lack('Landlock', /^\d+$/.test(mark) ? 'the kernel has not kept it' : mark)
  }

  private runAgain(needs: Needs): never {
    stopListening()
    const version = landlockVersion()
    if (typeof version === 'string') this.lack('Landlock', version)
    const noFilter = seccomp.whyNoSeccomp()
    if (noFilter !== null) this.lack('seccomp', noFilter)
    seccomp.setNoNewPrivileges()
    if (process.getuid?.() === 0) limitCapabilities(this.neededCapabilities(needs))
    let mark = String(version)
    if (typeof version === 'number') {
      try {
        restrictThread(rulesFor(needs, this.runtimeDirectory()), version)
      } catch (error) {
        mark = asIxyError(error).message
        this.lack('Landlock', mark)
      }
    }
    if (noFilter === null) this.filterStart()
    const environment = { ...process.env, IXY_TS_LANDLOCK: mark }
    const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
    replaceProgram(argv, environment, namedDescriptors(needs))
  }

  /** Root reads and writes where it is told to, whoever the folder belongs to. */
  private neededCapabilities({ claims }: Needs): Capability[] {
    const become: Capability[] = this.user === null ? [] : ['SETUID', 'SETGID']
    return ['DAC_OVERRIDE', ...become, ...(namesOfTaps(claims).length > 0 ? (['NET_ADMIN'] as const) : [])]
  }

  private filterStart(): void {
    try {
      seccomp.installFilter({ stage: 'start', writesFiles: true })
    } catch (error) {
      // The one at the end fails as well, and is told of.
      if (this.strict) this.lack('seccomp', asIxyError(error).message)
    }
  }

  /** Where the counters are served; made now, since afterwards folders can't be. Null: there is none. */
  private runtimeDirectory(): string | null {
    try {
      return this.user === null
        ? runtimeDirectory()
        : asUser(this.user, () => runtimeDirectory(this.user?.uid))
    } catch {
      return null
    }
  }

  /** Gives up root. To be called once TAPs are open. Throws IXY_ERR_PERMISSION. */
  become(): void {
    if (this.user !== null && !isUser(this.user)) becomeUser(this.user)
  }

  /**
   * To be called once everything is open that ever will be. Returns the line for the log; null if nothing was asked for.
   * Throws IXY_ERR_SYSTEM if --confine-strict can't be had.
   */
  seal(): { text: string; complete: boolean } | null {
    if (this.user === null && !this.wanted) return null
    const user = `user ${this.user?.name ?? userName()}`
    if (this.wanted) this.filter()
    const measures = [user, this.noNewPrivileges, this.seccomp, this.landlock].filter((text) => text !== '')
    const lacking = this.missing.map((measure) => `; without ${measure}`)
    return {
      text: `confined: ${measures.join(', ')}${lacking.join('')}`,
      complete: this.missing.length === 0,
    }
  }

  private filter(): void {
    const reason = seccomp.whyNoSeccomp()
    if (reason !== null) return this.lack('seccomp', reason)
    try {
      const count = seccomp.installFilter({ stage: 'service', writesFiles: this.writesFiles })
      if (!seccomp.isFiltered()) return this.lack('seccomp', 'the kernel has not kept it')
      this.seccomp = `seccomp (${count} system calls refused)`
    } catch (error) {
      this.lack('seccomp', asIxyError(error).message)
    }
  }

  private lack(measure: string, reason: string): void {
    if (this.strict)
      throw new IxyError(
        'IXY_ERR_SYSTEM',
        `--confine-strict: ${measure} can't be had: ${reason}`,
        'use --confine to go on with what there is',
      )
    this.missing.push(`${measure} (${reason})`)
  }
}

/** No rule lets the root directory be read: whoever can do so is not restricted. */
function isRestricted(): boolean {
  try {
    close(open('/', O_RDONLY))
    return false
  } catch (error) {
    return isErrno(error, 'EACCES')
  }
}

function userName(): string {
  let name: string
  try {
    name = userInfo().username
  } catch {
    // A number without a name.
    name = String(process.getuid?.())
  }
  const capabilities = effectiveCapabilities()
  if (capabilities.length === 0) return name
  return capabilities.length > 8
    ? `${name} with ${capabilities.length} capabilities`
    : `${name} with ${capabilities.join(' and ')}`
}

/** Root's folder for sockets isn't this user's. */
function useEnvironmentOf({ uid }: User): void {
  if (process.getuid?.() !== 0) return
  const folder = `/run/user/${uid}`
  if (existsSync(folder)) process.env['XDG_RUNTIME_DIR'] = folder
  else delete process.env['XDG_RUNTIME_DIR']
}
