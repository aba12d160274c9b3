# Stands in for dpokidov/imagemagick:latest: ImageMagick 7 in /usr/local/bin, `magick` as the entrypoint, /imgs as the
# working directory. As in the real image, `convert`, `identify` and the like are there too.
FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends imagemagick fonts-dejavu-core \
 && for tool in magick compare composite convert identify mogrify montage; do \
      ln -s "/usr/bin/$tool" "/usr/local/bin/$tool"; \
    done \
 && rm -rf /var/lib/apt/lists/*
LABEL stand-in.for=dpokidov/imagemagick:latest
WORKDIR /imgs
ENTRYPOINT ["magick"]
