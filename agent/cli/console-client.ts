/** The API from the command line: where it is, whose token, and what it answers. */
import { readFile } from 'node:fs/promises';
import { loadConfig } from '../../config/load.ts';
import { messageOf, TacetError } from '../../config/errors.ts';
import { configPath } from './options.ts';

/** The options that every command on the API takes. */
export const consoleOptions = {
  config: { type: 'string' },
  url: { type: 'string' },
  'token-file': { type: 'string' },
  json: { type: 'boolean' },
} as const;

export interface ConsoleWords {
  config?: string | undefined;
  url?: string | undefined;
  'token-file'?: string | undefined;
}

/** The API cannot be reached, or nobody said where it is or who asks. */
export class ConsoleUnreachable extends TacetError {}

/** The API said no. */
export class ConsoleRefused extends TacetError {
  readonly status: number;
  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

export interface Call {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  body?: object;
  /** A version, or `*`. */
  ifMatch?: string;
}

export class ConsoleClient {
  readonly #url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.#url = url.replace(/\/$/u, '');
    this.#token = token;
  }

  /**
   * `--url` or TACET_URL, else where the configuration puts the API; the token from `--token-file` or TACET_TOKEN.
   *
   * @throws ConsoleUnreachable, ConfigInvalid
   */
  static async open({ config, url, 'token-file': tokenFile }: ConsoleWords): Promise<ConsoleClient> {
    const token = tokenFile === undefined ? process.env['TACET_TOKEN'] : await readFile(tokenFile, 'utf8');
    if (token === undefined || token.trim() === '') {
      throw new ConsoleUnreachable('a token is needed: TACET_TOKEN or --token-file (`tacet token create`)');
    }
    return new ConsoleClient(url ?? process.env['TACET_URL'] ?? (await configuredUrl(config)), token.trim());
  }

  /** @throws ConsoleRefused, ConsoleUnreachable */
  async ask<Answer>(path: string, { method = 'GET', body, ifMatch }: Call = {}): Promise<Answer> {
    let response: Response;
    try {
      response = await fetch(this.#url + path, {
        method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      const why =
        error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
      throw new ConsoleUnreachable(`the API at ${this.#url} cannot be reached: ${why}`);
    }
    const text = await response.text();
    if (!response.ok) throw new ConsoleRefused(response.status, detailOf(text));
    return (text === '' ? undefined : JSON.parse(text)) as Answer;
  }
}

async function configuredUrl(config: string | undefined): Promise<string> {
  const path = configPath(config);
  const { console: api } = (await loadConfig(path)).config;
  if (api === undefined) {
    throw new ConsoleUnreachable(
      `${path} has no \`console\`: the agent serves no API; add it, or give --url`,
    );
  }
  return `${api.tls === undefined ? 'http' : 'https'}://${api.address}:${api.port}`;
}

function detailOf(text: string): string {
  try {
    const { title, detail, errors } = JSON.parse(text) as {
      title?: string;
      detail?: string;
      errors?: { path: string; message: string }[];
    };
    const more = (errors ?? []).map(({ path, message }) => `\n  ${path}: ${message}`);
    return `${detail ?? title ?? text}${more.join('')}`;
  } catch {
    return text;
  }
}
