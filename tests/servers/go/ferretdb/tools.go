//go:build tools

// Package servers pins the MongoDB-compatible database that the tests run.
package servers

import _ "github.com/FerretDB/FerretDB/cmd/ferretdb"
