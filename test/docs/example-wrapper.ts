/** Stands for ixy-ts: bounds its time, asks for CPUs that are here, and for no rate or latency of a machine that runs other tests. */
export const WRAPPER = `#!/bin/sh
bounded= previous= command=$1
shift
for argument; do
  shift
  case $previous in
    -d | --duration) argument=$IXY_SECONDS bounded=1 ;;
    --expect-mpps) argument=0.000001 ;;
    --expect-latency) argument=\${argument%%=*}=60s ;;
    --cpus) argument=$IXY_CPUS ;;
  esac
  previous=$argument
  set -- "$@" "$argument"
done
case " $IXY_BOUNDED " in
  *" $command "*) [ "$bounded" ] || set -- -d "$IXY_SECONDS" "$@" ;;
esac
exec "$IXY_NODE" "$IXY_LAUNCHER" "$command" "$@"
`
