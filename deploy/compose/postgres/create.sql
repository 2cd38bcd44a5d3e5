-- Run once, when PostgreSQL makes its data directory: Parola owns its database and is nothing more.
\set password `cat /run/secrets/postgres_parola`
CREATE ROLE parola LOGIN PASSWORD :'password';
CREATE DATABASE parola OWNER parola;
REVOKE ALL ON DATABASE parola FROM PUBLIC;
