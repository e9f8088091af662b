#!/bin/sh
# load <module> [parameter=value…]: inserts a module with what it needs, in the order that the harness wrote down.
name=$1
shift
for module in $(cat "/lib/modules/$name.order"); do
  [ -d "/sys/module/$module" ] && continue
  if [ "$module" = "$(echo "$name" | tr - _)" ]; then parameters=$*; else parameters=; fi
  # shellcheck disable=SC2086
  insmod "/lib/modules/$module.ko" $parameters || exit 1
done
