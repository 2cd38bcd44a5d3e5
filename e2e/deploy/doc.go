// Package deploy runs what this repository offers for production as far as that goes without the engines that would run
// it: the image is built by the Dockerfile's own commands, and docker-compose.yml runs in sandboxes with the same files,
// names, ports, users, read-only roots and capabilities, behind a real Caddy and on a real PostgreSQL. The unit for
// systemd is judged by systemd's own tools, and its filter of system calls by what a server calls.
//
// The files for Kubernetes, and the form of all of these, are checked by the module in deploy/check.
package deploy
