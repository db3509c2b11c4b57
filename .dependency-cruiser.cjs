/**
 * The layering of ARCHITECTURE.md ("The house"), as a rule: arrows go down the list only.
 * A folder may import itself, what stands below it, `media` (agent only, through its public files) and `config`.
 */
const houses = ['console', 'call', 'campaigns', 'sampling', 'law', 'ledger', 'sip', 'telemetry'];

const downwards = houses.map((house, floor) => ({
  name: `agent-${house}-looks-down-only`,
  severity: 'error',
  from: { path: `^agent/${house}/` },
  to: { path: `^agent/(main|cli|${['__none__', ...houses.slice(0, floor)].join('|')})(/|\\.ts)` },
}));

module.exports = {
  forbidden: [
    ...downwards,
    {
      name: 'media-never-imports-agent',
      severity: 'error',
      from: { path: '^media/' },
      to: { path: '^agent/' },
    },
    {
      name: 'config-imports-nobody',
      severity: 'error',
      from: { path: '^config/' },
      to: { path: '^(agent|media)/' },
    },
    {
      name: 'sources-never-import-tests',
      severity: 'error',
      from: { path: '^(agent|media|config)/' },
      to: { path: '^test/' },
    },
    {
      name: 'the-edge-cannot-read',
      comment:
        'I7: the process on the trunk never loads code that opens a recording; the CLI does, at the store.',
      severity: 'error',
      from: { path: '^agent/', pathNot: '^agent/cli/' },
      to: { path: '^media/store/' },
    },
    {
      name: 'relay-stands-alone',
      severity: 'error',
      from: { path: '^media/(relay|rtp|sdp|codec|prompts|dtmf)/' },
      to: { path: '^media/store/' },
    },
    {
      name: 'pure-formats',
      severity: 'error',
      from: { path: '^media/(rtp|sdp|codec)/' },
      to: { path: '^media/(relay|store|prompts)/' },
    },
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^node:' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.d.ts', '.json'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
