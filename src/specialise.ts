/**
 * A fresh copy of `make`, compiled from its text.
 *
 * V8 compiles one piece of code for all closures that come from the same place in the source: to it, the arrays behind
 * a ring's loops are variables, and each access loads an array's address and length anew. But where a place in the
 * source has made one closure only, V8 treats what that closure has captured as constants, and addresses, lengths and
 * masks become part of the machine code. So each ring, each packet memory and each direction of a forwarder gets functions
 * of its own. That makes a ring's loops twice as fast (docs/performance.md).
 *
 * `make` must refer to nothing but its parameters, its own variables and the standard globals: a lint rule sees to it
 * (eslint-closed.mjs).
 */
export function specialise<Make extends (...args: never[]) => unknown>(make: Make): Make {
  return (new Function(`return ${make.toString()}`) as () => Make)()
}
