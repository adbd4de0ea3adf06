#!/bin/sh
# Starts MLflow with users on PostgreSQL. Every setting comes from the environment, see .env.example and README.md.
# Passwords reach MLflow by its environment and by a file that this user alone may read, never as words of a command.
set -eu

: "${MLFLOW_DB_PASSWORD:?is the password of the role mlflow in PostgreSQL}"
: "${MLFLOW_AUTH_ADMIN_PASSWORD:?is the first password of the user admin, at least 12 characters}"
: "${MLFLOW_FLASK_SERVER_SECRET_KEY:?is a secret of the server itself, such as from openssl rand -hex 32}"
: "${MLFLOW_ARTIFACTS_DESTINATION:?is where artefacts are kept: s3://bucket/path or a folder}"
database="postgresql+pg8000://mlflow:$MLFLOW_DB_PASSWORD@${POSTGRES_HOST:-127.0.0.1}:${POSTGRES_PORT:-5432}"

case $MLFLOW_DB_PASSWORD in *[!A-Za-z0-9._~-]*)
    echo "MLFLOW_DB_PASSWORD stands in a URL: make it of letters, digits and . _ ~ - alone." >&2
    exit 2 ;;
esac

settings=$(mktemp) # mktemp makes files of mode 600
cat > "$settings" << END
[mlflow]
default_permission = ${MLFLOW_DEFAULT_PERMISSION:-READ}
database_uri = $database/mlflow_auth
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
# A checked password is remembered so long; to hash it again takes a quarter of a second a request.
auth_cache_ttl_seconds = 60
END

export MLFLOW_AUTH_CONFIG_PATH="$settings"
export MLFLOW_AUTH_ADMIN_USERNAME="${MLFLOW_AUTH_ADMIN_USERNAME:-admin}"
export MLFLOW_BACKEND_STORE_URI="$database/mlflow"
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false # background jobs for language models, which need processes of their own
exec mlflow server --app-name basic-auth --serve-artifacts \
    --host "${MLFLOW_HOST:-127.0.0.1}" --port "${MLFLOW_PORT:-5000}" --workers "${MLFLOW_WORKERS:-2}"
