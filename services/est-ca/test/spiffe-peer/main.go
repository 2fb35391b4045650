// Verifies an X.509-SVID against a SPIFFE trust bundle with the library that SPIFFE workloads use, and prints its id:
// peer <trust domain> <bundle.json> <certificate.pem>
package main

import (
	"encoding/pem"
	"fmt"
	"os"

	"crypto/x509"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

func main() {
	if err := verify(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func verify(domain, bundlePath, certificatePath string) error {
	trustDomain, err := spiffeid.TrustDomainFromString(domain)
	if err != nil {
		return err
	}
	bundle, err := spiffebundle.Load(trustDomain, bundlePath)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(certificatePath)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	id, _, err := x509svid.Verify([]*x509.Certificate{leaf}, bundle)
	if err != nil {
		return err
	}
	fmt.Println(id)
	return nil
}
