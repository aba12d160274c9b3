# Stands in for redis:7-alpine: server and client, the user `redis`, /data as working directory and volume, an
# entrypoint that gives the working directory to `redis` when it is root. The version is Debian trixie's (8).
FROM debian:trixie-slim
RUN groupadd --system --gid 1000 redis \
 && useradd --system --uid 999 --gid 1000 --home-dir /data --shell /bin/sh redis \
 && apt-get update \
 && apt-get install -y --no-install-recommends redis-server redis-tools \
 && mv /usr/bin/redis-* /usr/local/bin/ \
 && install -d -o redis -g redis /data \
 && rm -rf /var/lib/apt/lists/*
COPY redis-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
LABEL stand-in.for=redis:7-alpine
VOLUME /data
WORKDIR /data
EXPOSE 6379
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["redis-server"]
