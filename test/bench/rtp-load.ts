/** The C programs of the media benches, built when they are needed, and what a process costs. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cpus } from 'node:os';
import { Program, type ProgramOptions } from '../peers/program.ts';

/** What came back to the telephones. */
export interface Traffic {
  sent: number;
  received: number;
  p50Us: number;
  p99Us: number;
  p999Us: number;
  /** Of each two seconds, the middle one: a host that takes the core away for a moment is in `p999Us`, and not in this. */
  usualP999Us: number;
}

/** Builds `test/bench/NAME.c` into a folder. @returns the program's path */
export async function build(name: string, folder: string): Promise<string> {
  const source = fileURLToPath(new URL(`./${name}.c`, import.meta.url));
  const program = join(folder, name);
  await promisify(execFile)('gcc', ['-O2', '-Wall', '-Wextra', '-o', program, source]);
  return program;
}

/** The relay gets the first core and the telephones the last: neither waits for the other. */
export const relayCore = '0';
export const telephonesCore = String(cpus().length - 1);

/** Starts a program on one core. */
export async function startOn(
  core: string,
  command: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<Program> {
  return Program.start('taskset', ['-c', core, command, ...args], options);
}

export async function portsOf(program: Program): Promise<number[]> {
  const [, ports = ''] = await program.printed(/^ports (.*)\n/mu);
  return ports.split(' ').map(Number);
}

/** Of several that are loaded turn by turn: which of how many. */
export interface Turn {
  which: number;
  of: number;
}

/**
 * The telephones: asks `anchor` where each of them shall send, then sends for some seconds. What is new (a compiler that
 * warms up, a cache that fills) happens before `warm` is called, and is not counted.
 */
export async function load(
  generator: string,
  streams: number,
  seconds: number,
  anchor: (ports: number[]) => Promise<number[]>,
  warm: () => void = () => undefined,
  { which, of }: Turn = { which: 0, of: 1 },
): Promise<Traffic> {
  const args = [streams, which, of].map(String);
  await using telephones = await startOn(telephonesCore, generator, args);
  const targets = await anchor(await portsOf(telephones));
  telephones.write(`${seconds} ${targets.join(' ')}\n`);
  await telephones.printed(/^warm$/mu, of * 30_000);
  warm();
  const [result] = await telephones.printed(/^\{.*\}$/mu, of * (seconds + 20) * 1_000);
  return JSON.parse(result) as Traffic;
}

/** CPU time of a process and all its threads that are alive, microseconds. */
export function cpuMicros(pid: number): number {
  return [...threadMicros(pid).values()].reduce((sum, each) => sum + each, 0);
}

/** CPU time of a process's threads by their names, microseconds (proc(5): schedstat, nanoseconds). */
export function threadMicros(pid: number): Map<string, number> {
  const folder = `/proc/${pid}/task`;
  const threads = new Map<string, number>();
  for (const task of readdirSync(folder)) {
    const name = readFileSync(`${folder}/${task}/comm`, 'utf8').trim();
    const micros = Number(readFileSync(`${folder}/${task}/schedstat`, 'utf8').split(' ')[0]) / 1_000;
    threads.set(name, (threads.get(name) ?? 0) + micros);
  }
  return threads;
}
