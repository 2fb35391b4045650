// Writes a key and a CSR of crypto/x509: key.pem and request.der of the working directory.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
)

func main() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := x509.CertificateRequest{
		Subject: pkix.Name{CommonName: os.Args[1], Organization: []string{os.Args[2]}},
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := os.WriteFile("key.pem", text, 0o600); err != nil {
		panic(err)
	}
	if err := os.WriteFile("request.der", request, 0o600); err != nil {
		panic(err)
	}
}
