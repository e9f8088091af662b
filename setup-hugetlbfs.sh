#!/bin/sh
# Reserves huge pages and mounts a hugetlbfs, for cards that are reached through sysfs (docs/setup.md).
# Does nothing that has been done already. Lasts until the next boot.
set -eu

usage() {
	echo "usage: sudo $0 [pages per NUMA node, default 256] [mount point, default /mnt/huge]"
}

case "${1:-}" in
-h | --help)
	usage
	exit 0
	;;
esac
pages=${1:-256}
directory=${2:-/mnt/huge}
case "$pages" in
'' | *[!0-9]*)
	usage >&2
	exit 2
	;;
esac
if [ "$(id -u)" -ne 0 ]; then
	echo "$0: only root can reserve huge pages; run: sudo $0 $*" >&2
	exit 1
fi

# 2 MiB where the machine has them, else the size it uses by default.
size=2048
[ -d "/sys/kernel/mm/hugepages/hugepages-${size}kB" ] ||
	size=$(awk '/^Hugepagesize:/ { print $2 }' /proc/meminfo)
if [ -z "$size" ]; then
	echo "$0: this kernel has no huge pages (CONFIG_HUGETLBFS)" >&2
	exit 1
fi

failed=0
for pool in /sys/devices/system/node/node[0-9]*/hugepages/hugepages-"${size}"kB /sys/kernel/mm/hugepages/hugepages-"${size}"kB; do
	[ -f "$pool/nr_hugepages" ] || continue
	# The last is the sum over all nodes: of use only where the kernel knows no nodes.
	case "$pool" in
	/sys/kernel/*) [ -d /sys/devices/system/node/node0 ] && continue ;;
	esac
	if [ "$(cat "$pool/nr_hugepages")" -lt "$pages" ]; then
		echo "$pages" >"$pool/nr_hugepages"
	fi
	got=$(cat "$pool/nr_hugepages")
	echo "$got huge pages of $size KiB in $pool"
	if [ "$got" -lt "$pages" ]; then
		echo "$0: memory for $pages is not free in one piece; reboot with hugepages=$pages on the kernel command line" >&2
		failed=1
	fi
done

# Mounts show their page size in M, or in K below that.
shown="pagesize=$((size / 1024))M"
if awk -v shown="$shown" '$3 == "hugetlbfs" && $4 ~ shown { found = 1 } END { exit !found }' /proc/mounts; then
	echo "a hugetlbfs is mounted already"
else
	mkdir -p "$directory"
	mount -t hugetlbfs -o "pagesize=${size}K,mode=0755" hugetlbfs "$directory"
	echo "hugetlbfs mounted at $directory"
fi
exit $failed
