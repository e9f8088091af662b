/**
 * AssemblyScript: what the loops are compiled for, once for each of it that they have as type parameter: what differs in nothing
 * but that is constant in them.
 */

/** What is carried: Ethernet frames, or the IP packets in them. */
export class Frames {}
export class Packets {}

/** Where that is: over IPv4, in no VLAN outside, and in none inside or in one; or wherever. */
export class Usual {}
export class Tagged {}
export class Any {}

/** How it is moved: by vectors, summed up on the way or not; or, what is long, by the machine's own move, which has wider ones. */
export class Summed {}
export class Unsummed {}
export class Copied {}
