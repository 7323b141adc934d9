package chain

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
)

// vendorRoot is the public key of the vendor's root: RSA-3072, PKCS#1 DER in base64. It is public data (sheet widevine.md
// §5.3).
const vendorRoot = "MIIBigKCAYEAtP45w2WQA9s8EZcJ6GjN8sNem/LnTSOxENuHZd/c+581oFcDU0z2bTV9pnjbszbSP5xAqZUmcn+4vmbf" +
	"xSGYeBUWaF0vRg5Dy4qEOav7sDWAIr40I4urU1ty7Eu1SGlTPkdf/Qn9p3YTjw+S1kzfrnaputkiEKmdcUXW1+EZJYWc" +
	"U5qX64TXzKiIgiBwJiD9fkBQJ+Ilk2+8PnKg+sG9KbRNglzBtMuccn6w6YoXPhlj/P2CSCu3sjO5fexLuokfJ7ibiEiE" +
	"qhiSDmX1yGwR/2s25HQ0yowzsfm4jrTmEuACmHlSXkUz/xHc68NTunxgGhE9APvSt6ow+k9eSHdbF9x172/SGW3cvn+w" +
	"eI/cgmBMv+QpBl5pjDkTrRQl7Rmy8p8Bgg1WRIjINewfEbMk4FkNN+RHPOpLf5cxHIF8lIpMfWgVhP+lCP0Y5+cr5Ecn" +
	"EhG4I+xYkzysEtKIbUE9xf4c3Ln41FE+B+UDb6cS6BL3tc6mllU/eLRkglDSM1+RAgMBAAE="

// VendorRoot returns the public key under which the vendor signs the certificates of real license services and devices.
// Each call returns a key of its own.
func VendorRoot() *rsa.PublicKey {
	der, _ := base64.StdEncoding.DecodeString(vendorRoot) // a constant, and a test compares its hash
	key, _ := x509.ParsePKCS1PublicKey(der)
	return key
}
