import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const root = new URL('../../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const isThere = (path: string): boolean => existsSync(new URL(path, root));

/** The instructions of a Dockerfile, continued lines joined, comments left out. */
function instructions(dockerfile: string): { word: string; rest: string }[] {
  return dockerfile
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll(/\\\n\s*/gu, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [word = '', ...rest] = line.split(' ');
      return { word, rest: rest.join(' ') };
    });
}

const dockerfile = instructions(read('Dockerfile'));
const every = (word: string): string[] =>
  dockerfile.filter((one) => one.word === word).map(({ rest }) => rest);
/** What Node is given: its own flags, the program, and the program's command. */
const givenToNode = (command: readonly string[]): readonly string[] =>
  command.slice(command.findIndex((word) => word.endsWith('node')) + 1, command.indexOf('start') + 1);
const started = givenToNode(
  (JSON.parse(read('package.json')) as { scripts: { start: string } }).scripts.start.split(' '),
);

describe('the Dockerfile', () => {
  it('uses instructions that Docker knows, and begins with an image', () => {
    const known = /^(?:FROM|WORKDIR|COPY|RUN|ENV|USER|VOLUME|EXPOSE|HEALTHCHECK|STOPSIGNAL|CMD)$/u;
    expect(dockerfile.filter(({ word }) => !known.test(word))).toEqual([]);
    expect(dockerfile[0]?.word).toBe('FROM');
  });

  it('copies only what exists and what .dockerignore lets through', () => {
    const sources = every('COPY')
      .filter((rest) => !rest.startsWith('--from='))
      .flatMap((rest) => rest.split(' ').slice(0, -1));
    expect(sources.length).toBeGreaterThan(4);
    const allowed = new Set(
      read('.dockerignore')
        .split('\n')
        .filter((line) => line.startsWith('!'))
        .map((line) => line.slice(1)),
    );
    expect(sources.filter((source) => !isThere(source))).toEqual([]);
    expect(sources.filter((source) => !allowed.has(source))).toEqual([]);
  });

  it('does not run as root, and can be asked for its health', () => {
    expect(every('USER')).toEqual(['tacet']);
    expect(every('ENV').join('\n')).toContain('/healthz');
    expect(every('HEALTHCHECK')).toHaveLength(1);
  });

  it('starts what `npm start` starts, in the form that takes signals', () => {
    const command = JSON.parse(every('CMD')[0] ?? '[]') as string[];
    expect(givenToNode(command)).toEqual(started);
    expect(isThere(started.at(-2)!)).toBe(true);
  });
});

interface Service {
  build?: { context: string };
  network_mode: string;
  volumes: string[];
}

describe('the compose file', () => {
  const compose = parse(read('config/deploy/compose.yaml')) as {
    services: Record<string, Service>;
    volumes: Record<string, unknown>;
  };

  it('builds from the folder of the Dockerfile, on the network of the host', () => {
    expect(isThere(`config/deploy/${compose.services['tacet']!.build!.context}/Dockerfile`)).toBe(true);
    for (const service of Object.values(compose.services)) expect(service.network_mode).toBe('host');
  });

  it('declares the volumes that it mounts', () => {
    const named = Object.values(compose.services)
      .flatMap(({ volumes }) => volumes.map((volume) => volume.split(':')[0]!))
      .filter((source) => !source.startsWith('.'));
    expect(new Set(named)).toEqual(new Set(Object.keys(compose.volumes)));
  });
});

describe('the systemd unit', () => {
  const unit = read('config/deploy/tacet.service');
  const value = (key: string): string => new RegExp(`^${key}=(.*)$`, 'mu').exec(unit)?.[1] ?? '';

  it('starts what `npm start` starts', () => {
    expect(givenToNode(value('ExecStart').split(' '))).toEqual(started);
  });

  it('gives running calls the time to end that the configuration gives them', () => {
    expect(Number(value('TimeoutStopSec'))).toBeGreaterThan(300);
  });
});
