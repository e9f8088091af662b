#!/bin/sh
# First process of `make vm`: network cards, the networks behind them, and a shell. The kernel makes variables of the words
# NAME=value on its command line.
. /etc/mounts
export TERM HOME=/root ENV=/etc/profile
load virtio_pci && load virtio_console
until [ -c /dev/hvc0 ]; do usleep 10000; done
exec </dev/hvc0 >/dev/hvc0 2>&1
stty rows "${VM_ROWS:-24}" cols "${VM_COLUMNS:-80}"
echo 'starting…'

# What is behind the virtio cards: a host each, which the kernel's own driver of another card connects.
load e1000e
i=0
for side in left right; do
  i=$((i + 1))
  ip netns add $side
  ip link set $(ls /sys/bus/pci/devices/0000:00:0$((7 + i)).0/net) netns $side name eth0
  ip -n $side address add 10.0.0.$i/24 dev eth0
  ip -n $side link set lo up
  ip -n $side link set eth0 up
done
# The cards of ixy-ts, in the hands of the kernel's drivers, which it takes them from and gives them back to.
load virtio_net
load ixgbe
/opt/ixy-ts/setup-hugetlbfs.sh 128 >/dev/null

cat /etc/motd
# The controlling terminal is the first that a session opens.
setsid sh -c 'exec busybox ash -i </dev/hvc0 >/dev/hvc0 2>&1'
poweroff -f
