// Verifies a chain by crypto/x509: anchors, what lies between, leaf; PEM files.
package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
)

func read(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return text
}

func main() {
	anchors, between := x509.NewCertPool(), x509.NewCertPool()
	anchors.AppendCertsFromPEM(read(os.Args[1]))
	between.AppendCertsFromPEM(read(os.Args[2]))
	block, _ := pem.Decode(read(os.Args[3]))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err == nil {
		_, err = leaf.Verify(x509.VerifyOptions{
			Roots:         anchors,
			Intermediates: between,
			KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
