import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'

/** As Kata's runtimes start a guest: from a disk image, by runtime-rs and by the Go runtime, and from an initrd. */
export const KATA_COMMAND_LINES = [
  'reboot=k panic=1 systemd.unit=kata-containers.target systemd.mask=systemd-networkd.service root=/dev/vda1 ro rootfstype=ext4 agent.container_pipe_size=1 console=ttyS1 agent.log_vport=1025 cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1\n',
  'tsc=reliable no_timer_check net.ifnames=0 pci=lastbus=0 quiet systemd.show_status=false panic=1 nr_cpus=4 selinux=0 systemd.unit=kata-containers.target scsi_mod.scan=none\n',
  'reboot=k panic=1 init=/usr/bin/kata-agent cgroup_no_v1=all\n',
]
export const NODE_COMMAND_LINES = [
  'BOOT_IMAGE=/boot/vmlinuz-6.8.0-45-generic root=UUID=0f1d ro quiet splash systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all\n',
  'console=ttyS0 reboot=k panic=1 nomodule root=/dev/vda1 net.ifnames=0 init=/sbin/init user.agent.log=debug x.systemd.unit=kata-containers.target.wants\n',
  '',
]

export interface GuestState {
  commandLine: string
  /** Of the meter's own process, since the kernel's start. */
  startedAfterSeconds: number
  /** Ticks of 10 ms: user nice system idle iowait irq softirq steal guest guest_nice. */
  cpu: number[]
  totalKB: number
  availableKB: number
  ownCpuMicros: number
  ownAnonBytes: number
}

export const TICKS_PER_SECOND = 100

export const GUEST: GuestState = {
  commandLine: KATA_COMMAND_LINES[0]!,
  startedAfterSeconds: 2,
  cpu: [100, 0, 60, 5_000, 30, 5, 5, 900, 0, 0],
  totalKB: 2_000_000,
  availableKB: 1_700_000,
  ownCpuMicros: 50_000,
  ownAnonBytes: 20 * 1024 * 1024,
}

/** The files that a guest reader reads, below a folder of the test's own. `set` changes them in place, as a kernel does. */
export function guestFiles(t: TestContext, state: GuestState = GUEST): { root: string; set(changes: Partial<GuestState>): void } {
  const root = mkdtempSync(join(tmpdir(), 'carrel-guest-'))
  t.after(() => rmSync(root, { recursive: true }))
  let now = state
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  const writeAll = (): void => {
    write('proc/cmdline', now.commandLine)
    write('proc/self/stat', `7 (node (x) S) S ${'1 '.repeat(18)}${now.startedAfterSeconds * TICKS_PER_SECOND} 1234 99\n`)
    write('proc/stat', `cpu  ${now.cpu.join(' ')}\ncpu0 ${now.cpu.map(() => 7).join(' ')}\nintr 12345 0 0\nctxt 99\n`)
    write(
      'proc/meminfo',
      `MemTotal:        ${now.totalKB} kB\nMemFree:          1234 kB\nMemAvailable:    ${now.availableKB} kB\nBuffers: 1 kB\n`,
    )
    write('sys/fs/cgroup/cpu.stat', `usage_usec ${now.ownCpuMicros}\nuser_usec 1\nsystem_usec 2\n`)
    write('sys/fs/cgroup/memory.stat', `anon ${now.ownAnonBytes}\nfile 4096\nanon_thp 0\n`)
  }
  writeAll()
  return {
    root,
    set(changes) {
      now = { ...now, ...changes }
      writeAll()
    },
  }
}
