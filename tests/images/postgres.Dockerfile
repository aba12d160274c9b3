# Stands in for postgres:16-alpine: server and client programs on the PATH, the `postgres` user (uid 70), the data
# directory as a volume, an entrypoint that makes a cluster on first start. The version is Debian trixie's (17).
FROM debian:trixie-slim
RUN groupadd --system --gid 70 postgres \
 && useradd --system --uid 70 --gid 70 --home-dir /var/lib/postgresql --shell /bin/sh postgres \
 && mkdir -p /etc/postgresql-common \
 && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf \
 && apt-get update \
 && apt-get install -y --no-install-recommends postgresql \
 && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ \
 && echo "listen_addresses = '*'" >> "$(echo /usr/share/postgresql/*/postgresql.conf.sample)" \
 && install -d -m 3777 -o postgres -g postgres /var/run/postgresql \
 && install -d -m 1777 -o postgres -g postgres /var/lib/postgresql/data \
 && rm -rf /var/lib/apt/lists/*
COPY postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENV LANG=C.UTF-8 PGDATA=/var/lib/postgresql/data
LABEL stand-in.for=postgres:16-alpine
VOLUME /var/lib/postgresql/data
EXPOSE 5432
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
