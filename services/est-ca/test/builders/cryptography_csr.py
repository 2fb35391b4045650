"""Writes a key and a CSR of cryptography: key.pem and request.der of the working directory."""

import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

device, account, kind = sys.argv[1:]
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name(
    [
        x509.NameAttribute(NameOID.COMMON_NAME, device, _ASN1Type[kind]),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, account, _ASN1Type[kind]),
    ]
)
request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
with open("key.pem", "wb") as file:
    file.write(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
with open("request.der", "wb") as file:
    file.write(request.public_bytes(serialization.Encoding.DER))
