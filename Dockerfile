# Parola in a container that holds nothing but the program: one static binary, the certificates of public authorities, and
# an empty directory for SQLite. There is no shell, no package and no user name in it. docs/deployment.md says how to run it.
#
#   docker build --build-arg VERSION=1.0.0 -t parola .
#   docker build --target demo -t parola-demo .      # the phone and the sample applications

FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
# Nothing that the build does not pin: no other toolchain, no changes to go.mod, no C.
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS="-mod=readonly -trimpath -buildvcs=false"
WORKDIR /src
COPY go.mod go.sum ./
COPY third_party third_party
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=devel
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH go build -ldflags="-s -w -X main.version=$VERSION" -o /out/parola ./cmd/parola
RUN mkdir -p /out/data

FROM build AS build-demo
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH go build -ldflags="-s -w" -o /out/demo/ ./examples/handset/cmd/handset ./examples/webapp/cmd/webapp ./examples/api/cmd/api

FROM scratch AS demo
COPY --from=build-demo /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build-demo /out/demo/ /usr/bin/
USER 65532:65532

# The last stage is what `docker build` makes.
FROM scratch AS parola
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/parola /usr/bin/parola
# For SQLite: a new volume that is mounted here takes its owner and mode from it.
COPY --from=build --chown=65532:65532 --chmod=0700 /out/data /var/lib/parola
WORKDIR /var/lib/parola
ENV PAROLA_CONFIG=/etc/parola/parola.yaml
USER 65532:65532
EXPOSE 8080 9090
# SIGTERM begins the graceful stop, which takes server.stop_within (20 s) at most: give the container more.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=4s --start-period=60s --retries=3 CMD ["/usr/bin/parola", "health"]
ENTRYPOINT ["/usr/bin/parola"]
CMD ["serve"]
