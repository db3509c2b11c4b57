/** Node's own flags of `npm start`: what is weighed runs as it does on site. */
import { readFileSync } from 'node:fs';

const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  scripts: { start: string };
};

export const startFlags = scripts.start.split(' ').filter((word) => word.startsWith('--'));
