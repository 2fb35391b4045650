"""Writes a key and a CSR of Mbed TLS' writer: key.pem and request.der of the working directory."""

import sys

from mbedtls import hashlib, pk, x509

device, account = sys.argv[1:]
key = pk.ECC(pk.Curve.SECP256R1)
key.generate()
request = x509.CSR.new(key, f"O={account},CN={device}", hashlib.sha256())
with open("key.pem", "w") as file:
    file.write(key.export_key("PEM"))
with open("request.der", "wb") as file:
    file.write(request.to_DER())
