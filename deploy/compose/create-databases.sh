#!/bin/sh
# Runs once, when the volume of PostgreSQL is empty: a database and a role for each process.
# A role may use its own database only.
set -eu

create() {
    # psql quotes the values itself: a password may hold anything.
    psql -v ON_ERROR_STOP=1 -v name="$1" -v password="$2" \
        --username "$POSTGRES_USER" --dbname "${POSTGRES_DB:-$POSTGRES_USER}" <<'SQL'
create role :"name" login password :'password';
create database :"name" owner :"name";
revoke connect on database :"name" from public;
SQL
}

create gateway "$GATEWAY_DATABASE_PASSWORD"
create loyalty "$LOYALTY_DATABASE_PASSWORD"
create referral "$REFERRAL_DATABASE_PASSWORD"
create segmentation "$SEGMENTATION_DATABASE_PASSWORD"
