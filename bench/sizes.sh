#!/bin/sh -e
# Sizes of drivers by the rule of docs/safety.md: lines of code as cloc counts them, and kB of gzip -6 of the same without comments
# and empty lines. Counted: driver, memory, PCI access and forwarder; not: tables of registers, virtio, virtual functions, VFIO,
# interrupts, tests. `sizes.sh <folder>`: where emmericp/ixy is checked out as ixy.c, ixy-languages/ixy.rs as ixy.rs and so on.
folder=$1
ours=$(cd "$(dirname "$0")/.." && pwd)

# size <name> <checkout> <files and folders in it>
size() {
  name=$1 && cd "$2" && shift 2
  files=$(find "$@" -type f -regex '.*\.\(c\|h\|rs\|go\|cs\|swift\|hs\|ml\|mli\|py\|pyx\|js\|ts\)')
  stripped=$(mktemp -d)
  # A name of its own for each, as they may be called the same.
  for file in $files; do cp "$file" "$stripped/$(echo "$file" | tr / _)"; done
  lines=$(cloc --quiet --csv "$stripped" | awk -F, '$2 == "SUM" { print $5 }')
  c=$(cloc --quiet --csv "$stripped" | awk -F, '$2 == "C" || $2 == "C/C++ Header" { sum += $5 } END { print sum + 0 }')
  (cd "$stripped" && cloc --quiet --strip-comments=bare . >/dev/null && rm -f $(ls | grep -v '\.bare$'))
  printf '%-12s %6d lines  %5d of C  %5.1f kB\n' "$name" "$lines" "$c" "$(cat "$stripped"/*.bare | gzip -6 | wc -c | awk '{ print $1 / 1000 }')"
  rm -r "$stripped"
}

cd "$folder" && folder=$(pwd)
size C "$folder/ixy.c" src/app/ixy-fwd.c src/driver/device.c src/driver/device.h src/driver/ixgbe.c src/driver/ixgbe.h src/log.h \
  src/memory.c src/memory.h src/pci.c src/pci.h src/stats.c src/stats.h
size Rust "$folder/ixy.rs" examples/forwarder.rs src/ixgbe.rs src/lib.rs src/memory.rs src/pci.rs
size Go "$folder/ixy.go" driver/device.go driver/stats.go fwd driver/pci.go driver/regs.go driver/memory.go driver/ixgbe.go
size C# "$folder/ixy.cs" src/IxyQueue.cs src/Memory src/Program.cs src/Log.cs src/ixy_c src/Pci src/DeviceStats.cs src/IxyDevice.cs \
  src/Demo/Forwarder.cs src/Ixgbe/IxgbeTxQueue.cs src/Ixgbe/IxgbeRxQueue.cs src/Ixgbe/IxgbeDevice.cs
size OCaml "$folder/ixy.ml" app/fwd.ml lib
size Haskell "$folder/ixy.hs" app/Forwarder.hs src
size Swift "$folder/ixy.swift" app/Sources/app/main.swift app/Sources/app/Common app/Sources/app/Subcommands/Subcommand.swift \
  app/Sources/app/Subcommands/Forward.swift ixy/Sources/ixy/Queue ixy/Sources/ixy/Common ixy/Sources/ixy/Device/Config \
  ixy/Sources/ixy/Device/Driver ixy/Sources/ixy/Device/Device.swift ixy/Sources/ixy/Memory
size JavaScript "$folder/ixy.js" forward.js ixy.js src
size Python "$folder/ixy.py" src/app/ixy-fwd.py src/cython src/ixypy/ixgbe/device.py src/ixypy/ixgbe/structures.py src/ixypy/ixy.py \
  src/ixypy/mempool.py src/ixypy/pci.py src/ixypy/register.py src/ixypy/stats.py src/ixypy/utils.py
size TypeScript "$ours" src/apps/forward src/driver/device.ts src/driver/driver.ts src/driver/queues.ts src/driver/queue-registry.ts \
  src/driver/registry.ts $(ls "$ours"/src/driver/intel/*.ts "$ours"/src/driver/ixgbe/*.ts | sed "s#$ours/##") src/memory \
  $(ls "$ours"/src/pci/*.ts | grep -v vfio | sed "s#$ours/##") src/linux/file.ts src/linux/hugepages.ts src/linux/libc.ts \
  src/linux/mapping.ts src/linux/pagemap.ts src/linux/sysfs.ts
size 'all of ours' "$ours" src
