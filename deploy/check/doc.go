// Package check reads the files for containers and Kubernetes as the tools read them that run them: docker-compose.yml by
// compose-go, the Dockerfile by BuildKit's parser, the manifests by kustomize, the types of the Kubernetes API (a key that
// does not exist is an error) and the Pod Security Standards. It is a module of its own, so that Parola does not depend on
// any of these. Whether the files work is tested in e2e/deploy.
//
//	go test -C deploy/check ./...
package check
