"""One login through Authlib, by the same conversation as party.mjs."""
import base64
import json
import os
import sys

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, JsonWebToken
from authlib.oidc.core import CodeIDToken

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # http on the loopback
party = json.loads(sys.argv[1])
metadata = requests.get(party["issuer"] + "/.well-known/openid-configuration", timeout=10).json()
keys = JsonWebKey.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())


def say(what):
    print(json.dumps(what), flush=True)


def verified(token, nonce):
    options = {"iss": {"value": metadata["issuer"]}, "aud": {"value": party["client_id"]}}
    params = {"nonce": nonce} if nonce else {}
    claims = JsonWebToken([party["id_token_signed_response_alg"]]).decode(
        token, keys, claims_cls=CodeIDToken, claims_options=options, claims_params=params)
    claims.validate(leeway=5)
    return dict(claims)


session = OAuth2Session(
    party["client_id"], party["client_secret"], token_endpoint_auth_method=party["token_endpoint_auth_method"],
    revocation_endpoint_auth_method=party["token_endpoint_auth_method"],
    scope=party["scope"], redirect_uri=party["redirect_uris"][0], code_challenge_method="S256")
verifier, nonce = base64.urlsafe_b64encode(os.urandom(40)).rstrip(b"=").decode(), "n-" + os.urandom(12).hex()
url, state = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce)
say({"url": url})

back = sys.stdin.readline().strip()
tokens = session.fetch_token(metadata["token_endpoint"], authorization_response=back, code_verifier=verifier, state=state)
claims = verified(tokens["id_token"], nonce)
userinfo = session.get(metadata["userinfo_endpoint"]).json()
refreshed = session.refresh_token(metadata["token_endpoint"], refresh_token=tokens["refresh_token"])
again = session.get(metadata["userinfo_endpoint"]).json()
session.revoke_token(metadata["revocation_endpoint"], token=refreshed["refresh_token"]).raise_for_status()
try:
    session.refresh_token(metadata["token_endpoint"], refresh_token=refreshed["refresh_token"])
    revoked = "still works"
except Exception as refused:
    revoked = getattr(refused, "error", str(refused))
hint = requests.models.PreparedRequest()
hint.prepare_url(metadata["end_session_endpoint"], {
    "id_token_hint": tokens["id_token"], "post_logout_redirect_uri": party["post_logout_redirect_uris"][0]})
header = tokens["id_token"].split(".")[0]
say({
    "claims": claims, "userinfo": userinfo, "again": again["sub"], "rotated": refreshed["refresh_token"] != tokens["refresh_token"],
    "refreshed": verified(refreshed["id_token"], None) if refreshed.get("id_token") else None, "revoked": revoked,
    "algorithm": json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["alg"], "end_session_url": hint.url,
})
