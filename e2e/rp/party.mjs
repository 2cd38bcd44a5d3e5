// One login through openid-client, told what to do by the test: the client as JSON in the first argument; out goes the
// authorization URL, in comes the address that the browser came back to, out goes all that the library verified.
import * as oidc from "openid-client";
import { createInterface } from "node:readline/promises";

const party = JSON.parse(process.argv[2]);
const lines = createInterface({ input: process.stdin });
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

async function authentication() {
  switch (party.token_endpoint_auth_method) {
    case "none": return oidc.None();
    case "client_secret_post": return oidc.ClientSecretPost(party.client_secret);
    case "client_secret_basic": return oidc.ClientSecretBasic(party.client_secret);
    case "private_key_jwt": {
      const algorithm = { name: "ECDSA", namedCurve: "P-256" };
      const key = await crypto.subtle.importKey("jwk", party.private_key, algorithm, false, ["sign"]);
      return oidc.PrivateKeyJwt({ key, kid: party.private_key.kid });
    }
  }
  throw new Error(`no such method: ${party.token_endpoint_auth_method}`);
}

const config = await oidc.discovery(new URL(party.issuer), party.client_id,
  { id_token_signed_response_alg: party.id_token_signed_response_alg }, await authentication(),
  { execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks] }); // verify signatures even of what came straight from the provider

const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
const expectedState = oidc.randomState();
const expectedNonce = oidc.randomNonce();
say({ url: oidc.buildAuthorizationUrl(config, {
  redirect_uri: party.redirect_uris[0], scope: party.scope, state: expectedState, nonce: expectedNonce,
  code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: "S256",
}).href });

const { value: back } = await lines[Symbol.asyncIterator]().next();
const tokens = await oidc.authorizationCodeGrant(config, new URL(back), { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true });
const claims = tokens.claims();
const userinfo = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub);
const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
const again = await oidc.fetchUserInfo(config, refreshed.access_token, claims.sub);
await oidc.tokenRevocation(config, refreshed.refresh_token);
const revoked = await oidc.refreshTokenGrant(config, refreshed.refresh_token).then(() => "still works", (e) => e.error);

say({
  claims, userinfo, again: again.sub, refreshed: refreshed.claims() ?? null, rotated: refreshed.refresh_token !== tokens.refresh_token, revoked,
  algorithm: JSON.parse(Buffer.from(tokens.id_token.split(".")[0], "base64url")).alg,
  end_session_url: oidc.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: party.post_logout_redirect_uris[0] }).href,
});
process.exit(0);
