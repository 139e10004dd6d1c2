# Airflow beside the product, each in an environment of its own: the DAGs know the product by its commands only.
# `spark` is Spark's image: Compose names it, others do by --build-context spark=docker-image://sparktrends-spark:latest.
FROM spark AS build
USER root
WORKDIR /src
RUN mkdir /empty && python -m venv /opt/airflow
COPY deploy/airflow/requirements.txt ./
RUN ["/opt/airflow/bin/pip", "install", "--no-cache-dir", "--require-hashes", "-r", "requirements.txt"]
# A clone has the modes of who made it, and Airflow's user is another.
COPY deploy/airflow/dags deploy/airflow/pools.json /opt/dags/
RUN chmod -R a+rX /opt/dags

FROM spark
COPY --from=build /opt/airflow /opt/airflow
COPY --from=build --chown=65532:65532 /empty /var/lib/airflow
COPY --from=build /opt/dags /opt/dags
ENV PATH=/opt/airflow/bin:$PATH AIRFLOW_HOME=/var/lib/airflow AIRFLOW__CORE__DAGS_FOLDER=/opt/dags AIRFLOW__CORE__LOAD_EXAMPLES=False \
    SPARKTRENDS=/opt/venv/bin/sparktrends
ENTRYPOINT ["/opt/airflow/bin/airflow"]
CMD ["version"]
