# Tacet's agent with its embedded store. Sources run as they are: there is nothing to build, only packages to fetch.
FROM node:24-slim AS packages
WORKDIR /opt/tacet
COPY package.json package-lock.json .npmrc ./
# The Node.js that comes as a package is for machines without one; the image is one.
RUN npm ci --omit=dev --ignore-scripts && rm -rf node_modules/node-linux-* node_modules/.bin/node

FROM node:24-slim
ENV NODE_ENV=production
RUN groupadd --system --gid 10001 tacet \
  && useradd --system --uid 10001 --gid tacet --home-dir /var/lib/tacet --shell /usr/sbin/nologin tacet \
  && install -d -o tacet -g tacet -m 0700 /var/lib/tacet \
  && install -d /etc/tacet
WORKDIR /opt/tacet
COPY --from=packages /opt/tacet/node_modules node_modules
COPY package.json LICENSE ./
COPY config config
COPY media media
COPY agent agent
USER tacet
VOLUME /var/lib/tacet
# SIP and RTP want the host's network (see config/deploy/compose.yaml); these are the defaults of the configuration.
EXPOSE 5060/udp 20000-29999/udp 9464/tcp
ENV TACET_HEALTH=http://127.0.0.1:9464/healthz
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(process.env.TACET_HEALTH, { signal: AbortSignal.timeout(2500) }).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# SIGTERM drains: running calls go on for up to drainSeconds, so give `docker stop` as long.
STOPSIGNAL SIGTERM
CMD ["node", "--initial-old-space-size=256", "--max-semi-space-size=4", "--v8-pool-size=1", "--no-parallel-scavenge", "--no-memory-reducer", "agent/cli/tacet.ts", "start", "--config", "/etc/tacet/tacet.yaml"]
