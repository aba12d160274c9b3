# Stands in for node:20-alpine: Node 20 in /usr/local/bin, a user `node` with uid 1000, an entrypoint that runs `node`
# for anything that is not a program. npm is left out: Debian's brings several hundred packages.
FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends nodejs \
 && ln -s /usr/bin/node /usr/local/bin/node \
 && useradd --uid 1000 --user-group --create-home --shell /bin/sh node \
 && rm -rf /var/lib/apt/lists/*
COPY node-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
LABEL stand-in.for=node:20-alpine
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["node"]
