# syntax=docker/dockerfile:1
# The example service, as a container of the laptop cluster.
FROM golang:1.26 AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -o /orders ./examples/orders

FROM scratch
COPY --from=build /orders /usr/local/bin/orders
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/orders"]
