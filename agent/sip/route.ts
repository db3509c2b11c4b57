/** In which order the peers of a route are tried (RFC 2782: priority, then weight). */
import type { Peer } from './peers.ts';

export interface Member {
  peer: Peer;
  /** Lowest first. */
  priority: number;
  /** Share among the members of the same priority. */
  weight: number;
}

/** Peers that stand in for each other. */
export interface Group {
  name: string;
  members: Member[];
}

export type Route = (Peer | Group)[];

/** All peers of a route, each once, in an order drawn for one call: a call keeps it through its attempts. */
export function orderRoute(route: Route, random: () => number = Math.random): Peer[] {
  const ordered = route.flatMap((step) => ('members' in step ? orderMembers(step.members, random) : [step]));
  return [...new Set(ordered)];
}

/** Every peer that a route can lead to. */
export function peersOf(route: Route): Peer[] {
  return route.flatMap((step) => ('members' in step ? step.members.map(({ peer }) => peer) : [step]));
}

/** The peers that can be expected to take a call; all of them when none can: one may be better than we know. */
export function willing(ordered: readonly Peer[], isUp: (peer: Peer) => boolean): Peer[] {
  const up = ordered.filter(isUp);
  return up.length > 0 ? up : [...ordered];
}

function orderMembers(members: readonly Member[], random: () => number): Peer[] {
  const priorities = [...new Set(members.map(({ priority }) => priority))].sort((one, other) => one - other);
  return priorities.flatMap((priority) =>
    drawByWeight(
      members.filter((member) => member.priority === priority),
      random,
    ),
  );
}

/** Members of weight 0 come after all others, in their order in the file. */
function drawByWeight(members: readonly Member[], random: () => number): Peer[] {
  const left = [...members];
  const drawn: Peer[] = [];
  while (left.length > 0) {
    const total = left.reduce((sum, { weight }) => sum + weight, 0);
    const mark = random() * total;
    let running = 0;
    const at = total === 0 ? 0 : left.findIndex(({ weight }) => (running += weight) > mark);
    drawn.push(...left.splice(at, 1).map(({ peer }) => peer));
  }
  return drawn;
}
