/** Words that several commands take. */
import { parseArgs } from 'node:util';

export const defaultConfigPath = 'tacet.yaml';

/** Where the configuration is: `--config FILE`, or TACET_CONFIG, or `tacet.yaml` in the folder one stands in. */
export function configPath(given: string | undefined): string {
  return given ?? process.env['TACET_CONFIG'] ?? defaultConfigPath;
}

export function onlyConfig(words: string[]): string {
  const { values } = parseArgs({ args: words, options: { config: { type: 'string' } } });
  return configPath(values.config);
}
