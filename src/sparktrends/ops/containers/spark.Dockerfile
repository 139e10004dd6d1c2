# Spark: the application plus checked jars and Java, for master, workers and the streaming job alike. The same virtual
# environment lies at the same place everywhere: that is how the package reaches the executors.
# Spark's launchers are bash scripts, so the runtime needs a shell: for production take Chainguard's python with -dev.
# `app` is the application's image: Compose names it, others do by --build-context app=docker-image://sparktrends:latest.
ARG RUN_BASE=python:3.12-slim-bookworm

FROM app AS application

FROM ${RUN_BASE} AS jars
USER root
COPY --from=application /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH XDG_CACHE_HOME=/opt/cache
# Each jar is compared with the SHA-512 of jars.lock; then Java, the connector's set and the JDBC driver are laid out.
RUN ["python", "-m", "sparktrends.ops.containers.install", "/opt"]

FROM ${RUN_BASE}
COPY --from=jars /opt /opt
COPY --from=application --chown=65532:65532 /var/lib/sparktrends /var/lib/sparktrends
# Empty as well: what a master remembers, in a volume that takes the owner of this folder.
COPY --from=application --chown=65532:65532 /var/lib/sparktrends /var/lib/spark-master
COPY --from=application /etc/passwd /etc/passwd
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 XDG_CACHE_HOME=/opt/cache \
    SPARKTRENDS_HOME=/var/lib/sparktrends NUMBA_CACHE_DIR=/var/lib/sparktrends/numba HOME=/var/lib/sparktrends \
    JAVA_HOME=/opt/java SPARK_HOME=/opt/spark PYSPARK_PYTHON=/opt/venv/bin/python
WORKDIR /var/lib/sparktrends
USER 65532:65532
ENTRYPOINT ["/opt/venv/bin/sparktrends"]
CMD ["--help"]
