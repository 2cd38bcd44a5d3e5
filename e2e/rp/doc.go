// Package rp holds tests alone: relying parties that other people wrote log in at the demo, verify what they are given
// with their own code, refresh, revoke and log out. openid-client comes by npm at a pinned version; Authlib and Apache's
// mod_auth_openidc come from Debian (python3-authlib, python3-requests, apache2, libapache2-mod-auth-openidc). What is
// missing is skipped and says so; under PAROLA_CI it fails.
package rp
