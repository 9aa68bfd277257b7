# Image of the trainer, with torch and the corpus: docker build -f deploy/docker/trainer.Dockerfile -t mailweir-trainer:0.1.0 .
FROM python:3.11.15-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/mailweir
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY services services
COPY models models
RUN /opt/mailweir/bin/python -m pip install -c constraints.txt ".[train,feedback,otlp]"

FROM python:3.11.15-slim-bookworm
LABEL org.opencontainers.image.title="mailweir-trainer" \
      org.opencontainers.image.description="Trains, judges and promotes models of mailweir" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/mailweir /opt/mailweir
COPY models/corpus /opt/corpus
# HOME: libraries keep caches there; everything else of the image may be read-only
ENV PATH=/opt/mailweir/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MAILWEIR_METRICS_HOST=0.0.0.0 \
    MAILWEIR_TRAINER_CORPUS=/opt/corpus
USER 10001:10001
WORKDIR /tmp
EXPOSE 9464
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9464/live', timeout=4)"]
ENTRYPOINT ["mailweir"]
CMD ["worker", "trainer"]
