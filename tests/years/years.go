// An EST client and a verifier of chains (crypto/tls, crypto/x509) whose clock is told: one JSON a line in, one out.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

type request struct {
	At          int64  // Unix milliseconds
	Anchors     string // PEM
	Between     string
	Leaf        string
	URL         string
	Body        string
	User        string
	Password    string
	Certificate string
	Key         string
}

type answer struct {
	Error  string `json:"error,omitempty"`
	Status int    `json:"status,omitempty"`
	Body   string `json:"body,omitempty"`
	// What the server showed, PEM.
	Chain []string `json:"chain,omitempty"`
}

func pool(text string) *x509.CertPool {
	made := x509.NewCertPool()
	made.AppendCertsFromPEM([]byte(text))
	return made
}

func verify(r request) (answer, error) {
	block, _ := pem.Decode([]byte(r.Leaf))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return answer{}, err
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots:         pool(r.Anchors),
		Intermediates: pool(r.Between),
		CurrentTime:   time.UnixMilli(r.At),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return answer{}, err
}

func call(r request) (answer, error) {
	config := &tls.Config{
		RootCAs: pool(r.Anchors),
		Time:    func() time.Time { return time.UnixMilli(r.At) },
	}
	if r.Certificate != "" {
		identity, err := tls.X509KeyPair([]byte(r.Certificate), []byte(r.Key))
		if err != nil {
			return answer{}, err
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &identity, nil
		}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}, Timeout: 20 * time.Second}
	method := "GET"
	if r.Body != "" {
		method = "POST"
	}
	outgoing, err := http.NewRequest(method, r.URL, strings.NewReader(r.Body))
	if err != nil {
		return answer{}, err
	}
	if r.Body != "" {
		outgoing.Header.Set("Content-Type", "application/pkcs10")
	}
	if r.User != "" {
		outgoing.SetBasicAuth(r.User, r.Password)
	}
	response, err := client.Do(outgoing)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	made := answer{Status: response.StatusCode, Body: string(body)}
	for _, shown := range response.TLS.PeerCertificates {
		made.Chain = append(made.Chain, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shown.Raw})))
	}
	return made, err
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			panic(err)
		}
		do := call
		if r.URL == "" {
			do = verify
		}
		made, err := do(r)
		if err != nil {
			made.Error = err.Error()
		}
		if err := out.Encode(made); err != nil {
			panic(err)
		}
	}
}
