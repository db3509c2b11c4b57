/** What the names in a configuration must refer to: peers, groups, routes. */
import type { z } from 'zod';
import type { group, peer } from './peer.ts';
import type { routing } from './routing.ts';
import type { sip } from './sip.ts';

interface Named {
  trunks: z.infer<typeof peer>[];
  pbxs: z.infer<typeof peer>[];
  groups: z.infer<typeof group>[];
  routing: z.infer<typeof routing>;
  sip: z.infer<typeof sip>;
}

type Context = z.core.$RefinementCtx;
type Kind = 'trunks' | 'pbxs';

/**
 * Names are unique among peers and groups; a route leads to the other kind; a group is of one kind; a peer's listener is
 * one of ours.
 */
export function checkRoutes(config: Named, context: Context): void {
  const complain = (path: PropertyKey[], message: string, input: string): void =>
    context.addIssue({ code: 'custom', path, message, input });
  const taken = new Set<string>();
  for (const kind of ['trunks', 'pbxs', 'groups'] as const) {
    for (const [index, { name }] of config[kind].entries()) {
      if (taken.has(name))
        complain([kind, index, 'name'], `the name "${name}" is taken by another peer`, name);
      taken.add(name);
    }
  }
  const kindOf = new Map(
    (['trunks', 'pbxs'] as const).flatMap((kind) => config[kind].map(({ name }) => [name, kind] as const)),
  );
  const targets: Record<Kind, string[]> = {
    trunks: config.trunks.map(({ name }) => name),
    pbxs: config.pbxs.map(({ name }) => name),
  };
  for (const [index, { name, members }] of config.groups.entries()) {
    const kind = kindOf.get(members[0]!.peer);
    for (const [at, { peer }] of members.entries()) {
      const path = ['groups', index, 'members', at, 'peer'];
      if (!kindOf.has(peer)) complain(path, `no such peer; known: ${[...kindOf.keys()].join(', ')}`, peer);
      else if (kindOf.get(peer) !== kind) complain(path, 'all members are trunks, or all are PBXs', peer);
    }
    if (kind !== undefined) targets[kind].push(name);
  }
  const check = (path: PropertyKey[], routes: readonly string[], to: Kind): void => {
    for (const [at, route] of routes.entries()) {
      if (targets[to].includes(route)) continue;
      complain([...path, at], `no such peer among ${to}; known: ${targets[to].join(', ')}`, route);
    }
  };
  for (const [index, { routes }] of config.trunks.entries())
    check(['trunks', index, 'routes'], routes, 'pbxs');
  for (const [index, { routes }] of config.pbxs.entries()) check(['pbxs', index, 'routes'], routes, 'trunks');
  check(['routing', 'emergency', 'routes'], config.routing.emergency.routes, 'trunks');
  for (const kind of ['trunks', 'pbxs'] as const) {
    for (const [index, { listener }] of config[kind].entries()) {
      const wrong = listener === undefined ? undefined : whyNoListener(listener, config.sip);
      if (wrong !== undefined) complain([kind, index, 'listener'], wrong, listener!);
    }
  }
}

function whyNoListener(listener: string, { listen, drachtio }: Named['sip']): string | undefined {
  if (drachtio !== undefined) return 'an external drachtio-server chooses its own way out; leave this out';
  const names = [...new Set(listen.map((each) => each.name))];
  return names.includes(listener) ? undefined : `no such listener in sip.listen; known: ${names.join(', ')}`;
}
