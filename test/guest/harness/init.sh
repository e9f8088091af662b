#!/bin/sh
# The guest's first process: runs the scripts that the harness sends over a virtio serial port. (The emulated 16550
# loses characters under load.)
# A request is one line, "<id> <script in base64>"; the answer is "RC <id> <exit code> <output in base64>".
. /etc/mounts

answer() {
  echo "$2" | base64 -d >/run/$1.sh
  sh /run/$1.sh >/run/$1.out 2>&1 </dev/null
  echo "RC $1 $? $(base64 /run/$1.out | tr -d '\n')" >/run/$1.answer
  until mkdir /run/answering 2>/dev/null; do usleep 1000; done
  cat /run/$1.answer >&3
  rmdir /run/answering
  rm -f /run/$1.sh /run/$1.out /run/$1.answer
}

load virtio_pci && load virtio_console
# Its number is that of the device among all of virtio.
until port=$(ls /dev/vport*p1 2>/dev/null); do usleep 10000; done
exec 3<>"$port"
echo READY >&3
while read -r id script <&3; do answer "$id" "$script" & done
poweroff -f
