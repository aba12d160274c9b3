#!/bin/sh
# As the official entrypoint does: options are the server's; root gives the working directory to `redis` and becomes it.
# The official binary has protected mode off; Debian's is told so here, or no other container could reach it.
set -e
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
  set -- redis-server "$@"
fi
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
  find . \! -user redis -exec chown redis '{}' +
  exec setpriv --reuid redis --regid redis --init-groups "$0" "$@"
fi
if [ "$1" = redis-server ]; then
  set -- "$@" --protected-mode no
fi
exec "$@"
