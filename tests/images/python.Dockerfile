# Stands in for python:3.12-slim: Python under /usr/local/bin, no entrypoint. The version is Debian trixie's (3.13).
FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 \
 && ln -s /usr/bin/python3 /usr/local/bin/python3 \
 && ln -s /usr/bin/python3 /usr/local/bin/python \
 && rm -rf /var/lib/apt/lists/*
ENV LANG=C.UTF-8
LABEL stand-in.for=python:3.12-slim
CMD ["python3"]
