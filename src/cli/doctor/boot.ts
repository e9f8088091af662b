/** Words of the kernel's command line, which take effect with the next boot. */
import { existsSync } from 'node:fs'

/** Commands that add `word` to it, as this distribution has it: Debian's and Ubuntu's way, or Fedora's. [] if it is another one. */
export function bootWith(word: string, has: (program: string) => boolean = isInstalled): string[] {
  const name = word.replace(/\W.*/, '')
  if (has('update-grub'))
    return [
      `echo 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX ${word}"' | sudo tee /etc/default/grub.d/ixy-ts-${name}.cfg`,
      'sudo update-grub',
    ]
  return has('grubby') ? [`sudo grubby --update-kernel=ALL --args=${word}`] : []
}

function isInstalled(program: string): boolean {
  return ['/usr/sbin', '/sbin', '/usr/bin'].some((folder) => existsSync(`${folder}/${program}`))
}
