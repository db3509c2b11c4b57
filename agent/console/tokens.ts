/**
 * Who may use the API: tokens, each of one person, with scopes and an end. Of a token only its hash is kept: it is 256 random
 * bits, so that a plain SHA-256 of it tells nothing. The file is read again when it changes: a token that is taken away is
 * gone at the next request.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { TacetError, messageOf } from '../../config/errors.ts';

export const scope = z.enum(['read', 'campaigns:write', 'campaigns:approve', 'calls:control', 'objections']);
export type Scope = z.infer<typeof scope>;

const token = z.strictObject({
  id: z.string(),
  person: z.string().min(1),
  scopes: z.array(scope).min(1),
  /** Hex SHA-256 of the token as it is sent. */
  hash: z.string(),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
});
export type Token = z.infer<typeof token>;

const file = z.strictObject({ tokens: z.array(token) });

/** The tokens cannot be read: nobody can be let in. */
export class TokensUnreadable extends TacetError {
  constructor(path: string, why: string) {
    super(`the tokens in ${path} cannot be read: ${why}`);
  }
}

export class Tokens {
  readonly #path: string;
  #read: { stamp: string; byHash: Map<string, Token> } = { stamp: '', byHash: new Map() };

  /** @param directory a folder of its own in `dataDir`; it need not exist yet */
  constructor(directory: string) {
    this.#path = join(directory, 'tokens.json');
  }

  /** Whose token this is; undefined when it is none, or past its end. @throws TokensUnreadable */
  async holderOf(given: string, now: Date): Promise<Token | undefined> {
    const stamp = await this.#stamp();
    if (stamp !== this.#read.stamp) {
      const tokens = await this.list();
      this.#read = { stamp, byHash: new Map(tokens.map((each) => [each.hash, each])) };
    }
    const found = this.#read.byHash.get(hashOf(given));
    return found !== undefined && now < new Date(found.expiresAt) ? found : undefined;
  }

  /** @throws TokensUnreadable */
  async list(): Promise<Token[]> {
    try {
      return file.parse(JSON.parse(await readFile(this.#path, 'utf8'))).tokens;
    } catch (error) {
      if (isMissing(error)) return [];
      throw new TokensUnreadable(this.#path, messageOf(error));
    }
  }

  /** @returns the token itself, which is nowhere else from here on. @throws TokensUnreadable */
  async create(
    person: string,
    scopes: readonly Scope[],
    now: Date,
    days: number,
  ): Promise<{ secret: string; token: Token }> {
    const secret = `tacet_${randomBytes(32).toString('base64url')}`;
    const created: Token = {
      id: randomBytes(4).toString('hex'),
      person,
      scopes: [...scopes],
      hash: hashOf(secret),
      createdAt: now.toISOString(),
      expiresAt: new Date(now.getTime() + days * 86_400_000).toISOString(),
    };
    await this.#write([...(await this.list()), created]);
    return { secret, token: created };
  }

  /** False when there is no such token. @throws TokensUnreadable */
  async revoke(id: string): Promise<boolean> {
    const tokens = await this.list();
    const left = tokens.filter((each) => each.id !== id);
    if (left.length === tokens.length) return false;
    await this.#write(left);
    return true;
  }

  async #write(tokens: readonly Token[]): Promise<void> {
    await mkdir(join(this.#path, '..'), { recursive: true, mode: 0o700 });
    const next = `${this.#path}.new`;
    await writeFile(next, `${JSON.stringify({ tokens }, undefined, 2)}\n`, { mode: 0o600 });
    await rename(next, this.#path);
  }

  async #stamp(): Promise<string> {
    try {
      const { ino, mtimeMs, size } = await stat(this.#path);
      return `${ino} ${mtimeMs} ${size}`;
    } catch (error) {
      if (isMissing(error)) return 'none';
      throw new TokensUnreadable(this.#path, messageOf(error));
    }
  }
}

function hashOf(given: string): string {
  return createHash('sha256').update(given).digest('hex');
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
