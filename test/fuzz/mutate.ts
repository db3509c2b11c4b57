/** Damage that keeps most of the structure: what parsers trip over is nearly right. */

/** A source of numbers that a seed makes the same again (mulberry32). */
export function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const pieces = [
  '\r\n',
  '\n',
  '\n ',
  ':',
  ';',
  ',',
  '"',
  '\\',
  '<',
  '>',
  '[',
  ']',
  '=',
  '@',
  '%',
  '|',
  '#',
  '\0',
];
const numbers = ['0', '-1', '255', '65536', '4294967295', '4294967296', '99999999999999999999', '1e9', 'NaN'];

/** One seed, damaged in one to five places; lines and numbers are treated as such. */
export function mutate(seeds: readonly Buffer[], below: (limit: number) => number): Buffer {
  const pick = <T>(from: readonly T[]): T => from[below(from.length)]!;
  let text = pick(seeds).toString('latin1');
  for (let edits = 1 + below(5); edits > 0; edits--) {
    const at = below(text.length + 1);
    switch (below(8)) {
      case 0:
        text = text.slice(0, at) + pick(pieces) + text.slice(at);
        break;
      case 1:
        text = text.slice(0, at) + text.slice(at + 1 + below(4));
        break;
      case 2:
        text = text.slice(0, at) + String.fromCharCode(below(256)) + text.slice(at + 1);
        break;
      case 3:
        text = text.slice(0, at);
        break;
      case 4:
        text = rearrange(text, below);
        break;
      case 5: {
        const other = pick(seeds).toString('latin1');
        text = text.slice(0, at) + other.slice(below(other.length + 1));
        break;
      }
      case 6: {
        const digits = text.slice(at).search(/\d/u);
        if (digits < 0) break;
        const from = at + digits;
        text = text.slice(0, from) + pick(numbers) + text.slice(from).replace(/^\d+/u, '');
        break;
      }
      default:
        text = text.slice(0, at) + pick(pieces).repeat(1 + below(300)) + text.slice(at);
    }
  }
  return Buffer.from(text, 'latin1');
}

/** Lines doubled, left out, or in another order. */
function rearrange(text: string, below: (limit: number) => number): string {
  const lines = text.split('\r\n');
  const [from, to] = [below(lines.length), below(lines.length)];
  const line = lines[from]!;
  if (below(2) === 0) lines.splice(from, 1);
  lines.splice(to, 0, line);
  return lines.join('\r\n');
}
