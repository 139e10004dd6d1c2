# The application: the package and everything it needs in one virtual environment, run by a user without rights.
# For production: --build-arg BUILD_BASE=cgr.dev/chainguard/python:latest-dev@sha256:… and RUN_BASE the same without -dev.
# Both must have the same Python, 3.11 to 3.13: the environment names its interpreter.
ARG BUILD_BASE=python:3.12-slim-bookworm
ARG RUN_BASE=python:3.12-slim-bookworm

FROM ${BUILD_BASE} AS build
USER root
WORKDIR /src
# Chainguard's free image is of the newest Python, whichever that is.
RUN ["python", "-c", "import sys; told = sys.version_info[:2]; \
    sys.exit(None if (3, 11) <= told <= (3, 13) else 'BUILD_BASE has Python %d.%d; 3.11 to 3.13 are supported' % told)"]
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements-build.txt requirements.txt ./
RUN ["pip", "install", "--require-hashes", "-r", "requirements-build.txt", "-r", "requirements.txt"]
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
# The wheel holds what a new project is given of them.
COPY deploy ./deploy
RUN ["pip", "install", "--no-deps", "--no-build-isolation", "."]
# An empty folder and a name for the user, to copy: a runtime without a shell cannot make them. PostgreSQL and Hadoop
# refuse a user without a name; Chainguard's images have one already.
RUN ["python", "-c", "import os; os.makedirs('/empty/home'); users = open('/etc/passwd', 'r+'); \
    ':65532:' in users.read() or users.write('sparktrends:x:65532:65532::/var/lib/sparktrends:/sbin/nologin\\n')"]

FROM ${RUN_BASE}
COPY --from=build /opt/venv /opt/venv
COPY --from=build --chown=65532:65532 /empty/home /var/lib/sparktrends
COPY --from=build /etc/passwd /etc/passwd
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    SPARKTRENDS_HOME=/var/lib/sparktrends NUMBA_CACHE_DIR=/var/lib/sparktrends/numba HOME=/var/lib/sparktrends
WORKDIR /var/lib/sparktrends
USER 65532:65532
ENTRYPOINT ["/opt/venv/bin/sparktrends"]
CMD ["--help"]
