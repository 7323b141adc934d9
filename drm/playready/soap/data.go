package soap

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"strings"

	"keyflow/drm/playready/ecc"
	"keyflow/drm/secret"
	"keyflow/drm/xmltree"
)

// ClientData returns what a challenge carries encrypted: the certificate chain and the features of the client, here AES-CBC
// content in both ways that clients tell it (sheet §7.4).
func ClientData(chain []byte) []byte {
	return []byte(`<Data><CertificateChains><CertificateChain>` + encode(chain) + `</CertificateChain></CertificateChains>` +
		`<Features><Feature Name="AESCBC">""</Feature><REE><AESCBCS></AESCBCS></REE></Features></Data>`)
}

// dataBounds limit the decrypted data: a chain has some KB.
var dataBounds = xmltree.Bounds{Bytes: 256 << 10, Elements: 1024, Depth: 16}

// ParseClientData returns the certificate chain of what [ClientData] writes. A domain request's further chains are left out.
func ParseClientData(plain []byte) (chain []byte, err error) {
	root, err := xmltree.Parse(string(plain), dataBounds)
	if err != nil {
		return nil, wrong("Data", err)
	}
	n := root.Path("CertificateChains", "CertificateChain")
	if root.Name.Local != "Data" || n == nil {
		return nil, bad("Data", "a CertificateChain", "none")
	}
	return decode("CertificateChain", n.Text)
}

// SessionKey is the symmetric key of a challenge: IV and AES-128 key are the halves of the X coordinate, 32 bytes, of the point
// that both sides know (sheet §7.3).
type SessionKey struct{ x secret.Bytes }

// NewSessionKey returns the session key of an X coordinate.
func NewSessionKey(x secret.Bytes) (SessionKey, error) {
	if x.Len() != ecc.CoordinateLen {
		return SessionKey{}, errors.New("session key: the coordinate has another length than 32 bytes")
	}
	return SessionKey{x}, nil
}

// IV returns the IV that senders use, 16 bytes.
func (k SessionKey) IV() []byte { return k.x.Reveal()[:aes.BlockSize] }

// ErrPadding says that decrypted data does not end in padding. A server must not tell it from other errors.
var ErrPadding = errors.New("decrypt data: the padding is not valid")

// Encrypt returns IV || AES-128-CBC of plain with PKCS#7 padding.
func (k SessionKey) Encrypt(plain []byte) ([]byte, error) {
	block, err := aes.NewCipher(k.x.Reveal()[aes.BlockSize:])
	if err != nil {
		return nil, errors.New("session key: no AES key")
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	padded := append(append([]byte(nil), plain...), []byte(strings.Repeat(string(rune(pad)), pad))...)
	out := append([]byte(nil), k.IV()...)
	out = append(out, padded...)
	cipher.NewCBCEncrypter(block, out[:aes.BlockSize]).CryptBlocks(out[aes.BlockSize:], padded)
	return out, nil
}

// Decrypt undoes Encrypt with the IV that stands in the data, whatever it is. Of the padding only the last byte counts, as XML
// Encryption has it (sheet §7.4).
func (k SessionKey) Decrypt(data []byte) ([]byte, error) {
	if len(data) < 2*aes.BlockSize || len(data)%aes.BlockSize != 0 {
		return nil, errors.New("decrypt data: want an IV and at least one block of 16 bytes")
	}
	block, err := aes.NewCipher(k.x.Reveal()[aes.BlockSize:])
	if err != nil {
		return nil, errors.New("session key: no AES key")
	}
	plain := append([]byte(nil), data[aes.BlockSize:]...)
	cipher.NewCBCDecrypter(block, data[:aes.BlockSize]).CryptBlocks(plain, plain)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > aes.BlockSize {
		return nil, ErrPadding
	}
	return plain[:len(plain)-pad], nil
}
