#!/bin/sh
# Makes roles and databases, once: MLflow's, its users', and Optuna's studies, whose role can't read the other two.
# PostgreSQL's image runs it at its first start; elsewhere: PGHOST, PGUSER, PGPASSWORD of a superuser, and this file.
set -eu

: "${MLFLOW_DB_PASSWORD:?is the password of the role mlflow}"
: "${STUDIES_DB_PASSWORD:?is the password of the role studies}"

psql --username "${POSTGRES_USER:-${PGUSER:-postgres}}" --quiet --set ON_ERROR_STOP=1 --dbname "${POSTGRES_DB:-postgres}" << 'END'
\getenv mlflow_password MLFLOW_DB_PASSWORD
\getenv studies_password STUDIES_DB_PASSWORD
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow_password';
CREATE ROLE studies LOGIN PASSWORD :'studies_password';
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE mlflow_auth OWNER mlflow;
CREATE DATABASE studies OWNER studies;
REVOKE CONNECT ON DATABASE mlflow, mlflow_auth, studies FROM PUBLIC;
END
