//go:build tools

// Package servers pins the NATS server that the tests run.
package servers

import _ "github.com/nats-io/nats-server/v2"
