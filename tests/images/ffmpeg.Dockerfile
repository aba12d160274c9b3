# Stands in for linuxserver/ffmpeg:latest: the programs in /usr/local/bin, HOME=/root, a user `abc`, and an entrypoint
# that wants root. A skill that keeps that entrypoint fails under our defaults here as it does with the real image.
FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ffmpeg \
 && mv /usr/bin/ffmpeg /usr/bin/ffprobe /usr/local/bin/ \
 && useradd --system --user-group --no-create-home --shell /bin/false abc \
 && rm -rf /var/lib/apt/lists/*
COPY ffmpegwrapper.sh /ffmpegwrapper.sh
ENV HOME=/root
LABEL stand-in.for=linuxserver/ffmpeg:latest
ENTRYPOINT ["/ffmpegwrapper.sh"]
