/** One agent's live campaigns as a process of its own: tells its parent each rate of `support`, and when it knew it. */
import { agentWith, support } from './live-for-tests.ts';

const lookMs = 1;

await using agent = await agentWith({ redis: process.argv[2]!, pollMs: 3_600_000 });
let known: number | undefined;
const looking = setInterval(() => {
  const { rate } = agent.live.now(support);
  if (!agent.live.isCurrent || rate === known) return;
  known = rate;
  process.send?.({ rate, at: Date.now() });
}, lookMs);
await new Promise((resolve) => process.once('disconnect', resolve));
clearInterval(looking);
