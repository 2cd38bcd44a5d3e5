#!/bin/sh
# Makes ./installation, which docker-compose.yml runs: fresh secrets, certificates for the connections inside, and the
# configuration. It overwrites nothing.
#
#   sh deploy/compose/init.sh login.shop.example    # for that public name; then fill in the accounts
#   sh deploy/compose/init.sh demo                  # everything on this machine, with a phone on the screen
#
# It needs openssl.
set -eu
umask 077
cd "$(dirname "$0")/../.."

host=${1:-}
case $host in
'' | -* | *[!a-z0-9.-]*)
	echo "usage: sh deploy/compose/init.sh HOST|demo" >&2
	exit 2
	;;
esac
if [ -e installation ] || [ -e .env ]; then
	echo "init.sh: ./installation or ./.env is there already. Its root secret may be the only key to a database: nothing was changed" >&2
	exit 1
fi
root=$PWD
trap 'rm -rf "$root/installation.new"' EXIT
mkdir -p installation.new/secrets installation.new/caddy # all of it, or nothing
cd installation.new

put() { cat >"secrets/$1"; }
fresh() { openssl rand -base64 "$1" | tr -d '\n'; }
word() { openssl rand -hex "$1" | tr -d '\n'; }

fresh 32 | put root
word 24 | put postgres_superuser
word 24 | put postgres_parola
printf 'postgres://parola:%s@postgres:5432/parola?sslmode=verify-full&sslrootcert=/etc/parola/trust/ca.crt' "$(cat secrets/postgres_parola)" | put dsn
word 16 | put whatsapp_verify_token

# An authority of this installation, which can vouch for nothing but names on this machine and the database.
p256='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
openssl req -x509 $p256 -days 3650 -subj '/CN=Parola installation' -keyout ca.key -out ca.crt \
	-addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
	-addext 'nameConstraints=critical,permitted;DNS:localhost,permitted;DNS:postgres' 2>/dev/null
certificate() { # NAME, NAMES FOR IT
	printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$2" >extensions
	openssl req -new $p256 -subj "/CN=$1" -keyout "secrets/$1_tls_key" -out request 2>/dev/null
	openssl x509 -req -in request -CA ca.crt -CAkey ca.key -set_serial "0x$(word 16)" -days 3650 -extfile extensions -out "$1.crt" 2>/dev/null
	rm request extensions
}
certificate postgres DNS:postgres
certificate proxy DNS:login.localhost,DNS:app.localhost,DNS:phone.localhost
rm ca.key # it has signed what it had to

if [ "$host" = demo ]; then
	host=login.localhost
	demo='COMPOSE_PROFILES=demo
PAROLA_CADDYFILE=demo.Caddyfile
PAROLA_BIND=127.0.0.1'
	word 24 | put whatsapp_access_token
	word 16 | put whatsapp_app_secret
	word 16 | put twilio_auth_token
	set -- 'Parola Demo' https://phone.localhost https://phone.localhost 102000000000001 106000000000001 \
		AC00000000000000000000000000000000 +12025550123 IT,BR
	word 24 | put demo_web
	word 24 | put demo_api
	put demo_clients <<CLIENTS
[
  {"client_id": "demo-web", "client_secret": "$(cat secrets/demo_web)", "client_name": "Conto", "token_endpoint_auth_method": "client_secret_basic",
   "redirect_uris": ["https://app.localhost/callback"], "post_logout_redirect_uris": ["https://app.localhost/signed-out"],
   "grant_types": ["authorization_code", "refresh_token"], "scope": "openid profile email phone offline_access",
   "id_token_signed_response_alg": "ES256", "parola_first_party": true, "parola_audience": ["https://app.localhost/api"]},
  {"client_id": "demo-api", "client_secret": "$(cat secrets/demo_api)", "client_name": "Conto API", "token_endpoint_auth_method": "client_secret_basic",
   "grant_types": ["client_credentials"], "scope": "reports", "parola_introspects": ["https://app.localhost/api"],
   "parola_audience": ["https://app.localhost/api"]}
]
CLIENTS
else
	demo=
	for secret in whatsapp_access_token whatsapp_app_secret twilio_auth_token; do : | put "$secret"; done
	set -- '' https://graph.facebook.com https://api.twilio.com '' '' '' '' ''
fi
sed -e "s|@SERVICE_NAME@|$1|" -e "s|@CARRIER_META@|$2|" -e "s|@CARRIER_TWILIO@|$3|" -e "s|@ACCOUNT_ID@|$4|" -e "s|@PHONE_NUMBER_ID@|$5|" \
	-e "s|@ACCOUNT_SID@|$6|" -e "s|@SMS_FROM@|$7|" -e "s|@COUNTRIES@|$8|" ../deploy/compose/parola.yaml >parola.yaml

# Containers run as whoever owns these files, and never as root.
uid=$(id -u) gid=$(id -g)
if [ "$uid" = 0 ]; then
	uid=65532 gid=65532
	chown -R "$uid:$gid" .
fi
cd ..
mv installation.new installation
cat >.env <<ENV
# Made by deploy/compose/init.sh; docker compose reads it.
PAROLA_HOST=$host
PAROLA_UID=$uid
PAROLA_GID=$gid
$demo
ENV

if [ -n "$demo" ]; then
	echo "made ./installation for the demo. Next: docker compose up --build -d, then https://app.localhost and https://phone.localhost"
	echo "Your browser does not know the certificate: accept it, or import installation/ca.crt, which vouches for localhost alone."
else
	echo "made ./installation for https://$host. Keep a copy of installation/secrets/root apart from the database."
	echo "Next: fill in installation/parola.yaml, and secrets/whatsapp_access_token, whatsapp_app_secret and twilio_auth_token beside it;"
	echo "then: docker compose run --rm --build --no-deps node1 config check, and docker compose up --build -d"
fi
